import numpy as np
import pytest

from seqjax.analysis.image_plots import image_grid


def test_each_image_is_in_its_place():
    pytest.importorskip("matplotlib")
    images = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    axes = image_grid(images, ["zero", "$one$"]).axes[0]
    drawn = np.ma.filled(axes.images[0].get_array(), np.nan)
    np.testing.assert_array_equal(drawn[7:11, 8:13], images[1, 1])
    assert np.isnan(drawn[6]).all()
    assert [label.get_text() for label in axes.get_yticklabels()] == ["zero", "$one$"]
    assert axes.get_yticks().tolist() == [2.5, 8.5]


def test_rows_without_a_name_are_refused():
    with pytest.raises(ValueError, match=r"images have shape \(2, 3, 4, 5\) and 1 rows have names"):
        image_grid(np.zeros((2, 3, 4, 5)), ["zero"])
