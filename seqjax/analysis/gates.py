"""What the gates of a cell do on real data: saturation, time scales, units that are dead."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.cells import Cell
from seqjax.cells.transforms.named import named_values, with_named
from seqjax.engine import scan
from seqjax.engine.checks import describe
from seqjax.engine.driver import own_carry

_GATES = ("input_gate", "forget_gate", "output_gate", "update_gate", "reset_gate")


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class GateStatistics:
    """What gates and outputs did over a batch of sequences; print it.

    Attributes:
        values: of everything that the step names, ``[time, *batch, ...]``.
        outputs: the cell's outputs, ``[time, *batch, ...]``.
    """

    values: Mapping[str, jax.Array]
    outputs: jax.Array

    @property
    def gates(self) -> tuple[str, ...]:
        """The names of the values that are gates, between 0 and 1."""
        return tuple(name for name in _GATES if name in self.values)

    def mean(self, gate: str) -> float:
        """How open a gate is, on average."""
        return float(np.mean(np.asarray(self.values[gate], np.float64)))

    def saturated(self, gate: str, margin: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
        """For every unit the share of steps at which the gate is shut (below ``margin``) and open (above 1 - margin).

        Source: Karpathy, Johnson and Fei-Fei 2015, Visualizing and understanding recurrent networks.
        """
        flat = _by_unit(self.values[gate])
        return (flat < margin).mean(0), (flat > 1 - margin).mean(0)

    def time_scales(self, gate: str = "forget_gate") -> np.ndarray:
        r"""The steps in which each unit forgets, :math:`-1 / \overline{\log f}`, ``[units]``.

        A unit that multiplies its memory by f in every step keeps a share 1/e of it for that long. The mean of the
        logarithm is the one that a product of gates has.

        Source: Tallec and Ollivier 2018, Can recurrent neural networks warp time?
        """
        if gate not in self.values:
            raise ValueError(f"the step names no {gate!r}; it names {', '.join(self.values)}")
        with np.errstate(divide="ignore"):
            return -1 / np.minimum(np.log(_by_unit(self.values[gate])).mean(0), -np.finfo(np.float64).tiny)

    def dead_units(self, tolerance: float = 1e-6) -> np.ndarray:
        """Which units give the same output at every step of every sequence, booleans ``[units]``."""
        flat = _by_unit(self.outputs)
        return flat.max(0) - flat.min(0) <= tolerance

    def __str__(self) -> str:
        lines = ["gate            mean    shut    open   (shares of steps below 0.1, above 0.9)"]
        for gate in self.gates:
            shut, open_ = self.saturated(gate)
            lines.append(f"{gate:<14}  {self.mean(gate):.3f}  {shut.mean():6.1%}  {open_.mean():6.1%}")
        if "forget_gate" in self.values:
            low, middle, high = np.quantile(self.time_scales(), [0.1, 0.5, 0.9])
            lines.append(
                f"time scales: a tenth of the units below {low:.3g} steps, half {middle:.3g}, a tenth {high:.3g}"
            )
        dead = self.dead_units()
        lines.append(f"dead units: {int(dead.sum())} of {dead.size}")
        return "\n".join(lines)


def gate_statistics(cell: Cell, params: Any, inputs: Any, carry: Any = None) -> GateStatistics:
    """Run a cell and record what it names: gates, candidate, cell state.

    Args:
        cell: a cell that names its gates; for others only the outputs are recorded.
        params: the cell's parameters.
        inputs: ``[time, *batch, ...]``.
        carry: the carry before the first step; the cell's own if not given.

    Raises:
        TypeError: something that is not a cell.
    """
    if not isinstance(cell, Cell):
        raise TypeError(f"gate statistics need a cell, whose step names its gates; got {describe(cell)}")
    names = tuple(dict.fromkeys(name for name, _ in named_values(cell)))

    def recording(params: Any, carry: Any, inputs: Any) -> tuple[Any, Any]:
        recorded: dict[str, list[jax.Array]] = {name: [] for name in names}

        def record(name: str) -> Any:
            def keep(value: jax.Array) -> jax.Array:
                recorded[name].append(value)
                return value

            return keep

        carry, output = with_named(cell, {name: record(name) for name in names})(params, carry, inputs)
        return carry, (output, {name: jnp.concatenate(values, axis=-1) for name, values in recorded.items()})

    if carry is None:
        carry = own_carry(cell, params, jax.tree.map(jnp.asarray, inputs))
    _, (outputs, values) = scan(recording, params, inputs, carry)
    return GateStatistics(values=values, outputs=outputs)


def _by_unit(values: Any) -> np.ndarray:
    array = np.asarray(values, np.float64)
    return array.reshape(-1, array.shape[-1])
