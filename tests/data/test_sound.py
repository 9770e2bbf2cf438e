"""Piano rolls as sound, and made songs."""

import wave

import numpy as np
import pytest

from seqjax.data import synthesize, write_wav
from seqjax.data.sources import load_dataset
from seqjax.errors import DataError

RATE = 8000


def loudest_hertz(signal):
    return np.abs(np.fft.rfft(signal)).argmax() * RATE / len(signal)


@pytest.mark.parametrize(("key", "hertz"), [(36, 220.0), (48, 440.0), (51, 523.25)])
def test_a_key_sounds_at_its_pitch(key, hertz):
    roll = np.zeros([2, 88])
    roll[:, key] = 1
    signal = synthesize(roll, steps_per_second=1.0, rate=RATE)
    assert signal.dtype == np.float32
    assert np.abs(signal).max() == 1
    assert loudest_hertz(signal) == pytest.approx(hertz, abs=1.0)


def test_a_key_sounds_when_it_is_held_only():
    roll = np.zeros([4, 88])
    roll[1:3, 48] = 1
    signal = synthesize(roll, steps_per_second=2.0, rate=RATE)
    half = RATE // 2
    assert not signal[:half].any()
    assert not signal[3 * half :].any()
    # Held, not struck again: louder at its beginning than in its second step.
    assert np.abs(signal[half : 2 * half]).max() > 1.5 * np.abs(signal[2 * half : 3 * half]).max()


def test_the_file_has_the_samples(tmp_path):
    signal = np.sin(np.arange(1000) / 10)
    write_wav(tmp_path / "tone.wav", signal, RATE)
    with wave.open(str(tmp_path / "tone.wav")) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (1, RATE, 1000)
        read = np.frombuffer(file.readframes(1000), "<i2") / 32767
    np.testing.assert_allclose(read, signal, atol=1e-4)


def test_what_is_no_sound(tmp_path):
    with pytest.raises(DataError, match=r"shape \[time, 88\], got \[3, 12\]"):
        synthesize(np.zeros([3, 12]))
    with pytest.raises(DataError, match="between -1 and 1"):
        write_wav(tmp_path / "loud.wav", [2.0], RATE)


def test_songs_are_in_a_key_and_end_at_home():
    songs = load_dataset("progressions", train=20, validation=2, test=2)
    again = load_dataset("progressions", train=20, validation=2, test=2)
    for inputs, targets, other in zip(songs.train.inputs, songs.train.targets, again.train.inputs, strict=True):
        np.testing.assert_array_equal(inputs, other)
        np.testing.assert_array_equal(inputs[1:], targets[:-1])
        roll = np.concatenate([inputs, targets[-1:]])
        assert roll.shape == (32, 88)
        assert ((roll.sum(1) >= 4) & (roll.sum(1) <= 5)).all()
        assert len(set(np.flatnonzero(roll.any(0)) % 12)) <= 7
        assert np.flatnonzero(roll[0])[0] == np.flatnonzero(roll[-1])[0]
