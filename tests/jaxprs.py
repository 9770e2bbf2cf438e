"""Walking through traced programs."""

from collections.abc import Iterator
from typing import Any

import jax.extend
from jax.extend.core import JaxprEqn


def all_equations(jaxpr: Any) -> Iterator[JaxprEqn]:
    """The equations of a traced program, those of inner programs right after the equation that they belong to."""
    for equation in jaxpr.eqns:
        yield equation
        for inner in jax.extend.core.jaxprs_in_params(equation.params):
            yield from all_equations(inner)
