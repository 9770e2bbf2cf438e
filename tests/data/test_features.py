"""Log-mel features against librosa, against numbers that librosa gave, and against closed forms; WAV files."""

import io
import wave

import numpy as np
import pytest
import scipy.signal

from seqjax.data import FeatureScale, log_mel, read_wav
from seqjax.data.features import deltas, mel_filters
from seqjax.errors import DataError

CONVENTIONS = pytest.mark.parametrize("convention", ["htk", "slaney"])


def chirp(rate=8000, seconds=0.5):
    time = np.arange(int(rate * seconds)) / rate
    return np.sin(2 * np.pi * (200 * time + 1500 * time**2)) + 0.1 * np.cos(2 * np.pi * 3000 * time)


@CONVENTIONS
@pytest.mark.parametrize(("rate", "window", "hop", "bands"), [(8000, 0.032, 0.010, 40), (16000, 0.064, 0.016, 80)])
def test_librosa_gives_the_same(convention, rate, window, hop, bands):
    librosa = pytest.importorskip("librosa")
    length = round(window * rate)
    power = librosa.feature.melspectrogram(
        y=chirp(rate),
        sr=rate,
        n_fft=length,
        hop_length=round(hop * rate),
        center=False,
        power=2,
        n_mels=bands,
        fmin=60,
        fmax=rate / 2 - 200,
        htk=convention == "htk",
        norm=None if convention == "htk" else "slaney",
    )
    ours = log_mel(
        chirp(rate), rate, bands=bands, window=window, hop=hop, low=60, high=rate / 2 - 200, convention=convention
    )
    np.testing.assert_allclose(ours, np.log(np.maximum(power.T, 1e-10)), rtol=1e-4, atol=1e-3)


# From librosa 0.11.0: melspectrogram(y=chirp(), sr=8000, n_fft=256, hop_length=80, center=False, n_mels=4, ...), frames
# 0 and 20, all four bands, natural logarithm.
STORED = {
    "htk": [[8.45436, -1.48945, -13.83311, 3.72024], [1.06202, 8.64978, 6.06895, 3.72024]],
    "slaney": [[1.93609, -14.97353, -21.36342, -3.43205], [0.91918, 2.24557, -9.90177, -3.43205]],
}


@CONVENTIONS
def test_numbers_that_librosa_gave(convention):
    found = log_mel(chirp(), 8000, bands=4, window=0.032, convention=convention)
    assert found.shape == (1 + (4000 - 256) // 80, 4)
    np.testing.assert_allclose(found[[0, 20]], STORED[convention], rtol=1e-4, atol=1e-4)


@CONVENTIONS
def test_a_tone_peaks_in_the_band_around_it(convention):
    edges = {
        "htk": lambda mel: 700 * (10 ** (mel / 2595) - 1),
        "slaney": lambda mel: mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27),
    }[convention]
    highest = {"htk": 2595 * np.log10(1 + 4000 / 700), "slaney": 15 + 27 * np.log(4) / np.log(6.4)}[convention]
    for band in range(20):
        centre = edges(highest * (band + 1) / 21)
        tone = np.sin(2 * np.pi * centre * np.arange(2000) / 8000)
        features = log_mel(tone, 8000, bands=20, window=0.064, convention=convention)
        np.testing.assert_array_equal(features.argmax(axis=1), band)


def test_the_power_of_a_tone_is_known():
    # Of a tone on a frequency of the spectrum, the window keeps N / 4 of the height there and half that beside it.
    tone = 0.5 * np.cos(2 * np.pi * 1000 * np.arange(256) / 8000)
    filters = mel_filters(10, 256, 8000)
    spectrum = np.zeros(129)
    spectrum[[31, 32, 33]] = (0.5 * 256 / 4) ** 2 * np.array([0.25, 1, 0.25])
    np.testing.assert_allclose(
        log_mel(tone, 8000, bands=10, window=0.032)[0], np.log(np.maximum(filters @ spectrum, 1e-10)), atol=1e-4
    )


