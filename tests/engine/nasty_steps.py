"""Steps that a planner is likely to get wrong, one small function each; the docstring says what is nasty."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tests.engine.random_steps import doublings, reversed_slope

# A prime, and long enough for more than one chunk of time.
TIME, BATCH, SIZE = 131, 2, 4


class Problem(NamedTuple):
    """A step and what it is run on; a closure, where there is one, is the step's fourth argument and differentiated."""

    step: Callable[..., tuple[Any, Any]]
    params: Any
    carry: Any
    inputs: Any
    closure: Any = None
    tolerance: float = 2e-5


NASTY: list[Callable[[], Problem]] = []


def nasty(function: Callable[[], Problem]) -> Callable[[], Problem]:
    NASTY.append(function)
    return function


def normal(*shape: int, seed: int = 0, scale: float = 0.5) -> jax.Array:
    draw = np.random.default_rng([seed, *shape]).standard_normal(shape)
    return jnp.asarray(scale * draw, jnp.float32)


W, U, V = (normal(SIZE, SIZE, seed=seed) for seed in (1, 2, 3))
B = normal(SIZE, seed=4)
X = normal(TIME, BATCH, SIZE, seed=5, scale=1.0)
H = normal(BATCH, SIZE, seed=6)


@nasty
def no_carry() -> Problem:
    """The carry is an empty tuple: everything leaves the loop."""
    return Problem(lambda p, c, x: (c, jnp.tanh(x @ p)), W, (), X)


@nasty
def carry_handed_on_unused() -> Problem:
    """Nobody reads the carry."""
    return Problem(lambda p, c, x: (c, x @ p), W, H, X)


@nasty
def delay_lines() -> Problem:
    """New carries are inputs, or other carries, with no equation at all."""
    return Problem(lambda p, c, x: ((x, c[0], c[1]), c[2] @ p), W, (H, 2 * H, 3 * H), X)


@nasty
def carries_exchanged() -> Problem:
    """The carries swap places."""
    return Problem(lambda p, c, x: ((c[1], jnp.tanh(c[0] @ p + x)), None), W, (H, -H), X)


@nasty
def one_value_in_two_places() -> Problem:
    """One array is both carries and the output, and was both carries at the start."""

    def step(p: Any, c: Any, x: Any) -> Any:
        h = jnp.tanh(c["a"] @ p + c["b"] @ p + x)
        return {"a": h, "b": h}, (h, h)

    return Problem(step, W, {"a": H, "b": H}, X)


@nasty
def literal_carry_and_outputs() -> Problem:
    """The new carry is a constant; outputs are Python numbers."""
    return Problem(lambda p, c, x: (jnp.zeros_like(c) + 0.5, (1.0, 2, c @ p)), W, H, X)


@nasty
def carry_of_parameters() -> Problem:
    """The new carry is a parameter; the output is one too."""
    return Problem(lambda p, c, x: (p["h"], (p["b"], c * x)), {"h": H, "b": B}, 2 * H, X)


@nasty
def matrix_on_the_left() -> Problem:
    """Column vectors: W h."""
    return Problem(lambda p, c, x: (jnp.tanh(p["w"] @ c + p["u"] @ x), c), {"w": W, "u": U}, H[0], X[:, 0])


@nasty
def vector_times_matrix() -> Problem:
    """No batch axis."""
    return Problem(
        lambda p, c, x: (jnp.tanh(c @ p["w"] + x @ p["u"]), c @ p["v"]), {"w": W, "u": U, "v": V}, H[0], X[:, 0]
    )


@nasty
def both_sides_of_one_matrix() -> Problem:
    """Products with one left operand that may not become one: h W and h Wᵀ contract different axes of W."""
    return Problem(lambda p, c, x: (jnp.tanh(c @ p - c @ p.T + x), None), W, H, X)


