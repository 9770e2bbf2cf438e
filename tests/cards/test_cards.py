"""Cards: what stands on them, in a terminal and in a notebook, for our cells and for a user's."""

import dataclasses
import functools
import json
import re
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import pytest

import seqjax
from seqjax.cards import families
from seqjax.cards.values import as_code, options_of
from seqjax.cells import GRU, LSTM, Cell, Elman, registry
from seqjax.cells.transforms import batch_normalization, layer_normalization, zoneout

SIZES: dict[str, Any] = {"input_size": 3, "hidden_size": 5}


class MineParams(NamedTuple):
    kernel: jax.Array


class MineCarry(NamedTuple):
    hidden: jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mine(Cell):
    rate: float = 0.5
    carry_type = MineCarry

    def init(self, key, dtype=jnp.float32):
        return MineParams(jax.random.normal(key, (self.input_size, self.hidden_size), dtype))

    def __call__(self, params, carry, inputs):
        hidden = self.rate * carry.hidden + inputs @ params.kernel
        return MineCarry(hidden), hidden


@dataclasses.dataclass(frozen=True, kw_only=True)
class Negated(Cell):
    """The negative of another cell's outputs."""

    cell: Cell
    input_size: int = dataclasses.field(init=False)
    hidden_size: int = dataclasses.field(init=False)
    carry_type = None

    def __post_init__(self):
        object.__setattr__(self, "input_size", self.cell.input_size)
        object.__setattr__(self, "hidden_size", self.cell.hidden_size)

    def init(self, key, dtype=jnp.float32):
        return self.cell.init(key, dtype)

    def initial_carry(self, *arguments, **options):
        return self.cell.initial_carry(*arguments, **options)

    def __call__(self, params, carry, inputs):
        carry, output = self.cell(params, carry, inputs)
        return carry, -output


def test_the_numbers_on_a_card():
    card = seqjax.card(GRU(**SIZES, reset="before"))
    assert card.parameters == 3 * 5 * (3 + 5 + 1)
    assert card.flops_per_step == 2 * 3 * 5 * (3 + 5)
    assert card.carry_bytes == 4 * 5
    assert (card.products_in_loop, card.products_in_backward_loop) == (2, 2)
    assert card.structure == (("full",),)
    assert not card.parallel


def test_a_class_is_built_with_the_sizes():
    assert seqjax.card(LSTM).cell == LSTM(input_size=64, hidden_size=128)
    assert seqjax.card(LSTM, **SIZES).parameter_shapes["recurrent_kernel"] == (5, 20)
    with pytest.raises(TypeError, match=r"takes a cell or its class, such as seqjax\.cells\.LSTM; got 'LSTM'"):
        seqjax.card("LSTM")


def test_a_card_in_a_terminal():
    text = str(seqjax.card(LSTM))
    assert "    cₜ         = fₜ ⊙ cₜ₋₁ + iₜ ⊙ gₜ\n" in text
    for line in (
        "  Hochreiter and Schmidhuber 1997, Long short-term memory, Neural Computation 9(8)",
        "  recurrent_kernel  [128, 512]  65,536",
        "  FLOPs                 196,608 in products",
        "  d cell / d carry      full in hidden, diagonal in cell",
        "  time in parallel      no: not affine in the carry",
    ):
        assert line in text.splitlines()


def test_a_card_in_a_notebook():
    text = seqjax.card(LSTM)._repr_markdown_()
    assert text.startswith("### LSTM\n")
    assert r"c_t &= f_t \odot c_{t-1} + i_t \odot g_t \\" in text
    assert text.count("$$") == 2
    assert "| recurrent_kernel | [128, 512] | 65,536 |" in text


def test_a_card_of_a_users_cell():
    card = seqjax.card(Mine, **SIZES)
    assert card.parallel
    assert card.structure == (("diagonal",),)
    text = str(card)
    assert text.startswith("Mine\n====\n\nOptions\n  rate  0.5\n\nParameters with 3 inputs, 5 hidden units\n")
    assert "check-cell" in text
    assert "check-cell" in card._repr_markdown_()
    json.dumps(card.to_dict())


def test_a_users_cell_with_the_name_of_ours_has_none_of_its_evidence():
    mine = type("LSTM", (Mine,), {"__module__": __name__})
    assert not seqjax.card(mine(**SIZES)).evidence.reference
    assert seqjax.card(LSTM).evidence.reference