@CONVENTIONS
def test_filters(convention):
    filters = mel_filters(40, 1024, 16000, 100, 7000, convention)
    frequencies = np.arange(513) * 16000 / 1024
    assert (filters >= 0).all()
    assert filters[:, (frequencies <= 100) | (frequencies >= 7000)].max() < 1e-9
    if convention == "htk":
        # Neighbours add up to 1 between the first and the last centre.
        inside = slice(filters[0].argmax() + 1, filters[-1].argmax())
        np.testing.assert_allclose(filters.sum(axis=0)[inside], 1, rtol=1e-9)
        assert filters.max() <= 1
    else:
        np.testing.assert_allclose(filters[20:].sum(axis=1) * 16000 / 1024, 1, rtol=0.05)


def test_lengths():
    assert log_mel(np.zeros(0), 8000, window=0.032).shape == (0, 40)
    assert log_mel(np.ones(10), 8000, window=0.032).shape == (1, 40)
    assert log_mel(np.ones(256), 8000, window=0.032).shape == (1, 40)
    assert log_mel(np.ones(256 + 80), 8000, window=0.032).shape == (2, 40)
    silence = log_mel(np.zeros(400), 8000, window=0.032, floor=1e-6)
    np.testing.assert_allclose(silence, np.log(1e-6), rtol=1e-6)


def test_deltas_are_the_slope_of_a_line_through_the_neighbours():
    features = np.random.default_rng(0).normal(size=(9, 3))
    for width in (1, 2, 3):
        expected = scipy.signal.savgol_filter(features, 2 * width + 1, 1, deriv=1, axis=0, mode="nearest")
        np.testing.assert_allclose(deltas(features, width), expected, atol=1e-12)
    assert deltas(np.zeros((0, 3))).shape == (0, 3)


def test_scale():
    rng = np.random.default_rng(0)
    sequences = [rng.normal(3, 2, (length, 4)) * [1, 1, 1, 0] + 5 for length in (7, 0, 20)]
    scale = FeatureScale.of(sequences)
    steps = np.concatenate([scale(sequence) for sequence in sequences])
    np.testing.assert_allclose(steps.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(steps.std(axis=0), [1, 1, 1, 0], atol=1e-6)
    assert steps.dtype == np.float32
    assert FeatureScale.of([np.zeros((0, 4))])(sequences[0]).shape == (7, 4)


def wav(samples, *, width=2, rate=8000, channels=1):
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(samples)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("width", "samples"),
    [(1, np.uint8([0, 128, 192])), (2, np.int16([-32768, 0, 16384])), (4, np.int32([-(2**31), 0, 2**30]))],
)
def test_wav_files_are_read(width, samples):
    found, rate = read_wav(wav(samples.tobytes(), width=width), expected_rate=8000)
    assert found.tolist() == [-1, 0, 0.5]
    assert (found.dtype, rate) == (np.float32, 8000)


def test_audio_that_cannot_be_used():
    good = wav(np.zeros(100, np.int16).tobytes())
    with pytest.raises(DataError, match=r"a.wav: 8000 samples a second, expected 16000; resample it"):
        read_wav(good, expected_rate=16000, name="a.wav")
    with pytest.raises(DataError, match=r"audio has 8000 samples a second, expected 16000; resample it"):
        log_mel(np.zeros(100), 8000, expected_rate=16000)
    with pytest.raises(DataError, match=r"2 channels, expected one"):
        read_wav(wav(bytes(400), channels=2))
    with pytest.raises(DataError, match=r"samples of 24 bits, expected 8, 16 or 32"):
        read_wav(wav(bytes(300), width=3))
    with pytest.raises(DataError, match=r"not an uncompressed WAV file"):
        read_wav(b"RIFF" + bytes(50))
    with pytest.raises(DataError, match=r"50 of 100 samples are there; the file is cut off"):
        read_wav(good[:-100])
    with pytest.raises(DataError, match=r"shape \(100, 2\), expected one channel"):
        log_mel(np.zeros((100, 2)), 8000)
    with pytest.raises(DataError, match="not finite"):
        log_mel([0.0, np.nan], 8000)
    with pytest.raises(DataError, match=r"band 0 has no frequency in it"):
        log_mel(np.zeros(1000), 8000, bands=200)
    with pytest.raises(DataError, match=r"low < high <= 4000 Hz, half the rate, got 0 to 8000"):
        log_mel(np.zeros(1000), 8000, high=8000)
    with pytest.raises(DataError, match=r"frames of 256 samples every 80 with spectra of 128"):
        log_mel(np.zeros(1000), 8000, window=0.032, fft_size=128)
