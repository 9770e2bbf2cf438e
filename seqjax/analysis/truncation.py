"""What truncated backpropagation through time loses: the gradient by how far back it comes from."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.analysis.backward import Loss, Pull, backward, checked


class NoGradient(ValueError):
    """A gradient of zero, of which no truncation is better than another."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Truncation:
    r"""Truncated gradients beside the full one; print it.

    Attributes:
        lengths: the truncation lengths.
        cosine: between truncated and full gradient, for each length.
        norm_ratio: norm of the truncated gradient over that of the full one.
        share: of the full gradient, what comes from lags up to each length and not up to the length before it,
            :math:`\langle g_{new}, g \rangle / \| g \|^2`. With a last entry for what is beyond the last length, the
            shares add up to 1; one may be negative.
        recommended: the least length whose gradient is close to the full one, or ``None`` where none is.
        reason: why, in words.
    """

    lengths: np.ndarray
    cosine: np.ndarray
    norm_ratio: np.ndarray
    share: np.ndarray
    recommended: int | None
    reason: str

    def __str__(self) -> str:
        lines = ["length   cosine   norm ratio   share of the gradient"]
        for row in zip(self.lengths, self.cosine, self.norm_ratio, self.share, strict=False):
            lines.append(f"{row[0]:>6}   {row[1]:6.3f}   {row[2]:10.3f}   {row[3]:21.3f}")
        lines.append(f"beyond{'':25}   {self.share[-1]:17.3f}")
        return "\n".join([*lines, "", self.reason])


def truncation(
    cell: Any,
    params: Any,
    inputs: Any,
    carry: Any = None,
    *,
    loss: Loss | None = None,
    targets: Any = None,
    lengths: Sequence[int] | None = None,
    kind: Literal["sliding", "chunks"] = "sliding",
    least_cosine: float = 0.95,
    norm_tolerance: float = 0.1,
) -> Truncation:
    r"""Compare the gradient of truncated backpropagation through time with the full one.

    With ``kind="sliding"`` every loss looks back over at most ``length`` steps, its own included, so that length 1 is
    no recurrence at all; with ``"chunks"`` the sequence is cut into chunks of that length, as a training loop does that
    carries the state but not the gradient from one chunk to the next. One forward and one reverse pass serve all
    lengths.

    Args:
        cell: a cell, or any function ``step(params, carry, inputs) -> (carry, output)``.
        params: the step's parameters; the gradient to all of them is compared as one vector.
        inputs: ``[time, *batch, ...]``.
        carry: the carry before the first step; a cell's own if not given.
        loss: as for :func:`gradient_flow`.
        targets: as for :func:`gradient_flow`.
        lengths: truncation lengths, growing; powers of two up to the number of steps if not given.
        kind: how to truncate.
        least_cosine: that the recommended length must reach.
        norm_tolerance: how far its norm may be from the full one, as a share.

    Raises:
        ValueError: lengths that are not positive and growing, an unknown kind, or a gradient that is not finite;
            :class:`NoGradient`, one of its kinds, for a full gradient of zero.
    """
    params, inputs, carry, _ = checked(cell, params, inputs, carry)
    time_steps = jax.tree.leaves(inputs)[0].shape[0]
    if lengths is None:
        lengths = [2**power for power in range(time_steps.bit_length()) if 2**power < time_steps] + [time_steps]
    chosen = np.asarray(lengths)
    if chosen.ndim != 1 or not chosen.size or chosen[0] < 1 or (np.diff(chosen) <= 0).any():
        raise ValueError(f"lengths must be positive whole numbers in growing order, got {lengths!r}")
    if kind not in ("sliding", "chunks"):
        raise ValueError(f"kind must be 'sliding' or 'chunks', got {kind!r}")
    cuts, times = jnp.asarray([*chosen, time_steps]), jnp.arange(time_steps)

    def visit(sums: Any, time: jax.Array, pull: Pull, rows: Any) -> tuple[Any, None]:
        # Of each length, which losses still reach this step.
        reaches = times - time < cuts[:, None] if kind == "sliding" else times // cuts[:, None] == time // cuts[:, None]
        kept = jax.tree.map(lambda a: jnp.tensordot(reaches.astype(a.dtype), a, 1), rows)
        d_params, _, _ = jax.vmap(pull)(kept)
        return jax.tree.map(jnp.add, sums, d_params), None

    def run(params: Any, inputs: Any, carry: Any, targets: Any) -> jax.Array:
        zeros = jax.tree.map(lambda a: jnp.zeros((len(cuts), *a.shape), a.dtype), params)
        sums, _ = backward(cell, params, inputs, carry, loss, targets, times, visit, zeros)
        return jnp.concatenate([leaf.reshape(len(cuts), -1) for leaf in jax.tree.leaves(sums)], axis=1)

    gradients = np.asarray(jax.jit(run)(params, inputs, carry, targets), np.float64)
    full, norms = gradients[-1], np.linalg.norm(gradients, axis=1)
    if norms[-1] == 0:
        raise NoGradient("the full gradient is zero; does the loss depend on the outputs, and are parameters trained?")
    if not np.isfinite(norms[-1]):
        raise ValueError(f"the full gradient has norm {norms[-1]}; are the outputs and the loss finite?")
    with np.errstate(invalid="ignore"):
        cosine = np.nan_to_num(gradients[:-1] @ full / (norms[:-1] * norms[-1]))
    ratio = norms[:-1] / norms[-1]
    projections = gradients @ full / norms[-1] ** 2
    good = np.flatnonzero((cosine >= least_cosine) & (np.abs(ratio - 1) <= norm_tolerance))
    # Close by chance is not close: every longer length must be too.
    stays = [index for index in good if len(good) - list(good).index(index) == len(chosen) - index]
    recommended = int(chosen[stays[0]]) if stays else None
    return Truncation(
        lengths=chosen,
        cosine=cosine,
        norm_ratio=ratio,
        share=np.diff(projections, prepend=0.0),
        recommended=recommended,
        reason=_reason(recommended, chosen, cosine, ratio, time_steps, least_cosine, norm_tolerance),
    )


def _reason(
    recommended: int | None,
    lengths: np.ndarray,
    cosine: np.ndarray,
    ratio: np.ndarray,
    time_steps: int,
    least_cosine: float,
    norm_tolerance: float,
) -> str:
    wanted = f"cosine at least {least_cosine:g} and norm within {norm_tolerance:.0%} of the full gradient"
    if recommended is None:
        return (
            f"none of these lengths is enough ({wanted}); the longest, {lengths[-1]}, reaches cosine {cosine[-1]:.3f} "
            f"and norm ratio {ratio[-1]:.3f}: try longer ones, up to {time_steps}"
        )
    index = int(np.flatnonzero(lengths == recommended)[0])
    return (
        f"recommended: {recommended} of {time_steps} steps, the least length with {wanted} "
        f"(cosine {cosine[index]:.3f}, norm ratio {ratio[index]:.3f}), as have all longer ones"
    )
