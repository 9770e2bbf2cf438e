import numpy as np
import pytest

from seqjax.analysis.plots import attention_map, save

pytest.importorskip("matplotlib")

WEIGHTS = np.array([[0.9, 0.1, 0.0, 0.0], [0.2, 0.8, 0.0, 0.0], [0.3, 0.7, 0.0, 0.0]])


def test_rows_are_outputs_and_padding_is_cut(tmp_path):
    figure = attention_map(WEIGHTS, ["le", "$chat$"], ["the", "cat"])
    axes = figure.axes[0]
    np.testing.assert_array_equal(axes.collections[0].get_array().reshape(2, 2), WEIGHTS[:2, :2])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["le", "$chat$"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["the", "cat"]
    bottom, top = axes.get_ylim()
    assert bottom > top, "the first output is at the top"
    assert save(figure, tmp_path / "map")[0].stat().st_size > 1000


def test_frames_have_numbers():
    axes = attention_map(np.eye(3, 400), None, "abc").axes[0]
    assert axes.get_xlabel() == "position of the input"
    assert axes.get_xlim() == (-0.5, 399.5)


@pytest.mark.parametrize(
    ("weights", "inputs"),
    [(WEIGHTS, "abcde"), (WEIGHTS[:1], "ab"), (WEIGHTS[None], "ab")],
    ids=["wide", "high", "batch"],
)
def test_more_tokens_than_weights_are_told(weights, inputs):
    with pytest.raises(ValueError, match="take those of one sequence"):
        attention_map(weights, inputs, "xy")