def test_a_card_of_a_cell_around_another():
    card = seqjax.card(Negated(cell=GRU(**SIZES)))
    text = str(card)
    assert text.startswith("Negated\n=======\n\nAround GRU(input_size=3, hidden_size=5)\n\n")
    assert "The negative of another cell's outputs." in text
    assert "hₜ     = (1 - zₜ) ⊙ nₜ + zₜ ⊙ hₜ₋₁" in text
    assert "\nOptions\n" not in text
    assert card.parameters == seqjax.card(GRU, **SIZES).parameters


def test_a_card_of_a_transformed_cell():
    card = seqjax.card(zoneout(layer_normalization(GRU(**SIZES, reset="before"), epsilon=1e-3), hidden=0.1))
    text = str(card)
    inner = 'layer_normalization(GRU(input_size=3, hidden_size=5, reset="before"), epsilon=0.001)'
    assert " ".join(text.split()).startswith(f"zoneout ======= Around {inner} ")
    assert "hₜ     = (1 - zₜ) ⊙ nₜ + zₜ ⊙ hₜ₋₁" in text
    assert "What zoneout makes" not in text
    assert "Krueger et al. 2017" in text
    assert re.search(r"^  hidden +0\.1\b", text, re.MULTILINE)
    assert list(card.carry) == ["hidden"]
    assert "the cell inside" in text
    assert "zoneout" in card._repr_markdown_()


def test_a_card_of_a_cell_that_needs_a_batch():
    assert seqjax.card(batch_normalization(GRU(**SIZES))).flops_per_step == seqjax.card(GRU, **SIZES).flops_per_step


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("tanh", '"tanh"'),
        (0.5, "0.5"),
        (None, "None"),
        (("a", 1), '("a", 1)'),
        (jax.nn.gelu, "jax.nn.gelu"),
        (jnp.sin, "jax.numpy.sin"),
        (jax.nn.initializers.orthogonal(), "jax.nn.initializers.orthogonal(...)"),
        (jax.nn.initializers.zeros, "jax.nn.initializers.zeros"),
        (functools.partial(jax.nn.leaky_relu, negative_slope=0.1), "jax.nn.leaky_relu(negative_slope=0.1)"),
        (lambda x: x, "a function without a name"),
        (test_a_card_in_a_terminal, "test_a_card_in_a_terminal"),
    ],
)
def test_values_are_written_as_one_would(value, code):
    assert as_code(value) == code


def test_options_show_choices_and_defaults():
    options = {option.name: str(option) for option in options_of(GRU(**SIZES, reset="before", activation="relu"))}
    assert options["reset"] == '"before", or "after" (default: "after")'
    assert options["activation"] == '"relu" (default: "tanh")'
    assert "input_size" not in options
    biases = {bias: str(options_of(LSTM(**SIZES, forget_bias=bias))[2]) for bias in (1.0, "uniform")}
    assert biases[1.0] == '1.0, or "uniform", "chrono", "power_law"'
    assert biases["uniform"] == '"uniform", or "chrono", "power_law", a number (default: 1.0)'


def test_families_name_files_that_exist_and_hold_every_cell():
    modules = {cell.__module__.rpartition(".")[2] for cell in registry().values()}
    named = [module for members in families.FAMILIES.values() for module in members]
    assert set(named) <= modules
    assert len(named) == len(set(named))
    members = [cell for cells in families.families(registry().values()).values() for cell in cells]
    assert sorted(cell.__name__ for cell in members) == list(registry())
    assert families.family_of(Mine) == "Cards"


@pytest.mark.parametrize("name", sorted(registry()))
def test_every_cell_says_what_it_is_and_where_it_is_from(name):
    cell = registry()[name]
    summary = families.summary_of(cell)
    assert 5 < len(summary) <= 120
    assert not summary.endswith((".", ",", ":"))
    assert families.year_of(cell) is not None
    assert all("\n" not in text for text in (cell.paper, *cell.conventions, *cell.elsewhere.values()))


def test_parameter_counts_are_the_papers():
    count = lambda cell_type, **options: seqjax.card(cell_type(**SIZES, **options)).parameters
    assert count(LSTM) == 4 * count(Elman)
    assert count(GRU, reset="before") == 3 * count(Elman)
    assert count(GRU) == 3 * count(Elman) + 5
