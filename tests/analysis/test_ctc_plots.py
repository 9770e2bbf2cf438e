import numpy as np
import pytest

from seqjax.analysis.ctc_plots import ctc_alignment, ctc_lattice, ctc_probabilities

pytest.importorskip("matplotlib")

# "aa" in four frames: a – – a with 0.25, a – a a with 0.75; occupied are a, blank, a.
OCCUPATION = np.array([[0, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0.25, 0.75, 0], [0, 0, 0, 1, 0]])


def test_lattice_shows_occupation_moves_and_path():
    (axes,) = ctc_lattice(OCCUPATION, "aa", [0, -1, 1, 1]).axes
    sizes = axes.collections[1].get_sizes().reshape(4, 5)
    np.testing.assert_allclose(sizes / sizes.max(), OCCUPATION)
    *moves, path = ([tuple(point) for point in line.get_xydata().tolist()] for line in axes.lines)
    # From a to a there is no way but by the blank: the labels are equal.
    assert sorted(moves) == [[(0, 1), (1, 2)], [(1, 2), (2, 2)], [(1, 2), (2, 3)], [(2, 2), (3, 3)], [(2, 3), (3, 3)]]
    assert path == [(0, 1), (1, 2), (2, 3), (3, 3)]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["–", "a", "–", "a", "–"]


def test_lattice_moves_past_a_blank_between_labels_that_differ():
    occupation = np.array([[0, 1, 0, 0, 0], [0, 0, 0, 1, 0]])
    (axes,) = ctc_lattice(occupation, "ab", [0, 1]).axes
    assert axes.lines[0].get_xydata().tolist() == [[0, 1], [1, 3]]


def test_path_begins_and_ends_in_the_outer_blanks():
    occupation = np.full([4, 3], 1 / 3)
    (axes,) = ctc_lattice(occupation, "a", [-1, 0, 0, -1]).axes
    assert axes.lines[-1].get_ydata().tolist() == [0, 1, 1, 2]


def test_lattice_of_other_labels():
    with pytest.raises(ValueError, match=r"shape \(4, 5\), expected \[time, 7\] for 3 labels"):
        ctc_lattice(OCCUPATION, "abc")


def test_spikes_are_named_where_they_are_highest():
    probabilities = np.array([[0.9, 0.1, 0], [0.4, 0.6, 0], [0.2, 0.8, 0], [0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0, 0, 1]])
    (axes,) = ctc_probabilities(probabilities, "–ab").axes
    assert [(text.get_text(), text.get_position()[0]) for text in axes.texts] == [("a", 2), ("a", 4), ("b", 5)]
    np.testing.assert_array_equal([line.get_ydata() for line in axes.lines], probabilities.T)


def test_alignment_covers_the_frames_of_each_label():
    (axes,) = ctc_alignment(np.zeros([9, 4]), [-1, 0, 0, -1, 1], "xy", frames_per_step=2).axes
    spans = [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in axes.patches]
    # The last step has one frame only.
    assert spans == [(2, 6), (8, 9)]
    assert [(text.get_text(), text.get_position()[0]) for text in axes.texts] == [("x", 4), ("y", 8.5)]


def test_an_alignment_of_nothing_shows_the_features_alone():
    (axes,) = ctc_alignment(np.zeros([3, 4]), [-1, -1, -1], "xy").axes
    assert not axes.patches
