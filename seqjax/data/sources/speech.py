"""Digits that are spoken, or played as tones, alone and in strings."""

import os
import re
from collections.abc import Callable

import numpy as np

from seqjax.data.archives import recordings_by_name
from seqjax.data.download import read_verified
from seqjax.data.draws import Draws
from seqjax.data.features import FeatureScale, log_mel, read_wav
from seqjax.data.records import Dataset, Records
from seqjax.data.sources.splits import divide
from seqjax.errors import DataError

_RATE = 8000
_SHORTEST, _LONGEST = 3, 7
_TONES = {
    digit: (low, high)
    for low, row in ((697, "123"), (770, "456"), (852, "789"), (941, "*0#"))
    for digit, high in zip(row, (1209, 1336, 1477))
    if digit.isdecimal()
}

Recordings = dict[str, np.ndarray]
"""Samples by name: ``digit_speaker_number``."""
Play = Callable[[str], np.ndarray]
"""The samples of a digit."""


def spoken_digits(
    root: str | os.PathLike[str] | None = None, bands: int = 40, validation: float = 0.1, seed: int = 0
) -> Dataset:
    """Single digits of 6 speakers as log-mel features, each recording of mean 0 and variance 1 in every band.

    The official test has the recordings 0 to 4 of each digit and speaker.
    """
    parts = [
        Records([_features(samples, bands) for samples in part.values()], [n[0] for n in part], names=list(part))
        for part in _recordings(root, validation, seed)
    ]
    return Dataset("spoken-digits", *parts)


def spoken_digit_strings(
    root: str | os.PathLike[str] | None = None,
    bands: int = 40,
    train: int = 4000,
    validation: int = 300,
    test: int = 500,
    seed: int = 0,
) -> Dataset:
    """Strings of 3 to 7 digits of one speaker as log-mel features, with the digits as target, for CTC.

    The recordings of :func:`spoken_digits` follow each other with up to 0.2 seconds of faint noise between. Those of a
    part are from that part's recordings only. Any number of strings may be asked for: ``train``, ``validation`` and
    ``test``.
    """
    counts = {"train": train, "validation": validation, "test": test}
    parts = [
        _strings(_speaker(part), count, bands, (seed, number), name)
        for number, (part, (name, count)) in enumerate(zip(_recordings(root, 0.1, seed), counts.items(), strict=True))
    ]
    return Dataset("spoken-digit-strings", *parts)


def tone_strings(
    bands: int = 40,
    noise: float = 0.3,
    train: int = 1000,
    validation: int = 100,
    test: int = 200,
    seed: int = 0,
) -> Dataset:
    """Strings of 3 to 7 digits as telephones play them, two tones a digit, with noise: speech without a download."""

    def sound(draws: Draws) -> Play:
        def tone(digit: str) -> np.ndarray:
            low, high = _TONES[digit]
            time = np.arange(draws.integer(480, 960)) / _RATE
            played = 0.5 * np.sin(2 * np.pi * low * time) + 0.5 * np.sin(2 * np.pi * high * time)
            return played + noise * draws.normal(time.size)

        return tone

    parts = [
        _strings(sound, count, bands, (seed, number), name)
        for number, (name, count) in enumerate((("train", train), ("validation", validation), ("test", test)))
    ]
    return Dataset("tone-strings", *parts)


def recording(content: bytes, name: str, bands: int = 40) -> np.ndarray:
    """A WAV file as the sources here have it.

    Raises:
        DataError: bytes that are no WAV of one channel with 8,000 samples a second.
    """
    samples, _ = read_wav(content, expected_rate=_RATE, name=name)
    return _features(samples, bands)


def _speaker(part: Recordings) -> Callable[[Draws], Play]:
    by_speaker: dict[str, dict[str, list[np.ndarray]]] = {}
    for name, samples in part.items():
        digit, speaker, _ = name.split("_")
        by_speaker.setdefault(speaker, {}).setdefault(digit, []).append(samples)
    speakers = sorted(by_speaker)

    def sound(draws: Draws) -> Play:
        spoken = by_speaker[speakers[draws.integer(0, len(speakers))]]
        return lambda digit: spoken[digit][draws.integer(0, len(spoken[digit]))]

    return sound


def _strings(sound: Callable[[Draws], Play], count: int, bands: int, key: tuple[int, int], part: str) -> Records:
    inputs, targets = [], []
    for number in range(count):
        draws = Draws(*key, number)
        play = sound(draws)
        digits = "".join(map(str, draws.integers(0, 10, draws.integer(_SHORTEST, _LONGEST + 1))))
        pieces = []
        for digit in digits:
            pieces += [play(digit), 1e-3 * draws.normal(draws.integer(0, _RATE // 5))]
        inputs.append(_features(np.concatenate(pieces), bands))
        targets.append(digits)
    return Records(inputs, targets, names=[f"{part} string {number}" for number in range(count)])


def _features(samples: np.ndarray, bands: int) -> np.ndarray:
    # Frames of 32 ms: the recordings have 8 kHz, and shorter ones leave low bands without a frequency.
    features = log_mel(samples, _RATE, bands=bands, window=0.032, floor=1e-8)
    return FeatureScale.of([features])(features)


def _recordings(root: str | os.PathLike[str] | None, validation: float, seed: int) -> tuple[Recordings, ...]:
    found: Recordings = {}
    for name, content in recordings_by_name(read_verified("fsdd/recordings", root)).items():
        if not re.fullmatch(r"\d_[a-z]+_\d+\.wav", name):
            raise DataError(f"spoken-digits: {name}: expected digit_speaker_number.wav")
        found[name.removesuffix(".wav")], _ = read_wav(content, expected_rate=_RATE, name=name)
    is_test = {name: int(name.rpartition("_")[2]) < 5 for name in found}
    others = [name for name in found if not is_test[name]]
    kept, held = divide(others, [validation], seed)
    return (
        {others[index]: found[others[index]] for index in kept.tolist()},
        {others[index]: found[others[index]] for index in held.tolist()},
        {name: found[name] for name in found if is_test[name]},
    )
