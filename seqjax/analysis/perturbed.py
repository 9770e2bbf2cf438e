"""A step whose new carry can be perturbed where it is computed: what all derivatives to hidden states rest on."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Var

from seqjax.engine.equations import aval, evaluate, read, trace


def perturbed(step: Callable, params: Any, carry: Any, inputs: Any) -> Callable:
    r"""``carry, output = function(params, carry, inputs, perturbation)``: the step with its new carry perturbed.

    The perturbation is added to a leaf right after the equation that gives it, so that it reaches the next step *and*
    what the same step makes of the leaf: in an LSTM, a perturbation of :math:`c_t` moves :math:`h_t`, and one of
    :math:`h_t` moves the output. The derivative to it at zero is therefore :math:`d / d c_t` as a paper means it.

    ``perturbation`` is a list with one array for every leaf of the carry, ``None`` for a leaf that is left alone.

    Args:
        step: a cell, or any function ``step(params, carry, inputs) -> (carry, output)``.
        params: the step's parameters, or their shapes.
        carry: one carry, or its shapes.
        inputs: one step's inputs, or their shapes.
    """
    leaves = [jax.tree.leaves(tree) for tree in (params, carry, inputs)]
    structures = [jax.tree.structure(tree) for tree in (params, carry, inputs)]
    _, output = jax.eval_shape(step, params, carry, inputs)

    def flat(params: list, carry: list, inputs: list) -> tuple[list, list]:
        new_carry, output = step(
            *(jax.tree.unflatten(s, values) for s, values in zip(structures, (params, carry, inputs), strict=True))
        )
        return jax.tree.leaves(new_carry), jax.tree.leaves(output)

    traced = trace(flat, *leaves)
    output_tree = jax.tree.structure(output)
    # A leaf that no equation of the step gives (handed on as it came) is perturbed at the end.
    places: dict[Any, int] = {}
    given = {variable for equation in traced.equations for variable in equation.outvars}
    for index, atom in enumerate(traced.new_carry):
        if isinstance(atom, Var) and atom in given and is_state(aval(atom)):
            places.setdefault(atom, index)

    def function(params: Any, carry: Any, inputs: Any, perturbation: Sequence[jax.Array | None]) -> tuple[Any, Any]:
        environment = traced.environment(jax.tree.leaves(params))
        environment.update(zip(traced.carry, jax.tree.leaves(carry), strict=True))
        environment.update(zip(traced.inputs, jax.tree.leaves(inputs), strict=True))
        for equation in traced.equations:
            evaluate([equation], environment)
            for variable in equation.outvars:
                if variable in places:
                    environment[variable] += perturbation[places[variable]]
        new_carry = []
        for index, atom in enumerate(traced.new_carry):
            value, added = read(environment, atom), perturbation[index]
            new_carry.append(value if added is None or places.get(atom) == index else value + added)
        outputs = [read(environment, atom) for atom in traced.outputs]
        return jax.tree.unflatten(structures[1], new_carry), jax.tree.unflatten(output_tree, outputs)

    return function


def is_state(leaf: Any) -> bool:
    """Whether a leaf of a carry has a derivative: counters and random keys have none."""
    return jnp.issubdtype(leaf.dtype, jnp.inexact)
