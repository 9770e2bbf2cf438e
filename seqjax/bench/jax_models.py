"""The same cell in every JAX library, from our parameters, in the layout and the loop that suit the library best.

Loops are not unrolled: on a CPU, for an LSTM of 128 and 200 units, unrolling by 2 gained up to 6 %, by 4 nothing, and
by 8 took up to 1.7 times as long, at up to five times the compile time.
"""

import dataclasses
import importlib
import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import PartitionSpec as P

from seqjax.bench.programs import Model, Problem
from seqjax.engine import scan
from seqjax.parallel import batch_mesh


def ours(problem: Problem, checkpoint: Any = None, split: bool = False) -> Model:
    """``seqjax.scan``; the same program also where the batch is split."""
    forward = lambda params, inputs: scan(problem.cell, params, inputs, checkpoint=checkpoint)[1]
    return Model(forward=forward, params=problem.params, inputs=problem.inputs, split=split)


def lax_scan(problem: Problem) -> Model:
    """``jax.lax.scan`` of our step."""

    def forward(params: Any, inputs: Any) -> jax.Array:
        carry = problem.cell.initial_carry((jax.tree.leaves(inputs)[0].shape[1],), params=params)
        return lax.scan(lambda carry, x: problem.cell(params, carry, x), carry, inputs)[1]

    return Model(forward=forward, params=problem.params, inputs=problem.inputs)


def lax_split(problem: Problem) -> Model:
    """:func:`lax_scan` on every device's part of the batch; the transpose of the split sums the gradients."""
    plain = lax_scan(problem)
    batch = P(None, "batch")
    forward = jax.shard_map(plain.forward, mesh=batch_mesh(), in_specs=(P(), batch), out_specs=batch, check_vma=False)
    return dataclasses.replace(plain, forward=forward, split=True)


def flax_nnx(problem: Problem) -> Model:
    """``LSTMCell``, ``GRUCell`` or ``SimpleCell`` in ``nnx.RNN``."""
    return _nnx(problem, {"LSTM": "LSTMCell", "GRU": "GRUCell", "Elman": "SimpleCell"}[problem.name])


def flax_nnx_optimized(problem: Problem) -> Model:
    """``OptimizedLSTMCell`` in ``nnx.RNN``."""
    return _nnx(problem, "OptimizedLSTMCell")


def _nnx(problem: Problem, kind: str) -> Model:
    from flax import nnx

    graph, state = nnx.split(nnx.RNN(nnx_cell(problem, kind), time_major=True, rngs=False))

    def forward(state: Any, inputs: jax.Array) -> jax.Array:
        layer = nnx.merge(graph, state)
        return layer(inputs, initial_carry=layer.cell.initialize_carry(inputs.shape[1:], nnx.Rngs(0)))

    return Model(forward=forward, params=state, inputs=problem.inputs)


def nnx_cell(problem: Problem, kind: str) -> Any:
    """A cell of flax with our parameters."""
    from flax import nnx

    shape, params = problem.shape, problem.params
    cell = getattr(nnx, kind)(shape.inputs, shape.hidden, rngs=nnx.Rngs(0))
    if kind == "LSTMCell":
        # One layer a gate; the gates' names are i, f, g, o with an underscore where Python has a keyword.
        parts = (np.split(part, 4, axis=-1) for part in params)
        for gate, kernel, recurrent_kernel, bias in zip("ifgo", *parts, strict=True):
            getattr(cell, "if_" if gate == "f" else f"i{gate}").kernel[...] = jnp.asarray(kernel)
            recurrent = getattr(cell, f"h{gate}")
            recurrent.kernel[...], recurrent.bias[...] = jnp.asarray(recurrent_kernel), jnp.asarray(bias)
    else:
        cell.dense_i.kernel[...] = jnp.asarray(params.kernel)
        cell.dense_h.kernel[...] = jnp.asarray(params.recurrent_kernel)
        biased = cell.dense_h if kind == "OptimizedLSTMCell" else cell.dense_i
        biased.bias[...] = jnp.asarray(params.bias)
    return cell


def haiku(problem: Problem) -> Model:
    """``hk.LSTM``, ``hk.GRU`` or ``hk.VanillaRNN`` in ``hk.dynamic_unroll``.

    Its GRU resets before the product, and its simple network has no tanh but relu: those two are not ours.
    """
    hk = importlib.import_module("haiku")

    def network(inputs: jax.Array) -> jax.Array:
        core = haiku_core(problem)
        return hk.dynamic_unroll(core, inputs, core.initial_state(problem.shape.batch))[0]

    forward, params = haiku_function(problem, network, jnp.asarray(problem.inputs))
    return Model(forward=forward, params=params, inputs=problem.inputs, comparable=problem.name == "LSTM")


