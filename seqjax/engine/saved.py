"""What the forward pass keeps for the backward pass: a minimum cut.

The derivative of a step needs some of the step's values (gates, activations, left operands of products). A value can be
kept, at the cost of its bytes, or computed again from others. Computing again is cheap for elementwise work, which runs
for a whole chunk of time at once, but a product, an inner loop or a sort is not done twice, and the carry cannot be had
again at all. So the cheapest choice is a minimum vertex cut in the graph of the step's equations, between what cannot
be had again and what the derivative needs, with bytes as capacities. Among cuts of equal size the one nearest to the
derivative is taken, which computes the least again.

For an LSTM the cut is the four gates, the cell and the hidden state; not the input projection, not the recurrent one.
"""

import math
from collections.abc import Iterable

from jax.extend.core import JaxprEqn, Var

from seqjax.engine.equations import Step, bytes_of, variables

_EXPENSIVE = frozenset(
    {
        "dot_general",
        "conv_general_dilated",
        "while",
        "cond",
        "scan",
        "custom_vjp_call",
        "custom_vjp_call_jaxpr",
        "sort",
        "top_k",
        "cumsum",
        "cumprod",
        "cummax",
        "cummin",
        "cumlogsumexp",
        "fft",
        "cholesky",
        "eigh",
        "lu",
        "qr",
        "svd",
        "schur",
        "triangular_solve",
        "random_bits",
        "threefry2x32",
        "rng_bit_generator",
        "gather",
        "scatter",
        "scatter-add",
        "pallas_call",
        "pure_callback",
        "ffi_call",
    }
)


def can_be_computed_again(equation: JaxprEqn) -> bool:
    """Whether the equation is cheap enough to evaluate a second time."""
    return equation.primitive.name not in _EXPENSIVE


def values_to_save(step: Step, required: Iterable[Var]) -> list[Var]:
    """The cheapest set of the step's values from which every required one can be computed."""
    import numpy as np
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    fixed = set(step.params) | set(step.inputs)
    nodes = list(step.carry) + [v for e in step.equations for v in e.outvars]
    index = {v: i for i, v in enumerate(nodes)}
    # Node i is split into an entry 2 i and an exit 2 i + 1; the edge between them is the choice to save it.
    source, sink = 2 * len(nodes), 2 * len(nodes) + 1
    sizes = [max(1, bytes_of(v)) for v in nodes]
    # The flow solver counts in 32 bits.
    unit = max(math.gcd(*sizes), math.ceil(sum(sizes) / 2**30))
    sizes = [math.ceil(size / unit) for size in sizes]
    unlimited = sum(sizes) + 1
    edges: dict[tuple[int, int], int] = {(2 * i, 2 * i + 1): size for i, size in enumerate(sizes)}
    for v in step.carry:
        edges[source, 2 * index[v]] = unlimited
    for equation in step.equations:
        for v in equation.outvars:
            if not can_be_computed_again(equation):
                edges[source, 2 * index[v]] = unlimited
                continue
            for operand in variables(equation.invars):
                if operand not in fixed:
                    edges[2 * index[operand] + 1, 2 * index[v]] = unlimited
    required = [v for v in required if v in index]
    if not required:
        return []
    for v in required:
        edges[2 * index[v] + 1, sink] = unlimited
    rows, columns = zip(*edges, strict=True)
    shape = (sink + 1, sink + 1)
    capacity = csr_array((np.array(list(edges.values()), np.int32), (rows, columns)), shape)
    flow = maximum_flow(capacity, source, sink).flow
    residual = csr_array(capacity - flow)
    residual.eliminate_zeros()
    reaches_sink = set(breadth_first_order(csr_array(residual.T), sink, return_predecessors=False).tolist())
    return [v for v, i in index.items() if 2 * i + 1 in reaches_sink and 2 * i not in reaches_sink]
