"""Piano rolls as sound; NumPy and the standard library only."""

import wave
from pathlib import Path
from typing import Any

import numpy as np

from seqjax.errors import DataError

_LOWEST_KEY_HERTZ = 27.5
_HARMONICS = np.array([1.0, 0.5, 0.25, 0.12, 0.06])


def synthesize(roll: Any, *, steps_per_second: float = 2.0, rate: int = 22_050) -> np.ndarray:
    """A piano roll as sound: decaying tones with five harmonics, in equal temperament.

    Args:
        roll: ``[time, 88]``; what is above 0.5 sounds. Key 0 is the lowest A of a piano, key 48 the A of 440 Hz. A key
            that sounds on is held and not struck again.
        steps_per_second: of the roll.
        rate: samples a second.

    Returns:
        ``[samples]`` float32 from -1 to 1.

    Raises:
        DataError: a roll of another shape.

    Example:
        >>> import numpy as np
        >>> roll = np.zeros([4, 88])
        >>> roll[:2, 48] = 1
        >>> synthesize(roll, steps_per_second=4.0, rate=8000).shape
        (8000,)
    """
    roll = np.asarray(roll)
    if roll.ndim != 2 or roll.shape[1] != 88:
        raise DataError(f"a piano roll has shape [time, 88], got {list(roll.shape)}")
    sounding = roll > 0.5
    bounds = np.round(np.arange(len(roll) + 1) * rate / steps_per_second).astype(int)
    signal = np.zeros(bounds[-1])
    for key in np.flatnonzero(sounding.any(axis=0)):
        padded = np.concatenate([[False], sounding[:, key], [False]])
        begins, ends = np.flatnonzero(padded[1:] & ~padded[:-1]), np.flatnonzero(padded[:-1] & ~padded[1:])
        for begin, end in zip(begins, ends, strict=True):
            signal[bounds[begin] : bounds[end]] += _tone(int(key), bounds[end] - bounds[begin], rate)
    loudest = np.abs(signal).max(initial=0.0)
    return (signal / loudest if loudest else signal).astype(np.float32)


def write_wav(path: str | Path, signal: Any, rate: int) -> None:
    """Write ``[samples]`` from -1 to 1 as a WAV file of 16 bits.

    Raises:
        DataError: samples beyond -1 to 1, or not finite.
    """
    signal = np.asarray(signal)
    if not (np.isfinite(signal).all() and np.abs(signal).max(initial=0) <= 1):
        raise DataError("sound must lie between -1 and 1; divide it by its largest magnitude")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.round(signal * 32767).astype("<i2").tobytes())


def _tone(key: int, samples: int, rate: int) -> np.ndarray:
    time = np.arange(samples) / rate
    hertz = _LOWEST_KEY_HERTZ * 2 ** (key / 12) * np.arange(1, len(_HARMONICS) + 1)
    # What is above half the rate would sound as another tone.
    heights = np.where(hertz < rate / 2, _HARMONICS, 0.0)
    waves = (heights[:, None] * np.sin(2 * np.pi * hertz[:, None] * time)).sum(axis=0)
    ends = np.minimum(1, np.minimum(time, time[::-1]) / 0.01)
    return waves * np.exp(-1.5 * time) * ends