@nasty
def other_axes_of_the_kernels() -> Problem:
    """One left operand, kernels of one shape and type, but other contracted axes."""
    contract = lambda a, b, axis: lax.dot_general(a, b, (((1,), (axis,)), ((), ())))
    return Problem(lambda p, c, x: (jnp.tanh(contract(c, p[0], 0) + contract(c, p[1], 1) + x), None), [W, U], H, X)


@nasty
def other_sides_of_a_vector() -> Problem:
    """h W and U h, with the carry left in one product and right in the other."""
    return Problem(lambda p, c, x: (jnp.tanh(c @ p[0] + p[1] @ c + x), c @ p[2]), [W, U, V], H[0], X[:, 0])


@nasty
def results_of_two_types() -> Problem:
    """One left operand, kernels of one type, products accumulated in different types."""

    def step(p: Any, c: Any, x: Any) -> Any:
        a = lax.dot(c, p[0], preferred_element_type=jnp.float32)
        b = lax.dot(c, p[1], preferred_element_type=jnp.bfloat16)
        return jnp.tanh(a + b + x).astype(c.dtype), (a, b)

    kernels = [W.astype(jnp.bfloat16), U.astype(jnp.bfloat16)]
    return Problem(step, kernels, H.astype(jnp.bfloat16), X, tolerance=5e-2)


@nasty
def one_kernel_three_ways() -> Problem:
    """The kernel is used at two stages, elementwise, and on the inputs."""

    def step(p: Any, c: Any, x: Any) -> Any:
        first = jnp.tanh(c @ p + x @ p)
        return jnp.tanh(first @ p + p[0]), first * p.sum()

    return Problem(step, W, H, X)


@nasty
def chain_of_three_products() -> Problem:
    """Each product feeds the next."""
    return Problem(lambda p, c, x: (jnp.tanh(jnp.sin(jnp.tanh(c @ p[0] + x) @ p[1]) @ p[2]), c @ p[1]), [W, U, V], H, X)


@nasty
def linear_chain_of_products() -> Problem:
    """Nothing between the products: h W U."""
    return Problem(lambda p, c, x: (0.5 * (c @ p[0] @ p[1]) + x, c), [W, U], H, X)


@nasty
def gated_left_operand() -> Problem:
    """(r h) U with r of h: the GRU of the published paper, one matrix a gate."""

    def step(p: Any, h: Any, x: Any) -> Any:
        r, z = jax.nn.sigmoid(x @ p[0] + h @ p[1]), jax.nn.sigmoid(x @ p[2] + h @ p[3])
        n = jnp.tanh(x @ p[4] + (r * h) @ p[5])
        return (1 - z) * n + z * h, n

    return Problem(step, [normal(SIZE, SIZE, seed=10 + i) for i in range(6)], H, X)


@nasty
def concatenated_operand() -> Problem:
    """[x, h] W: inputs and carry in one product."""
    kernel = normal(2 * SIZE, 2 * SIZE, seed=8)

    def step(p: Any, c: Any, x: Any) -> Any:
        a, b = jnp.split(jnp.concatenate([x, c], -1) @ p, 2, axis=-1)
        return jnp.tanh(a) * jax.nn.sigmoid(b), b

    return Problem(step, kernel, H, X)


@nasty
def overlapping_slices_of_a_kernel() -> Problem:
    """Two products with parts of one matrix that overlap."""
    kernel = normal(SIZE, SIZE + 2, seed=9)
    return Problem(lambda p, c, x: (jnp.tanh(c @ p[:, :SIZE] + x), c @ p[:, 2:]), kernel, H, X)


@nasty
def kernel_with_structure() -> Problem:
    """The kernel is computed from parameters: antisymmetric, normalised, masked."""

    def step(p: Any, c: Any, x: Any) -> Any:
        kernel = (p - p.T) / jnp.linalg.norm(p, axis=0) + jnp.tril(p)
        return c + 0.1 * jnp.tanh(c @ kernel + x), None

    return Problem(step, W, H, X)


