"""One step of the same cell in every library, compiled once, for inputs that come one at a time.

Parameters are passed to the compiled JAX steps as a plain list of arrays: walking through a library's own containers at
every call would cost more than the step.
"""

import dataclasses
import importlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.bench import jax_models
from seqjax.bench.programs import Problem
from seqjax.bench.torch_program import torch_device, torch_weights


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
    """What is timed.

    Attributes:
        carry: the one before the first step, zeros.
        run: ``carry, output = run(carry)``, always with the same inputs; it waits for the output.
        comparable: whether outputs must be equal to ours.
    """

    carry: Any
    run: Callable[[Any], tuple[Any, Any]]
    comparable: bool = True


def _jitted(problem: Problem, step: Callable[..., Any], params: Any, carry: Any, comparable: bool = True) -> Step:
    """Of ``carry, output = step(params, carry, inputs)``."""
    leaves, tree = jax.tree.flatten(jax.tree.map(jnp.asarray, params))
    compiled = jax.jit(lambda leaves, carry, inputs: step(tree.unflatten(leaves), carry, inputs))
    inputs = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), problem.inputs)

    def run(carry: Any) -> tuple[Any, Any]:
        carry, output = compiled(leaves, carry, inputs)
        output.block_until_ready()
        return carry, output

    return Step(carry=jax.tree.map(jnp.asarray, carry), run=run, comparable=comparable)


def _zeros(problem: Problem) -> jax.Array:
    return jnp.zeros((problem.shape.batch, problem.shape.hidden))


def ours(problem: Problem) -> Step:
    """The cell itself in ``jax.jit``."""
    carry = problem.cell.initial_carry((problem.shape.batch,), params=problem.params)
    return _jitted(problem, problem.cell, problem.params, carry)


def flax_nnx(problem: Problem) -> Step:
    """``LSTMCell``, ``GRUCell`` or ``SimpleCell``."""
    return _nnx(problem, {"LSTM": "LSTMCell", "GRU": "GRUCell", "Elman": "SimpleCell"}[problem.name])


def flax_nnx_optimized(problem: Problem) -> Step:
    """``OptimizedLSTMCell``."""
    return _nnx(problem, "OptimizedLSTMCell")


def _nnx(problem: Problem, kind: str) -> Step:
    from flax import nnx

    graph, state = nnx.split(jax_models.nnx_cell(problem, kind))
    carry = (_zeros(problem), _zeros(problem)) if problem.name == "LSTM" else _zeros(problem)
    return _jitted(problem, lambda state, carry, inputs: nnx.merge(graph, state)(carry, inputs), state, carry)


def haiku(problem: Problem) -> Step:
    """``hk.LSTM``, ``hk.GRU`` or ``hk.VanillaRNN``."""
    hk = importlib.import_module("haiku")
    zeros = _zeros(problem)
    carry = hk.LSTMState(hidden=zeros, cell=zeros) if problem.name == "LSTM" else zeros
    network = lambda inputs, carry: jax_models.haiku_core(problem)(inputs, carry)
    apply, params = jax_models.haiku_function(problem, network, jnp.asarray(problem.inputs[0]), carry)
    step = lambda params, carry, inputs: apply(params, inputs, carry)[::-1]
    return _jitted(problem, step, params, carry, comparable=problem.name == "LSTM")


def equinox(problem: Problem) -> Step:
    """``eqx.nn.LSTMCell`` or ``GRUCell``, vmapped over the batch."""
    eqx = importlib.import_module("equinox")
    arrays, static = eqx.partition(jax_models.equinox_cell(problem), eqx.is_inexact_array)
    lstm = problem.name == "LSTM"

    def step(arrays: Any, carry: Any, inputs: jax.Array) -> tuple[Any, jax.Array]:
        carry = jax.vmap(eqx.combine(arrays, static))(inputs, carry)
        return carry, carry[0] if lstm else carry

    return _jitted(problem, step, arrays, (_zeros(problem), _zeros(problem)) if lstm else _zeros(problem))


def torch(problem: Problem) -> Step:
    """``torch.nn.LSTMCell``, ``GRUCell`` or ``RNNCell`` in inference mode."""
    torch = importlib.import_module("torch")
    device, shape = torch_device(), problem.shape
    kind = {"Elman": "RNN"}.get(problem.name, problem.name)
    cell = getattr(torch.nn, f"{kind}Cell")(shape.inputs, shape.hidden)
    cell.load_state_dict(torch_weights(problem))
    cell.to(device)
    inputs = torch.tensor(problem.inputs[0], device=device)
    zeros = torch.zeros(shape.batch, shape.hidden, device=device)
    lstm = problem.name == "LSTM"

    def run(carry: Any) -> tuple[Any, Any]:
        with torch.inference_mode():
            carry = cell(inputs, carry)
        if device == "cuda":
            torch.cuda.synchronize()
        return carry, carry[0] if lstm else carry

    return Step(carry=(zeros, zeros) if lstm else zeros, run=run)


def as_numpy(output: Any) -> np.ndarray:
    """A step's output from any library."""
    return np.asarray(output.cpu() if hasattr(output, "cpu") else output)


# The others have no step of their own that is meant to be called alone, or it is ours.
STEPS: dict[str, Callable[[Problem], Step]] = {
    "nnx": flax_nnx,
    "nnx-optimized": flax_nnx_optimized,
    "haiku": haiku,
    "equinox": equinox,
    "torch": torch,
}
