import io
import wave

import numpy as np
import pytest

from seqjax.data.sources import SOURCES, read_input
from seqjax.data.sources.source import function_at
from seqjax.errors import DataError


def wav(samples: np.ndarray, rate: int = 8000, channels: int = 1) -> bytes:
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.asarray(samples * 32767, "<i2").tobytes())
    return content.getvalue()


@pytest.fixture
def write(tmp_path):
    def write(name: str, content) -> str:
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            np.save(path, content, allow_pickle=True)
        return str(path)

    return write


def test_arrays_are_read_as_they_are(write):
    features = np.arange(12, dtype=np.float32).reshape(4, 3)
    read = read_input(write("features.npy", features), "handwritten-words", {})
    np.testing.assert_array_equal(read, features)


def test_recordings_become_the_bands_of_the_source(write):
    path = write("noise.wav", wav(np.random.default_rng(0).normal(scale=0.1, size=2000)))
    for bands in (20, 40):
        read = read_input(path, "spoken-digit-strings", {"bands": bands, "train": 5})
        assert read.shape == (22, bands)
        np.testing.assert_allclose(read.mean(axis=0), 0, atol=1e-5)
    assert read_input(path, "tone-strings", {}).shape == (22, 40)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("fast.wav", wav(np.zeros(100), rate=44100), r"fast.wav: 44100 samples a second, expected 8000; resample it"),
        ("stereo.wav", wav(np.zeros(100), channels=2), "2 channels, expected one"),
        ("text.wav", b"not a sound", "not an uncompressed WAV file"),
        ("text.npy", b"not an array", "not a NumPy file"),
        ("empty.npy", b"", "not a NumPy file"),
        ("objects.npy", np.array([None, "x"], object), "not a NumPy file"),
        ("words.npy", np.array(["a", "b"]), "expected features"),
        ("holes.npy", np.array([[1.0, np.nan]]), "not all finite"),
    ],
)
def test_files_that_cannot_be_used(write, name, content, message):
    with pytest.raises(DataError, match=message):
        read_input(write(name, content), "tone-strings", {})


def test_only_sources_of_files_read_other_files(write):
    with pytest.raises(DataError, match=r"handwritten-words are read from \.npy files"):
        read_input(write("word.png", b""), "handwritten-words", {})
    with pytest.raises(DataError, match=r"such\.wav: No such file.*path of a file"):
        read_input("/no/such.wav", "tone-strings", {})


def test_readers_of_files_are_there():
    places = {source.file for source in SOURCES.values()} - {None}
    assert places
    assert all(callable(function_at(place)) for place in places)