@nasty
def kernel_of_the_inputs() -> Problem:
    """Another kernel every step (a hypernetwork)."""
    return Problem(lambda p, c, x: (jnp.tanh(jnp.einsum("bi,ij,bj->bj", c, p, x)), c @ (p * x.mean())), W, H, X)


@nasty
def wholes_and_parts() -> Problem:
    """A split that the loop and the outputs read; a concatenation with a part twice, whose parts are read as well."""

    def step(p: Any, c: Any, x: Any) -> Any:
        left, right = jnp.split(x @ jnp.concatenate(p, axis=1), 2, axis=1)
        a = jnp.tanh(left + c @ p[0])
        whole = jnp.concatenate([a, c, a, x, a * right], axis=1)
        c = jnp.tanh(whole @ jnp.tile(p[1], (5, 1)) + whole[:, :SIZE])
        return c, (whole, a, right, jnp.sin(a) @ p[0])

    return Problem(step, (W, U), H, X)


@nasty
def kernel_of_the_carry() -> Problem:
    """Fast weights: the carry is the matrix."""

    def step(p: Any, m: Any, x: Any) -> Any:
        q, k, v = x @ p[0], jax.nn.softmax(x @ p[1]), x @ p[2]
        read = jnp.einsum("bi,bij->bj", k, m)
        return m + jnp.einsum("bi,bj->bij", k, v - read), jnp.einsum("bi,bij->bj", q, m)

    return Problem(step, [W, U, V], normal(BATCH, SIZE, SIZE), X)


@nasty
def carry_times_carry() -> Problem:
    """Both operands of the product are carried."""
    return Problem(lambda p, m, x: (jnp.tanh(m @ m.mT + x[:, :, None] * p), m.sum(1)), W, normal(BATCH, SIZE, SIZE), X)


@nasty
def carry_on_the_right() -> Problem:
    """x M, with the carry M as the right operand."""
    return Problem(lambda p, m, x: (jnp.tanh(p @ m), x @ m), W, normal(SIZE, SIZE), X)


@nasty
def matrix_carry_between_kernels() -> Problem:
    """U M W with a matrix for a carry."""
    return Problem(lambda p, m, x: (jnp.tanh(p[0] @ m @ p[1] + x.mean()), m[0]), [W, U], normal(SIZE, SIZE), X)


@nasty
def heads() -> Problem:
    """Block-diagonal: a product with a batch axis in the kernel, on a reshaped carry."""

    def step(p: Any, c: Any, x: Any) -> Any:
        mixed = jnp.einsum("bgi,gij->bgj", c.reshape(BATCH, 2, 2), p).reshape(BATCH, SIZE)
        return jnp.tanh(mixed + x), mixed

    return Problem(step, normal(2, 2, 2), H, X)


@nasty
def two_contracted_axes() -> Problem:
    """A product over two axes at once."""
    return Problem(
        lambda p, c, x: (jnp.tanh(jnp.einsum("bij,ijk->bk", c, p).reshape(c.shape) + x.reshape(c.shape)), None),
        normal(2, 2, SIZE),
        H.reshape(BATCH, 2, 2),
        X,
    )


@nasty
def products_of_other_shapes() -> Problem:
    """Merged products of different widths, one of width one and one with a vector."""
    params = [W, normal(SIZE, 1), normal(SIZE, 7), B]
    return Problem(
        lambda p, c, x: (jnp.tanh(c @ p[0] + c @ p[1] + (c @ p[2])[:, 3:] + (c @ p[3])[:, None] + x), c @ p[2]),
        params,
        H,
        X,
    )


@nasty
def features_of_size_zero() -> Problem:
    """Arrays without elements."""
    return Problem(lambda p, c, x: (jnp.tanh(c @ W + x @ p), x), normal(0, SIZE), H, X[..., :0])


