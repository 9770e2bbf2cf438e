"""The numbers that are made of times: by hand and by formula."""

import math
from itertools import pairwise

import numpy as np
import pytest

from seqjax.bench.flops import product_flops
from seqjax.bench.machine import Machine
from seqjax.bench.measure import order
from seqjax.bench.programs import Program
from seqjax.bench.results import FASTEST, OURS, SPLIT, Measurement, Report, Spread, rows
from seqjax.bench.settings import SHAPES, Shape
from seqjax.cells import GRU, LSTM, Elman, Jordan

MACHINE = Machine(
    processor="one",
    system="another",
    cores=2,
    threads=2,
    platform="cpu",
    devices={"cpu": 1},
    versions={},
    huge_pages=None,
    settings={},
    load=None,
)


def program(**options):
    return Program(run=lambda: None, results=lambda returned: {}, comparable=True, **options)


def measurement(times, flops=600, pass_name="forward", shape=SHAPES["D"], compile_times=None):
    compared_with = SPLIT if SPLIT in times else OURS
    made = rows({name: program() for name in times}, compile_times or {}, times, flops, 1000.0, compared_with)
    return Measurement(
        cell="LSTM",
        shape=shape,
        pass_name=pass_name,
        product_flops=flops,
        matrix_rate=1000.0,
        compared_with=compared_with,
        rows=tuple(made),
        failures={},
        without_cell=(),
        not_split=None if compared_with == SPLIT else "there is one device",
    )


def report(*measurements):
    made = Report(machine=MACHINE, rounds=5, warmup=0, peers={"lax": "1"}, not_installed={})
    made.measurements.extend(measurements)
    return made


class TestFlops:
    @pytest.mark.parametrize(("cell", "gates"), [(LSTM, 4), (GRU, 3), (Elman, 1)])
    @pytest.mark.parametrize(("pass_name", "times"), [("forward", 1), ("training", 3)])
    def test_the_formula(self, cell, gates, pass_name, times):
        shape = Shape("mine", 7, 2, 3, 5)
        expected = times * 2 * 7 * 2 * gates * 5 * (3 + 5)
        assert product_flops(cell(input_size=3, hidden_size=5), shape, pass_name) == expected

    def test_other_ways_of_writing_a_cell_count_too(self):
        assert product_flops(
            GRU(input_size=3, hidden_size=5, reset="before"), Shape("mine", 7, 2, 3, 5), "forward"
        ) == (2 * 7 * 2 * 3 * 5 * (3 + 5))

    def test_a_cell_with_a_third_product(self):
        # x W, y U and h V, with as many outputs as hidden units.
        cell = Jordan(input_size=3, hidden_size=5)
        assert product_flops(cell, Shape("mine", 7, 2, 3, 5), "forward") == 7 * 2 * 2 * (3 * 5 + 5 * 5 + 5 * 5)

    def test_the_first_shape(self):
        flops = product_flops(LSTM(input_size=256, hidden_size=256), SHAPES["A"], "training")
        assert flops / 1e9 == pytest.approx(12.9, abs=0.05)


class TestRows:
    times = {"seqjax": [2.0, 1.0, 3.0, 9.0, 2.0], "lax": [4.0, 3.0, 9.0, 9.0, 5.0]}  # noqa: RUF012

    def test_medians_and_quartiles(self):
        ours, lax = measurement(self.times).rows
        assert ours.seconds == Spread(median=2.0, minimum=1.0, lower_quartile=2.0, upper_quartile=3.0)
        assert lax.seconds == Spread(median=5.0, minimum=3.0, lower_quartile=4.0, upper_quartile=9.0)

    def test_quartiles_between_values(self):
        assert Spread.of([1.0, 2.0, 3.0, 4.0]) == Spread(2.5, 1.0, 1.75, 3.25)

    def test_ratio_of_medians_and_of_rounds(self):
        ours, lax = measurement(self.times).rows
        assert (ours.ratio, lax.ratio) == (1.0, 2.5)
        # Round by round: 2, 3, 3, 1 and 2.5.
        assert lax.ratio_of_rounds == Spread(2.5, 1.0, 2.0, 3.0)

    def test_rates(self):
        ours, lax = measurement(self.times, flops=600).rows
        assert (ours.flops_per_second, ours.fraction_of_matrix_rate) == (300.0, 0.3)
        assert (lax.flops_per_second, lax.fraction_of_matrix_rate) == (120.0, 0.12)

    def test_compile_times_are_medians(self):
        ours, lax = measurement(self.times, compile_times={"seqjax": [5.0, 1.0, 2.0]}).rows
        assert (ours.compile_seconds, lax.compile_seconds) == (2.0, None)

    def test_without_ours_there_are_times_but_no_ratios(self):
        (lax,) = measurement({"lax": [1.0, 3.0]}).rows
        assert (lax.seconds.median, lax.ratio, lax.ratio_of_rounds) == (2.0, None, None)

    def test_where_the_batch_is_split_ours_is_that_row_even_if_it_is_slower(self):
        times = {"seqjax": [2.0, 2.0], "seqjax split": [4.0, 4.0], "lax": [3.0, 3.0]}
        rows = {row.name: row for row in measurement(times).rows}
        assert {name: row.ratio for name, row in rows.items()} == {"seqjax": 0.5, "seqjax split": 1.0, "lax": 0.75}
        to_one_device = {name: row.ratio_to_one_device for name, row in rows.items()}
        assert to_one_device == {"seqjax": 1.0, "seqjax split": 2.0, "lax": 1.5}


