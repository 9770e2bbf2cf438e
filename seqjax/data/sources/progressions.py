"""Made music: chords that follow each other as in simple songs, with a tune above them."""

import numpy as np

from seqjax.data.draws import Draws
from seqjax.data.records import Dataset, Records

_SCALE = np.array([0, 2, 4, 5, 7, 9, 11])
# From each degree of the scale, those that may follow: tonic, supertonic, subdominant, dominant, submediant.
_FOLLOWING = {0: (3, 4, 5, 1), 1: (4, 4, 3), 3: (4, 0, 1), 4: (0, 0, 5), 5: (3, 1, 4)}
_MIDDLE_C = 39


def progressions(bars: int = 8, train: int = 200, validation: int = 40, test: int = 40, seed: int = 0) -> Dataset:
    """Piano rolls ``[4 * bars - 1, 88]`` and the same a step later, as of the chorales; see :func:`piano_rolls`.

    A piece is in one of twelve major keys, begins and ends on the tonic, and changes its chord with every bar of four
    steps: bass, triad, and a tune that steps between notes of the chord.
    """
    parts, first = [], 0
    for size in (train, validation, test):
        rolls = [_piece(Draws(seed, number), bars) for number in range(first, first + size)]
        first += size
        parts.append(Records([roll[:-1] for roll in rolls], [roll[1:] for roll in rolls]))
    return Dataset("progressions", *parts)


def _piece(draws: Draws, bars: int) -> np.ndarray:
    roll = np.zeros((4 * bars, 88), np.float32)
    root = _MIDDLE_C + draws.integer(-6, 6)
    degree, tune = 0, 7 + 2 * draws.integer(0, 3)
    for bar in range(bars):
        if bar == bars - 1:
            degree = 0
        triad = degree + np.array([0, 2, 4])
        for step in range(4 * bar, 4 * bar + 4):
            if (step - 4 * bar) % 2 == 0:
                # On a beat the tune is a note of the chord, the nearest or the one above or below.
                octaves = np.concatenate([triad + 7 * octave for octave in range(3)])
                nearest = int(np.abs(octaves - tune).argmin())
                tune = int(octaves[np.clip(nearest + draws.integer(-1, 2), 2, 7)])
            else:
                tune += draws.integer(-1, 2)
            keys = [root + _pitch(degree) - 24, *(root + _pitch(note) - 12 for note in triad), root + _pitch(tune)]
            roll[step, keys] = 1
        degree = _FOLLOWING[degree][draws.integer(0, len(_FOLLOWING[degree]))]
    return roll


def _pitch(note: int) -> int:
    """Semitones above the tonic of a note of the scale, counted from 0."""
    octave, step = divmod(int(note), 7)
    return 12 * octave + int(_SCALE[step])