@nasty
def convolution() -> Problem:
    """A product that is not a dot: ConvLSTM's kind."""

    def step(p: Any, c: Any, x: Any) -> Any:
        convolve = lambda a: lax.conv_general_dilated(a, p, (1,), "SAME", dimension_numbers=("NWC", "WIO", "NWC"))
        return jnp.tanh(convolve(c) + x[..., None]), c.sum(1)

    return Problem(step, normal(3, 2, 2), normal(BATCH, SIZE, 2), X)


@nasty
def linear_solve() -> Problem:
    """Implicit Euler: a solver with its own rules of differentiation."""
    return Problem(
        lambda p, c, x: (jnp.linalg.solve(jnp.eye(SIZE) - 0.1 * p, (c + 0.1 * x)[..., None])[..., 0], None), W, H, X
    )


@nasty
def closed_over_tracers() -> Problem:
    """The step closes over arrays that are differentiated."""
    return Problem(
        lambda p, c, x, closed: (jnp.tanh(c @ closed["kernel"] + x @ p + closed["shift"]), c * closed["shift"]),
        W,
        H,
        X,
        {"kernel": U, "shift": B},
    )


@nasty
def everything_closed_over() -> Problem:
    """No parameters at all."""
    return Problem(lambda p, c, x, closed: (jnp.tanh(c @ closed + x), c), None, H, X, U)


@nasty
def numpy_constants() -> Problem:
    """NumPy arrays in the step, one of them as a kernel."""
    mixing, shift = np.asarray(U), np.arange(SIZE, dtype=np.float32)
    return Problem(lambda p, c, x: (jnp.tanh(c @ mixing + x @ p + shift), c), W, H, X)


@nasty
def python_numbers() -> Problem:
    """Parameters and carries that are Python numbers: weak types."""

    def step(p: Any, c: Any, x: Any) -> Any:
        level, count = c
        return (level * p["decay"] + x.mean(), count + 1), level * count

    return Problem(step, {"decay": 0.9}, (0.0, 0), X)


@nasty
def custom_jvp_with_another_slope() -> Problem:
    """Differentiating the body instead of applying the rule gives half the gradient."""

    @jax.custom_jvp
    def twice_as_steep(x: jax.Array) -> jax.Array:
        return jnp.tanh(x)

    twice_as_steep.defjvp(lambda p, t: (jnp.tanh(p[0]), 2 * (1 - jnp.tanh(p[0]) ** 2) * t[0]))
    return Problem(lambda p, c, x: (twice_as_steep(c @ p + x), twice_as_steep(x)), 0.3 * W, H, X)


@nasty
def custom_vjp_with_another_slope() -> Problem:
    """Gradient reversal on the carry and on the inputs."""
    return Problem(lambda p, c, x: (jnp.tanh(reversed_slope(c @ p) + reversed_slope(x)), c), W, H, X)


@nasty
def custom_rule_around_a_product() -> Problem:
    """The product is inside the function with its own rule, which gives the kernel half its gradient."""

    @jax.custom_vjp
    def product(a: jax.Array, w: jax.Array) -> jax.Array:
        return a @ w

    product.defvjp(lambda a, w: (a @ w, (a, w)), lambda saved, g: (g @ saved[1].T, 0.5 * saved[0].T @ g))
    return Problem(lambda p, c, x: (jnp.tanh(product(c, p) + product(x, p)), None), W, H, X)


@nasty
def straight_through() -> Problem:
    """A spike with a surrogate gradient."""

    @jax.custom_jvp
    def spike(v: jax.Array) -> jax.Array:
        return (v > 0).astype(v.dtype)

    spike.defjvp(lambda p, t: (spike(p[0]), t[0] / (1 + 9 * p[0] ** 2)))

    def step(p: Any, c: Any, x: Any) -> Any:
        v = 0.9 * c[0] * (1 - c[1]) + c[1] @ p + x
        return (v, spike(v - 0.5)), c[1]

    return Problem(step, W, (H, jnp.zeros_like(H)), X)


