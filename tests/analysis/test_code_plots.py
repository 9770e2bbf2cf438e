import numpy as np
import pytest

from seqjax.analysis import plots
from seqjax.analysis.code_plots import codes_map, principal_components


def test_principal_components(rng):
    decomposition = pytest.importorskip("sklearn.decomposition")
    points = rng.normal(size=(30, 5)) * [5, 3, 1, 1, 1]
    places, shares = principal_components(points)
    fitted = decomposition.PCA(2).fit(points)
    np.testing.assert_allclose(np.abs(places), np.abs(fitted.transform(points)), rtol=1e-7)
    np.testing.assert_allclose(shares, fitted.explained_variance_ratio_, rtol=1e-7)


def test_a_map_names_its_sequences(rng, tmp_path):
    pytest.importorskip("matplotlib")
    figure = codes_map(rng.normal(size=(3, 4)).astype(np.float32), ["a", "bb", "ccc"])
    assert [text.get_text() for text in figure.axes[0].texts] == ["a", "bb", "ccc"]
    assert plots.save(figure, tmp_path / "codes")[0].read_bytes().startswith(b"\x89PNG")
