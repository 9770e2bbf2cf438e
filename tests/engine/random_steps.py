"""Random small step functions at fixed shapes, as data that prints: a list of operations over a pool of values.

A :class:`Program` is called as ``program(params, carry, inputs, closure)``. Every operation takes two values of the
pool, ``[B, H]``, and a kernel ``[H, H]``, and gives one more value; then the program says what the new carry and the
outputs are made of. Shapes never change, so that what is drawn is the structure only.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st
from jax import lax

BATCH, SIZE = 2, 4
TABLE = np.linspace(-1.0, 1.0, SIZE * SIZE).reshape(SIZE, SIZE)


class Scope(NamedTuple):
    """What an operation may look at beside its operands."""

    params: Any
    carry: Any
    inputs: Any
    closure: Any


Operation = Callable[[Scope, jax.Array, jax.Array, jax.Array], jax.Array]


@jax.custom_jvp
def doubled_slope(x: jax.Array) -> jax.Array:
    """Sine, with twice its derivative: shows whether the rule or the body is differentiated."""
    return jnp.sin(x)


doubled_slope.defjvp(lambda primals, tangents: (jnp.sin(primals[0]), 2 * jnp.cos(primals[0]) * tangents[0]))


@jax.custom_vjp
def reversed_slope(x: jax.Array) -> jax.Array:
    """The identity, with the gradient's sign turned."""
    return x * 1


reversed_slope.defvjp(lambda x: (x * 1, x), lambda x, g: (-g * jnp.cos(x),))