@nasty
def stopped_gradients() -> Problem:
    """Truncation inside the step: on the carry and on one use of the kernel."""
    return Problem(
        lambda p, c, x: (jnp.tanh(lax.stop_gradient(c) @ p + c @ lax.stop_gradient(p) + x), lax.stop_gradient(c)),
        W,
        H,
        X,
    )


@nasty
def clipped_gradients_of_where() -> Problem:
    """A guarded logarithm, whose unguarded branch would give NaN gradients."""

    def step(p: Any, c: Any, x: Any) -> Any:
        safe = jnp.where(x > 0, x, 1.0)
        return jnp.tanh(c @ p + jnp.where(x > 0, jnp.log(safe), 0.0)), c

    return Problem(step, W, H, X)


@nasty
def nested_jit() -> Problem:
    """Functions that are jitted, twice nested, with outputs that nobody uses and one that is an argument."""

    @jax.jit
    def inner(a: jax.Array, w: jax.Array) -> Any:
        return a @ w, a, jnp.exp(a)

    @jax.jit
    def outer(c: jax.Array, x: jax.Array, p: Any) -> Any:
        (z, same, _), (y, *_) = inner(c, p[0]), inner(x, p[1])
        return jnp.tanh(z + y), same

    def step(p: Any, c: Any, x: Any) -> Any:
        h, same = outer(c, x, p)
        return h, same

    return Problem(step, [W, U], H, X)


@nasty
def checkpointed_step() -> Problem:
    """The step asks for recomputation itself."""
    return Problem(jax.checkpoint(lambda p, c, x: (jnp.tanh(c @ p + x), jnp.sin(c @ p))), W, H, X)


@nasty
def conditional_product() -> Problem:
    """A product in one branch of a conditional that the inputs decide."""

    def step(p: Any, c: Any, x: Any) -> Any:
        h = lax.cond(x.mean() > 0, lambda c: jnp.tanh(c @ p + x), lambda c: 0.9 * c, c)
        return h, lax.switch(jnp.int32(c.sum() > 0), [lambda: h @ p, lambda: x])

    return Problem(step, W, H, X)


@nasty
def conditional_that_guards() -> Problem:
    """The branch not taken has no finite value or gradient; mapping over time would evaluate it."""

    def step(p: Any, c: Any, x: Any) -> Any:
        level = lax.cond(x[0, 0] > 0, lambda v: jnp.log(v) * p[0, 0], lambda v: 0.0 * v, x[0, 0])
        return jnp.tanh(c @ p + level), level

    return Problem(step, W, H, X)


@nasty
def recurrence_depth() -> Problem:
    """An inner scan over layers (a recurrent highway network)."""

    def step(p: Any, c: Any, x: Any) -> Any:
        layer = lambda s, w: (jnp.tanh(s @ w) + s, s.mean())
        h, means = lax.scan(layer, 0.5 * (c + x), p)
        return jnp.tanh(h), means

    return Problem(step, 0.5 * jnp.stack([W, U, V]), H, X)


@nasty
def inner_loops_over_integers() -> Problem:
    """A while loop, which has no reverse derivative, on integers of the carry."""

    def step(p: Any, c: Any, x: Any) -> Any:
        count, h = c
        return (count + 1, jnp.tanh(h @ p / doublings(count)[:, None] + x)), doublings(count)

    return Problem(step, W, (jnp.array([0, 3]), H), X)


@nasty
def clockwork() -> Problem:
    """An integer counter decides who is updated."""

    def step(p: Any, c: Any, x: Any) -> Any:
        t, h = c
        due = t % jnp.array([1, 2, 4, 8]) == 0
        return (t + 1, jnp.where(due, jnp.tanh(h @ p + x), h)), due

    return Problem(step, W, (jnp.int32(0), H), X)


