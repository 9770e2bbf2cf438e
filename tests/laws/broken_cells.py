"""Cells with one mistake each, as people make them, and the law that has to tell them so."""

import dataclasses
import random
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.cells.base import AffineCell, AffineParams, Cell, HiddenCarry

BROKEN: dict[str, tuple[str, tuple[str, ...], type[Cell]]] = {}
"""By the class's name: the law that it breaks, words that must be in the message, and the class."""

CALLS = 0
SEEN: list[Any] = []


def breaks(law: str, *words: str) -> Callable[[type], type]:
    def note(kind: type) -> type:
        BROKEN[kind.__name__] = law, words, kind
        return kind

    return note


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sound(AffineCell):
    """What the others are but for their mistake."""

    carry_type = HiddenCarry

    def init(self, key, dtype=jnp.float32):
        kernel_key, recurrent_key = jax.random.split(key)
        return AffineParams(
            self.draw_kernel(kernel_key, 1, dtype),
            self.draw_recurrent_kernel(recurrent_key, 1, dtype),
            jnp.zeros(self.hidden_size, dtype),
        )

    def hidden(self, params, carry, inputs):
        return jnp.tanh(inputs @ params.kernel + carry.hidden @ params.recurrent_kernel + params.bias)

    def __call__(self, params, carry, inputs):
        hidden = self.hidden(params, carry, inputs)
        return HiddenCarry(hidden), hidden


PURE = "tracing_twice_gives_the_same_step"


@breaks(PURE, "changed the state of Python's random numbers", "belongs in the carry")
@dataclasses.dataclass(frozen=True, kw_only=True)
class DrawsInPython(Sound):
    def hidden(self, params, carry, inputs):
        return super().hidden(params, carry, inputs) * (random.random() > 0.1)


@breaks(PURE, "changed the state of NumPy's random numbers")
@dataclasses.dataclass(frozen=True, kw_only=True)
class DrawsInNumPy(Sound):
    def hidden(self, params, carry, inputs):
        mask = np.random.rand(self.hidden_size) > 0.1
        return super().hidden(params, carry, inputs) * mask


@breaks(PURE, "changed", "broken_cells.CALLS")
@dataclasses.dataclass(frozen=True, kw_only=True)
class CountsCalls(Sound):
    def hidden(self, params, carry, inputs):
        global CALLS
        CALLS += 1
        return super().hidden(params, carry, inputs) / CALLS


@breaks(PURE, "two traces of the same step differ")
@dataclasses.dataclass(frozen=True, kw_only=True)
class ReadsTheClock(Sound):
    def hidden(self, params, carry, inputs):
        return super().hidden(params, carry, inputs) + time.perf_counter() % 1


@breaks(PURE, "keeps a value")
@dataclasses.dataclass(frozen=True, kw_only=True)
class KeepsValues(Sound):
    def hidden(self, params, carry, inputs):
        SEEN.append(inputs)
        return super().hidden(params, carry, inputs)


@breaks(PURE, "the step prints 'here'", "jax.debug.print")
@dataclasses.dataclass(frozen=True, kw_only=True)
class Prints(Sound):
    def hidden(self, params, carry, inputs):
        print("here")
        return super().hidden(params, carry, inputs)


@breaks(PURE, "changed", "ChangesItself.scale")
@dataclasses.dataclass(frozen=True, kw_only=True)
class ChangesItself(Sound):
    scale: float = 1.0

    def hidden(self, params, carry, inputs):
        object.__setattr__(self, "scale", self.scale * 0.9)
        return super().hidden(params, carry, inputs)


@breaks("the_step_works_alone_and_in_the_plain_scan", "carry.hidden", "mixes the sequences of a batch", "axis=-1")
@dataclasses.dataclass(frozen=True, kw_only=True)
class MixesTheBatch(Sound):
    def hidden(self, params, carry, inputs):
        hidden = super().hidden(params, carry, inputs)
        return hidden - hidden.mean(0)


TYPES = "the_carry_comes_out_as_it_went_in"


@breaks(TYPES, "carry.hidden", "bfloat16[5, 5]", "bfloat16[5, 4]", "as before the step")
@dataclasses.dataclass(frozen=True, kw_only=True)
class GrowsItsCarry(Sound):
    def __call__(self, params, carry, inputs):
        hidden = self.hidden(params, HiddenCarry(carry.hidden[..., : self.hidden_size]), inputs)
        return HiddenCarry(jnp.concatenate([hidden, hidden[..., :1]], axis=-1)), hidden


@breaks(TYPES, "in bfloat16: carry.hidden is (after the step) float32[5, 4], expected bfloat16[5, 4]", "dtype=...")
@dataclasses.dataclass(frozen=True, kw_only=True)
class PromotesToFloat32(Sound):
    def hidden(self, params, carry, inputs):
        return super().hidden(params, carry, inputs) * jnp.asarray([0.5] * self.hidden_size)