class TestFastestPeer:
    def test_neither_torch_nor_a_scan_split_by_hand_is_one(self):
        times = {"seqjax": 4.0, "lax": 3.0, "lax-split": 1.0, "nnx": 2.0, "torch": 0.5}
        fastest = measurement({name: [value] * 2 for name, value in times.items()}).row(FASTEST)
        assert fastest.name == "nnx"
        assert measurement({"seqjax": [1.0, 1.0], "torch": [1.0, 1.0]}).row(FASTEST) is None

    def test_its_mean_is_over_the_fastest_of_each_measurement(self):
        whole = report(
            measurement({"seqjax": [1.0, 1.0], "lax": [8.0, 8.0], "nnx": [9.0, 9.0]}),
            measurement({"seqjax": [1.0, 1.0], "lax": [9.0, 9.0], "nnx": [2.0, 2.0]}),
        )
        assert whole.geometric_means("forward")[FASTEST] == (pytest.approx(4.0), 2)


class TestGeometricMeans:
    def test_over_the_measurements_of_a_pass(self):
        whole = report(
            measurement({"seqjax": [1.0, 1.0], "lax": [8.0, 8.0], "nnx": [3.0, 3.0]}),
            measurement({"seqjax": [1.0, 1.0], "lax": [0.5, 0.5]}),
            measurement({"seqjax": [1.0, 1.0], "lax": [7.0, 7.0]}, pass_name="training"),
        )
        means = whole.geometric_means("forward")
        # The fastest are nnx, 3 times, and lax, half the time.
        fastest = (pytest.approx(math.sqrt(1.5)), 2)
        assert means == {"lax": (pytest.approx(2.0), 2), "nnx": (pytest.approx(3.0), 1), FASTEST: fastest}
        assert whole.geometric_means("training")["lax"] == (pytest.approx(7.0), 1)
        assert whole.geometric_means("training", "GRU") == {}

    def test_as_json(self):
        means = report(measurement({"seqjax": [1.0, 1.0], "lax": [8.0, 8.0]})).to_dict()["geometric_means"]
        expected = {"ratio": pytest.approx(8.0), "measurements": 1}
        assert means == {"forward": {"lax": expected, FASTEST: expected}}


class TestOrder:
    @pytest.mark.parametrize("count", range(1, 9))
    def test_everybody_once_a_round_and_equally_often_after_each_other(self, count):
        cycle = [order(count, number) for number in range(2 * count)]
        assert all(sorted(names) == list(range(count)) for names in cycle)
        after = np.zeros((count, count), int)
        for names in cycle:
            for before, name in pairwise(names):
                after[before, name] += 1
        np.testing.assert_array_equal(after, 2 * (1 - np.eye(count)))

    def test_places_are_equal_too(self):
        for place in range(5):
            assert {order(5, number)[place] for number in range(5)} == set(range(5))


def test_geometric_mean_is_that_of_logarithms():
    values = [0.3, 1.7, 2.9]
    whole = report(*(measurement({"seqjax": [1.0, 1.0], "lax": [value, value]}) for value in values))
    assert math.log(whole.geometric_means("forward")["lax"][0]) == pytest.approx(sum(map(math.log, values)) / 3)