@nasty
def latch() -> Problem:
    """A boolean carry, and an unsigned one."""

    def step(p: Any, c: Any, x: Any) -> Any:
        on, bits, h = c
        on = on ^ (x[:, 0] > 0.5)
        return (on, bits * 2 + 1, jnp.where(on[:, None], jnp.tanh(h @ p), x)), (on, bits)

    return Problem(step, W, (jnp.array([True, False]), jnp.uint8(1), H), X)


@nasty
def complex_diagonal() -> Problem:
    """A linear recurrence over complex numbers (the LRU)."""

    def step(p: Any, z: Any, x: Any) -> Any:
        decay = jnp.exp(-jnp.exp(p["nu"]) + 1j * p["theta"])
        z = decay * z + x @ p["b"].astype(jnp.complex64)
        return z, jnp.real(z @ p["c"])

    kernel = lax.complex(normal(SIZE, SIZE, seed=20), normal(SIZE, SIZE, seed=21))
    return Problem(step, {"nu": B, "theta": 2 * B, "b": W, "c": kernel}, lax.complex(H, -H), X)


@nasty
def complex_kernel() -> Problem:
    """A unitary-like recurrence: a complex product inside the loop."""
    kernel = 0.5 * lax.complex(normal(SIZE, SIZE, seed=22), normal(SIZE, SIZE, seed=23))

    def step(p: Any, z: Any, x: Any) -> Any:
        z = z @ p + x
        return z / (1 + jnp.abs(z)), jnp.imag(z)

    return Problem(step, kernel, lax.complex(H, H * 2), X)


@nasty
def dropout_by_key() -> Problem:
    """Random keys among the inputs."""
    keys = jax.random.split(jax.random.key(3), TIME)

    def step(p: Any, c: Any, x: Any) -> Any:
        keep = jax.random.bernoulli(x["key"], 0.8, c.shape)
        return jnp.tanh((c * keep) @ p + x["x"]), c

    return Problem(step, W, H, {"x": X, "key": keys})


@nasty
def key_in_the_carry() -> Problem:
    """A random key is carried and split at every step."""

    def step(p: Any, c: Any, x: Any) -> Any:
        key, draw = jax.random.split(c["key"])
        return {"key": key, "h": jnp.tanh(c["h"] @ p + x + jax.random.normal(draw, x.shape))}, draw

    return Problem(step, W, {"key": jax.random.key(4), "h": H}, X)


@nasty
def key_in_the_parameters() -> Problem:
    """A random key among the parameters, folded with a counter."""

    def step(p: Any, c: Any, x: Any) -> Any:
        noise = jax.random.normal(jax.random.fold_in(p["key"], c["t"]), x.shape)
        return {"t": c["t"] + 1, "h": jnp.tanh(c["h"] @ p["w"] + x + noise)}, noise

    return Problem(step, {"key": jax.random.key(5), "w": W}, {"t": 0, "h": H}, X)


@nasty
def tokens() -> Problem:
    """Integer inputs: a lookup (its gradient is a scatter), and a one-hot product."""
    symbols = jnp.asarray(np.random.default_rng(0).integers(0, 5, (TIME, BATCH)))

    def step(p: Any, c: Any, token: Any) -> Any:
        one_hot = jax.nn.one_hot(token, 5)
        return jnp.tanh(c @ p["w"] + p["table"][token] + one_hot @ p["table"]), jnp.argmax(c, -1) == token

    return Problem(step, {"w": W, "table": normal(5, SIZE)}, H, symbols)


@nasty
def large_table() -> Problem:
    """A parameter outside products that is much larger than the carry, with repeated rows."""
    symbols = jnp.asarray(np.random.default_rng(1).integers(0, 90, (TIME, BATCH)))
    return Problem(
        lambda p, c, token: (jnp.tanh(c * p[token] + p[:3].mean()), c + p[token + 2]), normal(100, SIZE), H, symbols
    )


