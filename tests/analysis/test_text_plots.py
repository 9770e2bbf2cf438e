import numpy as np
import pytest

from seqjax.analysis.plots import save
from seqjax.analysis.text_plots import draw_over_text

pytest.importorskip("matplotlib")


def test_each_character_stands_on_its_number(tmp_path):
    text, values = "a$b$\ncdefgh", np.linspace(-1, 0.5, 11)
    figure = draw_over_text(text, values, columns=5, label="unit 3")
    axes = figure.axes[0]
    grid = axes.images[0].get_array()
    assert grid.shape == (3, 5)
    for written, character, value in zip(axes.texts, text, values, strict=True):
        column, row = written.get_position()
        assert written.get_text() == character.replace("\n", "↵")
        assert grid[int(row), int(column)] == value
    assert [written.get_position() for written in axes.texts[-2:]] == [(4, 1), (0, 2)]
    assert axes.images[0].get_clim() == (-1, 1)
    assert save(figure, tmp_path / "unit")[0].stat().st_size > 1000


@pytest.mark.parametrize(("text", "values"), [("", []), ("abc", [1.0, 2.0]), ("ab", [[1.0], [2.0]])])
def test_one_number_a_character_is_expected(text, values):
    with pytest.raises(ValueError, match=f"there are {len(text)} characters and values of shape"):
        draw_over_text(text, values)
