"""Zoneout."""

import dataclasses
import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.base import Cell
from seqjax.cells.transforms.base import NoisyTransform, check_rate, field_names, with_fields
from seqjax.cells.transforms.noise import StepKeys, next_step, step_keys, uniform


@dataclasses.dataclass(frozen=True, kw_only=True)
class Zoneout(NoisyTransform):
    """What :func:`zoneout` makes."""

    hidden: float | None
    cell_state: float | None
    rates: tuple[tuple[str, float], ...]

    function: ClassVar[str] = "zoneout"
    needs: ClassVar[str] = "a carry with the fields that a rate is given for"
    paper: ClassVar[str] = (
        "Krueger et al. 2017, Zoneout: regularizing RNNs by randomly preserving hidden activations, arXiv:1606.01305"
    )
    conventions: ClassVar[tuple[str, ...]] = (
        "A rate is the probability that a unit keeps its old value.",
        "In evaluation a unit is the mean of its old and new value, weighted by the rate.",
        "An LSTM's new hidden state is made of the cell state before zoneout, as in the paper.",
    )

    def check(self) -> None:
        """Rates are shares, and each has its field in the carry."""
        if not self._rates():
            raise ValueError("zoneout: there is no rate; give one, such as hidden=0.05 or cell_state=0.5")
        for name, rate in self._rates().items():
            check_rate("zoneout", name, rate)
        carry = jax.eval_shape(self.cell.initial_carry)
        known = [name for name in field_names(carry) if hasattr(getattr(carry, name), "dtype")]
        known = [name for name in known if jnp.issubdtype(getattr(carry, name).dtype, jnp.inexact)]
        for name in self._rates():
            if name not in known:
                raise self.unsupported(f"its carry has no array {name!r} to keep; it has {', '.join(known) or 'none'}")

    def options(self) -> dict[str, Any]:
        """The rates."""
        return {"hidden": self.hidden, "cell_state": self.cell_state, **dict(self.rates)}

    def _rates(self) -> dict[str, float]:
        """The rate of every field of the carry that has one."""
        rates = {"hidden": self.hidden, "cell": self.cell_state, **dict(self.rates)}
        return {name: rate for name, rate in rates.items() if rate is not None}

    def noise(self, key: jax.Array, batch_shape: tuple[int, ...], dtype: DTypeLike) -> StepKeys:
        """A key for each sequence."""
        return step_keys(key, batch_shape)

    def noisy_step(
        self, params: Any, carry: Any, inputs: Any, noise: StepKeys | None
    ) -> tuple[Any, Any, StepKeys | None]:
        """One step; see :func:`zoneout`."""
        new, output = self.cell(params, carry, inputs)
        zoned, start = {}, 0
        sizes = {name: math.prod(_features(self.cell, name)) for name in self._rates()}
        draws = None if noise is None else uniform(noise, sum(sizes.values()))
        for name, rate in self._rates().items():
            before, after = getattr(carry, name), getattr(new, name)
            if draws is None:
                zoned[name] = rate * before + (1 - rate) * after
            else:
                keeps = draws[..., start : start + sizes[name]].reshape(after.shape) < rate
                zoned[name] = jnp.where(keeps, before, after)
            start += sizes[name]
        output = zoned.get(self.output_field, output)
        return with_fields(new, **zoned), output, None if noise is None else next_step(noise)


def zoneout(cell: Cell, hidden: float | None = None, cell_state: float | None = None, **rates: float) -> Zoneout:
    r"""Units keep their old value at random, instead of a new one (Krueger et al. 2017).

    .. math::
        h_t &= d_t \odot h_{t-1} + (1 - d_t) \odot \tilde h_t, \quad d_t \sim \text{Bernoulli}(r) && \text{training} \\
        h_t &= r \, h_{t-1} + (1 - r) \, \tilde h_t && \text{evaluation}

    Args:
        cell: computes :math:`\tilde h_t`.
        hidden: rate of the carry's field ``hidden``.
        cell_state: rate of the carry's field ``cell``.
        rates: of other fields of the carry, by their names.

    The output is the new :math:`h_t` where it was :math:`\tilde h_t`. There is noise where ``initial_carry`` got a key;
    each sequence has a key of its own in the carry, and each step draws from it and its number.

    Example:
        >>> import jax, jax.numpy as jnp, seqjax
        >>> from seqjax.cells.transforms import zoneout
        >>> cell = zoneout(seqjax.cells.LSTM(input_size=3, hidden_size=5), hidden=0.05, cell_state=0.5)
        >>> params, inputs = cell.init(jax.random.key(0)), jnp.ones([7, 2, 3])
        >>> noisy = cell.initial_carry((2,), params=params, key=jax.random.key(1))
        >>> _, in_training = seqjax.scan(cell, params, inputs, noisy)
        >>> _, in_evaluation = seqjax.scan(cell, params, inputs)
    """
    return Zoneout(cell=cell, hidden=hidden, cell_state=cell_state, rates=tuple(sorted(rates.items())))


def _features(cell: Cell, name: str) -> tuple[int, ...]:
    return getattr(jax.eval_shape(cell.initial_carry), name).shape