@breaks(TYPES, "HiddenCarry", "tuple")
@dataclasses.dataclass(frozen=True, kw_only=True)
class ReturnsATuple(Sound):
    def __call__(self, params, carry, inputs):
        hidden = self.hidden(params, carry, inputs)
        return (hidden,), hidden


SHAPES = "parameters_carry_and_outputs_have_the_promised_shapes"


@breaks(SHAPES, "the output is of shape [8], expected [4]", "output_size")
@dataclasses.dataclass(frozen=True, kw_only=True)
class WrongOutputSize(Sound):
    output_field = None

    def __call__(self, params, carry, inputs):
        hidden = self.hidden(params, carry, inputs)
        return HiddenCarry(hidden), jnp.concatenate([hidden, -hidden], axis=-1)


@breaks(SHAPES, "broken_cells.py, line", "axis=1")
@dataclasses.dataclass(frozen=True, kw_only=True)
class CountsAxesFromTheLeft(Sound):
    def init(self, key, dtype=jnp.float32):
        return (
            super()
            .init(key, dtype)
            ._replace(kernel=self.draw_kernel(key, 1, dtype, rows=self.input_size + self.hidden_size))
        )

    def hidden(self, params, carry, inputs):
        return jnp.tanh(jnp.concatenate([inputs, carry.hidden], axis=1) @ params.kernel)


@breaks(SHAPES, "carry.hidden of initial_carry((5,)) is float32[4], expected [5, ...]", "batch axes first")
@dataclasses.dataclass(frozen=True, kw_only=True)
class ForgetsTheBatchOfItsCarry(Sound):
    def initial_carry(self, batch_shape=(), dtype=jnp.float32, params=None, key=None):
        return HiddenCarry(jnp.zeros(self.hidden_size, dtype))


@breaks(SHAPES, "the step returns 3 things, expected two: (carry, output)")
@dataclasses.dataclass(frozen=True, kw_only=True)
class ReturnsThreeThings(Sound):
    def __call__(self, params, carry, inputs):
        hidden = self.hidden(params, carry, inputs)
        return HiddenCarry(hidden), hidden, hidden


VALUES = "equal_hashable_picklable_and_printed_as_code"


@breaks(VALUES, "NoDataclass.units is written as a field", "frozen=True")
class NoDataclass(Sound):
    units: int = 3


@breaks(VALUES, "ListField.sizes is [1, 2], which has no hash", "a tuple for a list")
@dataclasses.dataclass(frozen=True, kw_only=True)
class ListField(Sound):
    sizes: list = dataclasses.field(default_factory=lambda: [1, 2])


@breaks(VALUES, "ArrayField.scale is an array (float64[4]), expected a plain value", "init")
@dataclasses.dataclass(frozen=True, kw_only=True)
class ArrayField(Sound):
    scale: Any = dataclasses.field(default_factory=lambda: np.ones(4))


@breaks(VALUES, "cannot be pickled", "lambda")
@dataclasses.dataclass(frozen=True, kw_only=True)
class LambdaField(Sound):
    function: Any = lambda x: x


@breaks(VALUES, "not code that makes the cell", "__repr__")
@dataclasses.dataclass(frozen=True, kw_only=True)
class PrintsAsProse(Sound):
    def __repr__(self):
        return f"a cell of {self.hidden_size} units"


@breaks("built_from_input_size_and_hidden_size_alone", "NeedsMore.units has no default", "the paper's value")
@dataclasses.dataclass(frozen=True, kw_only=True)
class NeedsMore(Sound):
    units: int


DRAWS = "init_uses_every_key_once_and_repeats"


@breaks(DRAWS, "same parameters for two different keys", "ignores its key")
@dataclasses.dataclass(frozen=True, kw_only=True)
class IgnoresTheKey(Sound):
    def init(self, key, dtype=jnp.float32):
        return super().init(jax.random.key(0), dtype)


@breaks(DRAWS, "uses a random key twice", "jax.random.split")
@dataclasses.dataclass(frozen=True, kw_only=True)
class UsesAKeyTwice(Sound):
    def init(self, key, dtype=jnp.float32):
        return AffineParams(
            self.draw_kernel(key, 1, dtype),
            self.draw_recurrent_kernel(key, 1, dtype),
            jnp.zeros(self.hidden_size, dtype),
        )


@breaks(DRAWS, "twice with the same key gives two results", "jax.random")
@dataclasses.dataclass(frozen=True, kw_only=True)
class DrawsParametersInNumPy(Sound):
    def init(self, key, dtype=jnp.float32):
        return super().init(key, dtype)._replace(bias=jnp.asarray(np.random.rand(self.hidden_size), dtype))


