"""What the forward pass keeps for the backward pass: a minimum cut.

The derivative of a step needs some of the step's values (gates, activations, left operands of products). A value can be
kept, at the cost of its bytes, or computed again from others. Computing again is cheap for elementwise work, which runs
for a whole chunk of time at once; an inner loop or a sort is not done twice, a product only where it costs less than
its bytes, and the carry cannot be had again at all. So the cheapest choice is a minimum vertex cut in the graph of the
step's equations, between what cannot be had again and what the derivative needs, with bytes as capacities. What is
there anyway costs nothing: the outputs of the step, and the carry before a step, which is the new carry of the step
before it.

Among cuts of equal size the one nearest to the source is taken. It computes the most again, but in chunks, and the loop
writes fewer and simpler values: keeping the preactivations of an LSTM as they come out of the product, and not the four
gates, took up to a quarter off the time of a training step.

A product of the cut that a bias is added to, and which nothing else reads, is kept with its bias: it is as large, and
the bias need not be added again. A value of the cut that goes into an activation only is not kept: the activation is
as large, the loop has it at hand, and it need not be computed again either. Where the value needs the carry, keeping
the activation is work of its own in the loop, which pays from some size on.

For an LSTM the cut is the preactivations, the cell and the hidden state, which is its output.
"""

import math
from collections.abc import Container, Iterable

from jax.extend.core import JaxprEqn, Literal, Var

from seqjax.engine.equations import Step, bytes_of, dependent, variables
from seqjax.engine.flops import operations

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

_ACTIVATIONS = frozenset({"tanh", "logistic", "exp", "erf", "sin", "cos"})
_TERMS_AND_FACTORS = frozenset({"add", "sub", "mul", "neg"})


def _price(equation: JaxprEqn, operations_per_byte: float) -> float:
    """What computing the equation again costs, in bytes kept."""
    if equation.primitive.name == "dot_general" and operations_per_byte:
        return operations(equation) / operations_per_byte
    return math.inf if equation.primitive.name in _EXPENSIVE else 0.0


def values_to_save(
    step: Step,
    required: Iterable[Var],
    there_anyway: Container[Var] = (),
    operations_per_byte: float = 0.0,
    activations_from: float = math.inf,
) -> list[Var]:
    """The cheapest set of the step's values from which every required one can be computed.

    Args:
        step: the step.
        required: values that are needed.
        there_anyway: values that cost nothing to keep.
        operations_per_byte: so many operations of a product cost as much as keeping one byte; 0 never computes a
            product again.
        activations_from: a value of so many bytes that needs the carry is kept as the activation that it goes into; one
            that does not is at any size.
    """
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
    unit = math.ceil(sum(sizes) / 2**30)
    sizes = [1 if v in there_anyway else math.ceil(size / unit) for v, size in zip(nodes, sizes, strict=True)]
    unlimited = sum(sizes) + 1
    edges: dict[tuple[int, int], int] = {(2 * i, 2 * i + 1): size for i, size in enumerate(sizes)}
    for v in step.carry:
        edges[source, 2 * index[v]] = unlimited
    for equation in step.equations:
        for v in equation.outvars:
            price = _price(equation, operations_per_byte)
            if price:
                edges[source, 2 * index[v]] = min(math.ceil(min(price, unlimited * unit) / unit), unlimited)
            if price == math.inf:
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
    reached = set(breadth_first_order(residual, source, return_predecessors=False).tolist())
    cut = [v for v, i in index.items() if 2 * i in reached and 2 * i + 1 not in reached]
    elsewhere = {*required, *(v for v in nodes if v in there_anyway), *variables([*step.new_carry, *step.outputs])}
    moving = dependent(step.equations, step.carry)
    replaced = [v for v in cut if v not in moving or bytes_of(v) >= activations_from]
    activations = {v: _activation(v, step, elsewhere) for v in replaced}
    return [activations.get(v) or _with_bias(v, step, fixed, elsewhere) for v in cut]


def _readers(value: Var, step: Step) -> list[JaxprEqn]:
    return [e for e in step.equations if value in e.invars]


def _activation(value: Var, step: Step, elsewhere: set[Var]) -> Var | None:
    """The activation that the value goes into, perhaps with other terms and factors, if it goes nowhere else."""
    v = value
    while v not in elsewhere:
        readers = _readers(v, step)
        if len(readers) != 1 or readers[0].primitive.name not in _ACTIVATIONS | _TERMS_AND_FACTORS:
            return None
        [reader] = readers
        [v] = reader.outvars
        if bytes_of(v) != bytes_of(value):
            return None
        if reader.primitive.name in _ACTIVATIONS:
            return v
    return None


def _with_bias(value: Var, step: Step, fixed: set[Var], elsewhere: set[Var]) -> Var:
    """A product, or a part of one, with what is added to it at every step alike, if nothing else reads it."""
    makers = [e.primitive.name for e in step.equations if value in e.outvars]
    readers = _readers(value, step)
    if makers not in (["dot_general"], ["split"]) or len(readers) != 1 or value in elsewhere:
        return value
    [reader] = readers
    alike = all(v is value or isinstance(v, Literal) or v in fixed for v in reader.invars)
    return reader.outvars[0] if reader.primitive.name == "add" and alike else value