def haiku_core(problem: Problem) -> Any:
    """A core of haiku, to be made inside its ``transform``."""
    hk = importlib.import_module("haiku")
    kinds = {"LSTM": hk.LSTM, "GRU": hk.GRU, "Elman": lambda size: hk.VanillaRNN(size, double_bias=False)}
    return kinds[problem.name](problem.shape.hidden)


def haiku_function(problem: Problem, network: Callable[..., Any], *arguments: Any) -> tuple[Callable[..., Any], Any]:
    """A network of one core as a pure function, and its parameters, which for an LSTM are ours."""
    hk = importlib.import_module("haiku")
    transformed = hk.without_apply_rng(hk.transform(network))
    params = transformed.init(jax.random.key(0), *arguments)
    if problem.name == "LSTM":
        kernel = np.concatenate([problem.params.kernel, problem.params.recurrent_kernel])
        # It adds 1 to the forget gate in the step.
        bias = problem.params.bias - np.repeat(np.array([0, 1, 0, 0], np.float32), problem.shape.hidden)
        params = {"lstm/linear": {"w": _gates(kernel, "ifgo", "igfo"), "b": _gates(bias, "ifgo", "igfo")}}
    return transformed.apply, params


def equinox(problem: Problem) -> Model:
    """``eqx.nn.LSTMCell`` or ``GRUCell``, vmapped over the batch, in ``lax.scan``."""
    eqx = importlib.import_module("equinox")
    shape = problem.shape
    arrays, static = eqx.partition(equinox_cell(problem), eqx.is_inexact_array)
    lstm = problem.name == "LSTM"

    def forward(arrays: Any, inputs: jax.Array) -> jax.Array:
        step = jax.vmap(eqx.combine(arrays, static))
        zeros = jnp.zeros((shape.batch, shape.hidden))

        def body(state: Any, x: jax.Array) -> tuple[Any, jax.Array]:
            state = step(x, state)
            return state, state[0] if lstm else state

        return lax.scan(body, (zeros, zeros) if lstm else zeros, inputs)[1]

    return Model(forward=forward, params=arrays, inputs=problem.inputs)


def equinox_cell(problem: Problem) -> Any:
    """A cell of equinox with our parameters."""
    eqx = importlib.import_module("equinox")
    ours, sizes = problem.params, (problem.shape.inputs, problem.shape.hidden)
    cell = getattr(eqx.nn, f"{problem.name}Cell")(*sizes, key=jax.random.key(0))
    names = {"weight_ih": ours.kernel.T, "weight_hh": ours.recurrent_kernel.T, "bias": ours.bias}
    if problem.name == "GRU":
        names["bias_n"] = ours.recurrent_bias
    return eqx.tree_at(lambda cell: [getattr(cell, name) for name in names], cell, list(names.values()))


def keras(problem: Problem) -> Model:
    """``keras.layers.LSTM``, ``GRU`` or ``SimpleRNN`` on the JAX backend; it takes batches first."""
    os.environ["KERAS_BACKEND"] = "jax"
    keras = importlib.import_module("keras")
    if keras.config.backend() != "jax":
        raise RuntimeError(f"Keras was imported with the {keras.config.backend()} backend before, expected jax")
    shape, ours = problem.shape, problem.params
    kind = {"Elman": "SimpleRNN"}.get(problem.name, problem.name)
    layer = getattr(keras.layers, kind)(shape.hidden, return_sequences=True)
    layer.build((shape.batch, shape.time, shape.inputs))
    weights = [ours.kernel, ours.recurrent_kernel, ours.bias]
    if problem.name == "GRU":
        recurrent_bias = np.concatenate([np.zeros(2 * shape.hidden, np.float32), ours.recurrent_bias])
        weights = [_gates(part, "rzn", "zrn") for part in (*weights[:2], np.stack([ours.bias, recurrent_bias]))]
    layer.set_weights(weights)
    others = [variable.value for variable in layer.non_trainable_variables]
    return Model(
        forward=lambda params, inputs: layer.stateless_call(params, others, inputs)[0],
        params=[variable.value for variable in layer.trainable_variables],
        inputs=np.ascontiguousarray(problem.inputs.swapaxes(0, 1)),
        batch_major=True,
    )


def _gates(stacked: np.ndarray, ours: str, theirs: str) -> np.ndarray:
    """Gates side by side on the last axis, from our order to theirs."""
    parts = dict(zip(ours, np.split(stacked, len(ours), axis=-1), strict=True))
    return np.concatenate([parts[gate] for gate in theirs], axis=-1)