@jax.jit
def jitted_pair(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
    return jnp.tanh(a) * b, jnp.cos(a)


@jax.jit
def jitted_product(a: jax.Array, w: jax.Array) -> jax.Array:
    return jax.nn.silu(a @ w)


def in_blocks(scope: Scope, a: jax.Array) -> jax.Array:
    return jnp.einsum("bgi,gij->bgj", a.reshape(-1, 2, SIZE // 2), scope.params["block"]).reshape(a.shape)


def inner_scan(a: jax.Array, b: jax.Array, w: jax.Array) -> jax.Array:
    return lax.scan(lambda s, _: (jnp.tanh(s @ w + b), None), a, None, length=2)[0]


def doublings(count: jax.Array) -> jax.Array:
    """A while loop over integers: 1 + the number of doublings of 1 up to the count."""
    start = (jnp.ones_like(count), count * 0 + 1)
    return lax.while_loop(lambda s: jnp.any(s[0] < count), lambda s: (2 * s[0], s[1] + (s[0] < count)), start)[1]


def row_count(scope: Scope) -> jax.Array:
    return scope.carry["count"][:, None].astype(scope.carry["h"].dtype)


PRODUCTS: dict[str, Operation] = {
    "right": lambda s, a, b, w: a @ w,
    "left": lambda s, a, b, w: (w @ a.T).T,
    "left transposed": lambda s, a, b, w: jnp.einsum("ji,bj->bi", w, a),
    "second axis": lambda s, a, b, w: jnp.einsum("ij,bj->bi", w, a),
    "row by row": lambda s, a, b, w: jax.vmap(lambda row: w @ row)(a),
    "right transposed": lambda s, a, b, w: a @ w.T,
    "antisymmetric": lambda s, a, b, w: a @ (w - w.T - 0.1 * jnp.eye(SIZE, dtype=w.dtype)),
    "kernel of the inputs": lambda s, a, b, w: a @ (w * s.inputs["x"].mean()),
    "kernel of the carry": lambda s, a, b, w: a @ (w * jnp.tanh(s.carry["c"]).mean()),
    "closed over": lambda s, a, b, w: a @ s.closure["kernel"],
    "product of kernels": lambda s, a, b, w: a @ (w @ s.params["w"][1]),
    "no gradient": lambda s, a, b, w: a @ lax.stop_gradient(w),
    "blocks": lambda s, a, b, w: in_blocks(s, a),
    "fast weights": lambda s, a, b, w: jnp.einsum("bi,bij->bj", a, s.carry["m"]),
    "carry with carry": lambda s, a, b, w: jnp.einsum("bi,bj,bj->bi", a, b, jnp.tanh(b)),
    "bilinear": lambda s, a, b, w: jnp.einsum("bi,ij,bj->b", a, w, b)[:, None] + a,
    "gated": lambda s, a, b, w: (jax.nn.sigmoid(b) * a) @ w,
    "chained": lambda s, a, b, w: jnp.tanh(a @ w) @ s.params["w"][0],
    "same kernel twice": lambda s, a, b, w: a @ w + jnp.tanh(b @ w) @ w,
    "sum of two": lambda s, a, b, w: (a + b) @ w,
    "kernel elementwise": lambda s, a, b, w: a @ w + b * w[0] + jnp.sin(w).mean(),
    "wide": lambda s, a, b, w: jnp.multiply(*jnp.split(jnp.tanh(a @ s.params["tall"]), 2, axis=-1)),
    "part of wide": lambda s, a, b, w: a @ s.params["tall"][:, SIZE:] + (b * a) @ s.params["tall"][:, :SIZE],
    "concatenated": lambda s, a, b, w: jnp.concatenate([a, b], -1) @ jnp.concatenate([w, s.params["w"][2]], 0),
    "vector": lambda s, a, b, w: (a @ s.params["bias"])[:, None] * b,
    "other type": lambda s, a, b, w: lax.dot(
        a.astype(jnp.float32), w.astype(jnp.float32), preferred_element_type=jnp.float32
    ).astype(a.dtype),
    "rounded": lambda s, a, b, w: (a.astype(jnp.bfloat16) @ w.astype(jnp.bfloat16)).astype(a.dtype),
    "checkpointed": lambda s, a, b, w: jax.checkpoint(lambda a, w: jnp.sin(a @ w))(a, w),
    "nested jit": lambda s, a, b, w: jitted_product(a, w),
    "conditional": lambda s, a, b, w: lax.cond(s.carry["count"][0] % 2 == 0, lambda: a @ w, lambda: b),
    "inner scan": lambda s, a, b, w: inner_scan(a, b, w),
}

OTHERS: dict[str, Operation] = {
    "add": lambda s, a, b, w: a + b,
    "subtract": lambda s, a, b, w: 0.5 * a - b,
    "multiply": lambda s, a, b, w: jnp.tanh(a) * b,
    "divide": lambda s, a, b, w: a / (1 + b**2),
    "maximum": lambda s, a, b, w: jnp.maximum(a, b),
    "sigmoid": lambda s, a, b, w: jax.nn.sigmoid(a),
    "relu": lambda s, a, b, w: jax.nn.relu(a),
    "silu": lambda s, a, b, w: jax.nn.silu(a - b),
    "softmax": lambda s, a, b, w: jax.nn.softmax(a),
    "logsumexp": lambda s, a, b, w: jax.nn.logsumexp(a, axis=-1, keepdims=True) - b,
    "layer norm": lambda s, a, b, w: (a - a.mean(-1, keepdims=True)) * lax.rsqrt(a.var(-1, keepdims=True) + 0.1),
    "across the batch": lambda s, a, b, w: a - b.mean(0),
    "cumulative": lambda s, a, b, w: jnp.cumsum(a, axis=-1) / SIZE,
    "sort": lambda s, a, b, w: jnp.sort(a, axis=-1),
    "roll": lambda s, a, b, w: jnp.roll(a, 1, axis=-1),
    "split": lambda s, a, b, w: jnp.concatenate(jnp.split(a, 2, axis=-1)[::-1], axis=-1),
    "take": lambda s, a, b, w: jnp.take_along_axis(a, s.inputs["index"][:, None], axis=-1) * b,
    "table row": lambda s, a, b, w: a + s.params["w"][0][s.inputs["index"]],
    "scatter": lambda s, a, b, w: a.at[jnp.arange(BATCH), s.inputs["index"]].add(b[:, 0]),
    "moving slice": lambda s, a, b, w: a * lax.dynamic_index_in_dim(w, s.carry["count"][0] % SIZE, keepdims=False),
    "where flag": lambda s, a, b, w: jnp.where(s.carry["flag"][:, None], a, b),
    "where input": lambda s, a, b, w: jnp.where(s.inputs["on"][:, None], a, b),
    "switch": lambda s, a, b, w: lax.switch(s.inputs["index"][0] % 3, [lambda: a, lambda: b, lambda: jnp.sin(a)]),
    "inner loop": lambda s, a, b, w: lax.fori_loop(0, 3, lambda i, v: jnp.sin(v + b * i), a),
    "integer loop": lambda s, a, b, w: a / doublings(s.carry["count"])[:, None].astype(a.dtype),
    "nested jit": lambda s, a, b, w: jitted_pair(a, b)[0],
    "custom jvp": lambda s, a, b, w: doubled_slope(a),
    "custom vjp": lambda s, a, b, w: reversed_slope(a),
    "stop gradient": lambda s, a, b, w: lax.stop_gradient(a) * b,
    "dropout": lambda s, a, b, w: a * jax.vmap(lambda k: jax.random.bernoulli(k, 0.7, (SIZE,)))(s.inputs["key"]),
    "noise": lambda s, a, b, w: a + 0.1 * jax.vmap(lambda k: jax.random.normal(k, (SIZE,), a.dtype))(s.inputs["key"]),
    "bias": lambda s, a, b, w: a + s.params["bias"] * s.params["nested"]["scale"],
    "closed over": lambda s, a, b, w: a * s.closure["shift"],
    "constant": lambda s, a, b, w: a + jnp.asarray(TABLE[1], a.dtype),
    "count": lambda s, a, b, w: a * jnp.cos(row_count(s)),
    "complex": lambda s, a, b, w: a * jnp.real(s.carry["z"]) + jnp.imag(s.carry["z"] * (1 + 1j)),
    "literal": lambda s, a, b, w: jnp.full_like(a, 0.25),
    "parameters only": lambda s, a, b, w: jnp.tanh(w[:BATCH]) * s.params["bias"],
    "inputs only": lambda s, a, b, w: s.inputs["x"] @ w,
}

OPERATIONS = {f"product: {name}": op for name, op in PRODUCTS.items()} | OTHERS

CARRY_RULES: dict[str, Callable[[Scope, str, jax.Array, jax.Array], jax.Array]] = {
    "bounded": lambda s, name, a, b: jnp.tanh(a),
    "gate": lambda s, name, a, b: jax.nn.sigmoid(a) * s.carry[name] + (1 - jax.nn.sigmoid(a)) * jnp.tanh(b),
    "leak": lambda s, name, a, b: 0.5 * s.carry[name] + jnp.sin(a),
    "kept": lambda s, name, a, b: s.carry[name],
    "inputs only": lambda s, name, a, b: jnp.cos(s.inputs["x"]),
    "exchange": lambda s, name, a, b: s.carry["c" if name == "h" else "h"],
    "literal": lambda s, name, a, b: jnp.full_like(a, 0.5),
}

OUTPUT_RULES: dict[str, Callable[[Scope, Any, jax.Array, jax.Array], Any]] = {
    "nothing": lambda s, new, a, b: None,
    "a value": lambda s, new, a, b: a,
    "nested": lambda s, new, a, b: {"a": a, "more": [(b, None), {"count": new["count"]}]},
    "the carry": lambda s, new, a, b: (new["h"], s.carry["c"], new["m"]),
    "logits": lambda s, new, a, b: jnp.tanh(a) @ s.params["tall"],
    "of inputs only": lambda s, new, a, b: (s.inputs["u"] @ s.params["w"][0], a),
    "of parameters only": lambda s, new, a, b: (s.params["bias"] * 2, a),
    "literals": lambda s, new, a, b: (jnp.ones(3), jnp.asarray(1.0), b),
    "unchanged inputs": lambda s, new, a, b: (s.inputs["x"], s.inputs["on"], s.params["w"]),
    "types": lambda s, new, a, b: (new["z"], new["flag"], a.astype(jnp.float16), new["count"] * 2),
    "scalars": lambda s, new, a, b: (a.mean(), jnp.argmax(b, axis=-1)),
}


@dataclasses.dataclass(frozen=True)
class Program:
    """A step; ``operations`` are (name, first operand, second operand, kernel)."""

    operations: tuple[tuple[str, int, int, int], ...]
    carry_rules: tuple[tuple[str, int, int], ...]
    output_rule: tuple[str, int, int]
    changes: tuple[str, ...]
    shows_everything: bool = False

    def __call__(self, params: Any, carry: Any, inputs: Any, closure: Any) -> tuple[Any, Any]:
        scope = Scope(params, carry, inputs, closure)
        kernels = [params["w"][0], params["w"][1], params["tall"][:, :SIZE], params["w"][2] * 0.5]
        pool = [inputs["u"], inputs["x"], carry["c"], carry["h"]]
        value = lambda index: pool[-1 - index % len(pool)]
        for name, a, b, w in self.operations:
            pool.append(OPERATIONS[name](scope, value(a), value(b), kernels[w]))
        new = dict(carry)
        for name, (rule, a, b) in zip("hc", self.carry_rules, strict=True):
            new[name] = CARRY_RULES[rule](scope, name, value(a), value(b))
        if "count" in self.changes:
            new["count"] = carry["count"] + 1 + inputs["index"]
        if "flag" in self.changes:
            new["flag"] = carry["flag"] ^ inputs["on"]
        if "z" in self.changes:
            new["z"] = carry["z"] * jnp.exp(0.3j) * 0.9 + lax.complex(jnp.sin(value(0)), jnp.cos(value(1)))
        if "m" in self.changes:
            new["m"] = 0.8 * carry["m"] + 0.2 * jnp.tanh(jnp.einsum("bi,bj->bij", value(0), value(2)))
        if self.shows_everything:
            return new, {name: made for (name, *_), made in zip(self.operations, pool[4:], strict=True)}
        rule, a, b = self.output_rule
        return new, OUTPUT_RULES[rule](scope, new, value(a), value(b))

    @property
    def outputs_have_batch_axes(self) -> bool:
        """Lengths of a batch can end only such outputs."""
        return self.output_rule[0] not in ("literals", "of parameters only", "unchanged inputs", "scalars")

    @property
    def rounds(self) -> bool:
        """Does it compute in less than float64, so that another order of summation shows?"""
        return any(name in ("product: rounded", "product: other type") for name, *_ in self.operations) or (
            self.output_rule[0] == "types"
        )


def arguments(time: int, seed: int = 0) -> tuple[Any, Any, Any, Any, Any]:
    """``(params, carry, inputs, fresh carry, closure)`` in the default floating type."""
    rng, float_type = np.random.default_rng(seed), jnp.result_type(float)
    normal = lambda *shape: jnp.asarray(rng.standard_normal(shape), float_type)
    params = {
        "w": [normal(SIZE, SIZE) * 0.7 for _ in range(3)],
        "tall": normal(SIZE, 2 * SIZE) * 0.7,
        "block": normal(2, SIZE // 2, SIZE // 2),
        "bias": normal(SIZE),
        "nested": {"scale": normal(), "nothing": None},
        "unused": normal(2),
    }

    def new_carry() -> Any:
        return {
            "h": normal(BATCH, SIZE),
            "c": normal(BATCH, SIZE),
            "m": normal(BATCH, SIZE, SIZE) * 0.5,
            "z": lax.complex(normal(BATCH, SIZE), normal(BATCH, SIZE)),
            "count": jnp.asarray(rng.integers(0, 5, BATCH), jnp.int32),
            "flag": jnp.asarray(rng.random(BATCH) < 0.5),
            "kept": normal(BATCH, 1),
        }

    inputs = {
        "x": normal(time, BATCH, SIZE),
        "u": normal(time, BATCH, SIZE),
        "index": jnp.asarray(rng.integers(0, SIZE, (time, BATCH)), jnp.int32),
        "on": jnp.asarray(rng.random((time, BATCH)) < 0.5),
        "key": jax.random.split(jax.random.key(seed), (time, BATCH)),
    }
    closure = {"shift": normal(SIZE), "kernel": normal(SIZE, SIZE) * 0.7}
    return params, new_carry(), inputs, new_carry(), closure


_operand = st.integers(0, 6)
_operations = st.tuples(
    st.one_of(*(st.sampled_from(sorted(names)) for names in ([f"product: {p}" for p in PRODUCTS], OTHERS))),
    _operand,
    _operand,
    st.integers(0, 3),
)
_carry_rule = st.tuples(st.sampled_from([*CARRY_RULES, "bounded", "gate", "leak"]), _operand, _operand)

programs = st.builds(
    Program,
    operations=st.lists(_operations, min_size=2, max_size=8).map(tuple),
    carry_rules=st.tuples(_carry_rule, _carry_rule),
    output_rule=st.tuples(st.sampled_from(sorted(OUTPUT_RULES)), _operand, _operand),
    changes=st.sets(st.sampled_from(["count", "flag", "z", "m"])).map(lambda names: tuple(sorted(names))),
)
