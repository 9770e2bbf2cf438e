"""How much of its input's past a recurrence holds, linearly readable."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.engine import scan


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class MemoryCapacity:
    r"""What a linear read-out of the outputs recalls of a random input.

    Attributes:
        recall: squared correlation :math:`r^2_k` of :math:`u_{t-k}` and its best linear read-out, ``[delays + 1]``.
        total: their sum, at most the number of outputs.
    """

    recall: np.ndarray
    total: float


def memory_capacity(
    cell: Any,
    params: Any,
    key: jax.Array,
    carry: Any = None,
    *,
    delays: int,
    input_size: int | None = None,
    length: int = 2000,
    washout: int = 200,
    ridge: float = 1e-7,
) -> MemoryCapacity:
    r"""Linear memory capacity :math:`\sum_{k=0}^{delays} r^2(u_{t-k}, \hat u_{t-k})`.

    One sequence of numbers uniform in -1 ... 1 is fed to the first input feature, the others being zero; for every
    delay a linear read-out is fitted to the first half of the outputs by ridge regression, and judged on the second.

    Args:
        cell: a cell, or any function ``step(params, carry, inputs) -> (carry, output)``.
        params: the step's parameters.
        key: of the sequence.
        carry: the carry before the first step; a cell's own if not given.
        delays: the longest delay.
        input_size: number of input features; a cell's own if not given.
        length: number of steps that are judged or fitted.
        washout: steps before them, so that the first carry is forgotten.
        ridge: penalty, as a share of the outputs' mean square.

    Raises:
        ValueError: more delays than the washout has steps, or too few steps to fit a read-out.

    Source: Jaeger 2001, Short term memory in echo state networks, GMD report 152.
    """
    if not 0 <= delays <= washout:
        raise ValueError(
            f"delays must be 0 to washout={washout}, got {delays!r}; a longer delay needs a longer washout"
        )
    size = cell.input_size if input_size is None else input_size
    signal = jax.random.uniform(key, (washout + length,), minval=-1, maxval=1)
    inputs = jnp.zeros((washout + length, size), signal.dtype).at[:, 0].set(signal)
    outputs = np.asarray(scan(cell, params, inputs, carry)[1], np.float64)[washout:]
    outputs = np.concatenate([outputs, np.ones((length, 1))], axis=1)
    half = length // 2
    if half < 2 * outputs.shape[1]:
        raise ValueError(f"length={length} is too short to fit {outputs.shape[1]} weights; use {8 * outputs.shape[1]}")
    past = np.stack([np.asarray(signal, np.float64)[washout - k : washout - k + length] for k in range(delays + 1)], 1)
    normal = outputs[:half].T @ outputs[:half]
    penalty = ridge * np.trace(normal) / len(normal) * np.eye(len(normal))
    weights = np.linalg.solve(normal + penalty, outputs[:half].T @ past[:half])
    guess, wanted = outputs[half:] @ weights, past[half:]
    guess, wanted = guess - guess.mean(0), wanted - wanted.mean(0)
    power = np.maximum((guess**2).sum(0) * (wanted**2).sum(0), np.finfo(np.float64).tiny)
    recall = (guess * wanted).sum(0) ** 2 / power
    return MemoryCapacity(recall=recall, total=float(recall.sum()))
