"""Weights of other libraries as parameters of our cells: gate orders, transpositions, and which biases may be summed.

Kernels here are NumPy arrays ``[features, gates * hidden]`` with gates side by side, ours in the orders i, f, g, o and
r, z, n. Two biases may be summed, except for the candidate's in a GRU that resets after its product.
"""

from typing import Any

import numpy as np

from seqjax.cells import elman, gru, lstm

# NumPy arrays: what the parameters' types promise comes when they are handed to JAX.
Array = Any


def reorder(stacked: Array, theirs: str, ours: str) -> Array:
    """Gates side by side on the last axis, from their order to ours."""
    parts = dict(zip(theirs, np.split(np.asarray(stacked), len(theirs), axis=-1), strict=True))
    return np.concatenate([parts[gate] for gate in ours], axis=-1)


def elman_params(kernel: Array, recurrent: Array, bias: Array) -> elman.ElmanParams:
    return elman.ElmanParams(kernel, recurrent, bias)


def lstm_params(kernel: Array, recurrent: Array, bias: Array, order: str) -> lstm.LSTMParams:
    return lstm.LSTMParams(*(reorder(part, order, "ifgo") for part in (kernel, recurrent, bias)))


def gru_params(kernel: Array, recurrent: Array, biases: tuple[Array, Array], order: str, after: bool) -> gru.GRUParams:
    """``biases`` are the input's and the recurrent one, ``[3 * hidden]`` each."""
    of_inputs, of_recurrence = (reorder(bias, order, "rzn") for bias in biases)
    size = of_inputs.shape[-1] // 3
    # Only the candidate's recurrent bias is inside the reset.
    summed = slice(None) if not after else slice(2 * size)
    bias = of_inputs.copy()
    bias[summed] += of_recurrence[summed]
    return gru.GRUParams(
        reorder(kernel, order, "rzn"),
        reorder(recurrent, order, "rzn"),
        bias,
        of_recurrence[2 * size :] if after else None,
    )


def from_torch(kind: str, weights: dict[str, Any]) -> Any:
    """One layer and direction of ``torch.nn.RNN``, ``LSTM`` or ``GRU``: weight_ih, weight_hh, bias_ih, bias_hh."""
    kernel, recurrent = weights["weight_ih"].T, weights["weight_hh"].T
    biases = (weights["bias_ih"], weights["bias_hh"])
    if kind == "LSTM":
        return lstm_params(kernel, recurrent, biases[0] + biases[1], "ifgo")
    if kind == "GRU":
        return gru_params(kernel, recurrent, biases, "rzn", after=True)
    return elman_params(kernel, recurrent, biases[0] + biases[1])


def from_onnx(kind: str, kernel: Array, recurrent: Array, bias: Array, after: bool = False) -> Any:
    """One direction of an ONNX node: W ``[gates * H, in]``, R ``[gates * H, H]``, B ``[2 * gates * H]``."""
    kernel, recurrent, biases = kernel.T, recurrent.T, np.split(bias, 2)
    if kind == "LSTM":
        return lstm_params(kernel, recurrent, biases[0] + biases[1], "iofg")
    if kind == "GRU":
        return gru_params(kernel, recurrent, (biases[0], biases[1]), "zrn", after)
    return elman_params(kernel, recurrent, biases[0] + biases[1])


def from_keras(kind: str, variables: list[Array], after: bool = False) -> Any:
    """A Keras layer's kernel, recurrent kernel and bias; a GRU that resets after has two rows of biases."""
    kernel, recurrent, bias = variables
    if kind == "LSTM":
        return lstm_params(kernel, recurrent, bias, "ifgo")
    biases = (bias[0], bias[1]) if after else (bias, np.zeros_like(bias))
    return gru_params(kernel, recurrent, biases, "zrn", after)