@breaks("init_draws_any_floating_type", "params.bias of init(key, bfloat16) is float32, expected bfloat16")
@dataclasses.dataclass(frozen=True, kw_only=True)
class IgnoresTheType(Sound):
    def init(self, key, dtype=jnp.float32):
        return super().init(key, dtype)._replace(bias=jnp.zeros(self.hidden_size, jnp.float32))


@breaks("output_field_is_the_output", "output_field is 'cell', but the carry has hidden", "output_field = 'hidden'")
@dataclasses.dataclass(frozen=True, kw_only=True)
class MisnamesTheOutput(Sound):
    output_field = "cell"


@breaks("output_field_is_the_output", "output_field is 'hidden', but the output", "output_field = None")
@dataclasses.dataclass(frozen=True, kw_only=True)
class OutputIsNotTheField(Sound):
    def __call__(self, params, carry, inputs):
        hidden = self.hidden(params, carry, inputs)
        return HiddenCarry(hidden), 2 * hidden


@breaks("sizes_of_one_work", "hidden_size=1", "not finite", "a variance")
@dataclasses.dataclass(frozen=True, kw_only=True)
class NormalisesOneUnit(Sound):
    def hidden(self, params, carry, inputs):
        hidden = super().hidden(params, carry, inputs)
        return (hidden - hidden.mean(-1, keepdims=True)) / hidden.std(-1, keepdims=True)


@breaks("gradients_equal_those_of_the_plain_scan", "the gradient to params.", "not finite", "jnp.where")
@dataclasses.dataclass(frozen=True, kw_only=True)
class RootOfWhatIsNotTaken(Sound):
    def hidden(self, params, carry, inputs):
        hidden = super().hidden(params, carry, inputs)
        return jnp.where(hidden > 0, jnp.sqrt(hidden), 0)


@breaks("gradients_reach_every_leaf", "the largest gradient to params.bias is 0", "stop_gradient", "law_exceptions")
@dataclasses.dataclass(frozen=True, kw_only=True)
class StopsAGradient(Sound):
    def hidden(self, params, carry, inputs):
        return super().hidden(params._replace(bias=jax.lax.stop_gradient(params.bias)), carry, inputs)


@jax.custom_jvp
def tanh_with_the_wrong_derivative(x):
    return jnp.tanh(x)


tanh_with_the_wrong_derivative.defjvps(lambda dx, y, x: dx * (1 - y))


@breaks("gradients_equal_finite_differences", "a random direction of params", "according to differences", "custom_jvp")
@dataclasses.dataclass(frozen=True, kw_only=True)
class WrongDerivative(Sound):
    def hidden(self, params, carry, inputs):
        total = inputs @ params.kernel + carry.hidden @ params.recurrent_kernel + params.bias
        return tanh_with_the_wrong_derivative(total)


@breaks("causality", "the step before: nothing is carried", "does not read it")
@dataclasses.dataclass(frozen=True, kw_only=True)
class ForgetsItsCarry(Sound):
    def hidden(self, params, carry, inputs):
        return jnp.tanh(inputs @ params.kernel + params.bias) + 0 * carry.hidden


@breaks("causality", "does not change with the inputs of that step", "does not read its inputs")
@dataclasses.dataclass(frozen=True, kw_only=True)
class IgnoresItsInputs(Sound):
    def hidden(self, params, carry, inputs):
        return super().hidden(params, carry, 0 * inputs)


@breaks("any_leading_batch_shape", "with the batch as [2, 2]", "counted from the left")
@dataclasses.dataclass(frozen=True, kw_only=True)
class KnowsOneBatchAxis(Sound):
    def hidden(self, params, carry, inputs):
        return super().hidden(params, carry, inputs) * (1 if inputs.ndim < 3 else 0.9)


@breaks("a_second_call_compiles_nothing", "expected none", "equal to its copy")
@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class NeverEqual(Sound):
    def __eq__(self, other):
        return self is other

    def __hash__(self):
        return id(self)


class Two(NamedTuple):
    values: jax.Array
    count: jax.Array


@breaks("causality", "does not change with the inputs of that step")
@dataclasses.dataclass(frozen=True, kw_only=True)
class IgnoresWholeNumbers(Sound):
    """Inputs without a derivative are looked at too."""

    def example_inputs(self, key, leading_shape, dtype=jnp.float32):
        count = jax.random.randint(key, leading_shape, 0, 9)
        return Two(jnp.ones((*leading_shape, self.input_size), dtype), count)

    def hidden(self, params, carry, inputs):
        return super().hidden(params, carry, inputs.values)
