"""A step read from a function: its equations, its plan and the plan of its backward pass."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from seqjax.engine.equations import evaluate, shape_of, trace, variables
from seqjax.engine.gradient import Gradient, make_gradient
from seqjax.engine.plan import Plan, make_plan, merge_products, split_once
from seqjax.engine.platform import Choices
from seqjax.engine.platform import choices as platform_choices


class Program:
    """A step function, traced for given shapes and ready to run.

    ``inputs`` hold all time steps; arrays or their shapes are equally good. The parameters that the plan runs with are
    the values of the ``once`` stage, :meth:`frontier_values`.
    """

    def __init__(
        self, step: Callable, params: Any, carry: Any, inputs: Any, reverse: bool, choices: Choices | None = None
    ) -> None:
        (params, param_tree), (carry, self.carry_tree), (inputs, input_tree) = map(
            jax.tree.flatten, (params, carry, inputs)
        )
        self.reverse = reverse
        self.choices = platform_choices() if choices is None else choices
        self.time_steps = inputs[0].shape[0]
        self.output_tree: Any = None

        def flat(params: list, carry: list, inputs: list) -> list:
            new_carry, outputs = step(
                jax.tree.unflatten(param_tree, params),
                jax.tree.unflatten(self.carry_tree, carry),
                jax.tree.unflatten(input_tree, inputs),
            )
            outputs, self.output_tree = jax.tree.flatten(outputs)
            new_carry = [typed_like(v, c) for v, c in zip(jax.tree.leaves(new_carry), carry, strict=True)]
            return [*new_carry, *map(jnp.asarray, outputs)]

        traced = trace(
            flat, [*map(shape_of, params)], [*map(shape_of, carry)], [shape_of(leaf, drop=1) for leaf in inputs]
        )
        self.has_effects = traced.effects
        self.step = merge_products(traced)
        self.once, self.frontier, self.body = split_once(self.step)

    def frontier_values(self, params: Sequence[Any]) -> list[Any]:
        """The ``once`` stage: what the plan needs of the parameters."""
        environment = self.step.environment(params)
        evaluate(self.once, environment)
        return [environment[v] for v in self.frontier]

    @functools.cached_property
    def plan(self) -> Plan:
        """The forward pass."""
        return make_plan(self.body)

    @functools.cached_property
    def gradient(self) -> Gradient:
        """The backward pass."""
        return make_gradient(self.body, self.time_steps, self.choices)

    @functools.cached_property
    def saving_plan(self) -> Plan:
        """The forward pass that also returns what the backward pass needs."""
        there = set(variables(self.body.outputs))
        return make_plan(self.body, [v for v in self.gradient.saved if v not in there])


def typed_like(value: Any, like: Any) -> Any:
    """The value in the type of ``like``, and never weakly typed; random keys stay as they are."""
    extended = jnp.issubdtype(like.dtype, jax.dtypes.extended)
    return value if extended else lax.convert_element_type(value, like.dtype)
