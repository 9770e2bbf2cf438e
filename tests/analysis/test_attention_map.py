import numpy as np
import pytest

from seqjax.analysis import plots


def test_rows_are_written_and_columns_read():
    pytest.importorskip("matplotlib")
    weights = np.array([[0.9, 0.1, 0.0], [0.2, 0.3, 0.5]])
    axes = plots.attention_map(weights, ["le", "chat", "$noir$"], ["black", "cat"]).axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), weights)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["le", "chat", "$noir$"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["black", "cat"]
    axes.figure.canvas.draw()


def test_shapes_that_do_not_fit():
    with pytest.raises(
        ValueError, match=r"shape \(1, 2\), expected a row for each of 2 outputs and a column for each of 1"
    ):
        plots.attention_map(np.ones((1, 2)), ["a"], ["b", "c"])