@nasty
def sampled_feedback() -> Problem:
    """The output is fed back as an integer: no gradient goes that way."""

    def step(p: Any, c: Any, x: Any) -> Any:
        h = jnp.tanh(c["h"] @ p["w"] + p["table"][c["token"]] + x)
        logits = h @ p["table"].T
        return {"h": h, "token": jnp.argmax(logits, -1)}, logits

    return Problem(step, {"w": W, "table": normal(5, SIZE)}, {"h": H, "token": jnp.array([0, 3])}, X)


@nasty
def ring_buffer() -> Problem:
    """A memory written at a moving place, and attention over it."""

    def step(p: Any, c: Any, x: Any) -> Any:
        memory = lax.dynamic_update_index_in_dim(c["memory"], x @ p[0], c["t"] % 3, axis=1)
        weights = jax.nn.softmax(jnp.einsum("bj,bnj->bn", x @ p[1], memory))
        return {"t": c["t"] + 1, "memory": memory}, jnp.einsum("bn,bnj->bj", weights, memory)

    return Problem(step, [W, U], {"t": jnp.int32(0), "memory": normal(BATCH, 3, SIZE)}, X)


@nasty
def mixed_precision() -> Problem:
    """bfloat16 inputs and kernels, a float32 carry, float32 accumulation."""

    def step(p: Any, c: Any, x: Any) -> Any:
        z = lax.dot(c.astype(jnp.bfloat16), p, preferred_element_type=jnp.float32)
        return jnp.tanh(z + x.astype(jnp.float32)), z.astype(jnp.bfloat16)

    return Problem(step, W.astype(jnp.bfloat16), H, X.astype(jnp.bfloat16), tolerance=3e-2)


@nasty
def kernels_of_two_types() -> Problem:
    """Products with one left operand, of different types: merging must not promote."""

    def step(p: Any, c: Any, x: Any) -> Any:
        low = lax.dot(c, p["low"], preferred_element_type=jnp.float32)
        return jnp.tanh(c @ p["w"] + low + x), low.astype(jnp.float16)

    return Problem(step, {"w": W, "low": U.astype(jnp.bfloat16)}, H, X, tolerance=3e-2)


@nasty
def precision_of_products() -> Problem:
    """Two products that differ in their precision only."""
    return Problem(
        lambda p, c, x: (jnp.tanh(jnp.dot(c, p[0], precision="highest") + jnp.dot(c, p[1]) + x), None), [W, U], H, X
    )


@nasty
def batch_statistics() -> Problem:
    """Running statistics in the carry: the examples of a batch see each other."""

    def step(p: Any, c: Any, x: Any) -> Any:
        z = c["h"] @ p + x
        mean = 0.9 * c["mean"] + 0.1 * z.mean(0)
        return {"h": jnp.tanh(z - mean), "mean": mean}, z

    return Problem(step, W, {"h": H, "mean": B}, X)


@nasty
def linear_in_everything() -> Problem:
    """No nonlinearity: derivatives do not depend on the carry."""
    return Problem(lambda p, c, x: (0.3 * (c @ p) + x, c + x), W, H, X)


@nasty
def parameters_of_no_use() -> Problem:
    """Parameters and inputs that nothing depends on have gradients of zero, not none."""
    return Problem(
        lambda p, c, x: (jnp.tanh(c @ p["w"]), None), {"w": W, "never": B, "none": None}, H, {"x": X, "never": X}
    )


@nasty
def parameters_that_are_only_compared() -> Problem:
    """Their gradient is a literal zero, which no equation defines."""
    step = lambda p, c, x: (jnp.tanh(jnp.where(x @ p["v"] > p["b"], c @ p["w"], c) + x), None)
    return Problem(step, {"w": W, "v": U, "b": jnp.float32(0.1)}, H, X)


@nasty
def printing() -> Problem:
    """An effect inside the step."""

    def step(p: Any, c: Any, x: Any) -> Any:
        jax.debug.callback(lambda value: None, x.sum())
        return jnp.tanh(c @ p + x), c

    return Problem(step, W, H, X)
