"""Sound as features: mel spectra on a logarithmic scale."""

import dataclasses
import io
import wave
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from seqjax.errors import DataError

Convention = Literal["htk", "slaney"]


def mel_filters(
    bands: int, fft_size: int, rate: int, low: float = 0.0, high: float | None = None, convention: Convention = "htk"
) -> np.ndarray:
    r"""Triangles over the frequencies of a spectrum, ``[bands, fft_size // 2 + 1]`` float64.

    ``htk`` has :math:`m = 2595 \log_{10}(1 + f / 700)` and triangles of height 1, as the HTK book, Kaldi and
    torchaudio; ``slaney`` is linear below 1000 Hz, logarithmic above, and its triangles have an area of 1, as Slaney's
    Auditory Toolbox and librosa.

    Args:
        bands: number of triangles.
        fft_size: of the spectrum.
        rate: samples a second.
        low: where the first triangle begins, in Hz.
        high: where the last one ends, in Hz; half the rate if not given.
        convention: of the scale and the height.

    Raises:
        DataError: frequencies out of order, or triangles so narrow that no frequency of the spectrum is inside one.
    """
    high = rate / 2 if high is None else high
    if not 0 <= low < high <= rate / 2:
        raise DataError(f"mel bands need 0 <= low < high <= {rate / 2:g} Hz, half the rate, got {low:g} to {high:g}")
    to_mel, to_hertz = (_htk_mel, _htk_hertz) if convention == "htk" else (_slaney_mel, _slaney_hertz)
    edges = to_hertz(np.linspace(to_mel(low), to_mel(high), bands + 2))
    frequencies = np.arange(fft_size // 2 + 1) * rate / fft_size
    rising = (frequencies - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - frequencies) / np.diff(edges)[1:, None]
    filters = np.maximum(np.minimum(rising, falling), 0)
    empty = np.flatnonzero(~filters.any(axis=1))
    if empty.size:
        raise DataError(
            f"{bands} mel bands from {low:g} to {high:g} Hz are too narrow for a spectrum of {fft_size} samples: band "
            f"{empty[0]} has no frequency in it; take fewer bands or a longer fft_size"
        )
    return filters * (2 / (edges[2:] - edges[:-2]))[:, None] if convention == "slaney" else filters


def log_mel(
    signal: npt.ArrayLike,
    rate: int,
    *,
    expected_rate: int | None = None,
    bands: int = 40,
    window: float = 0.025,
    hop: float = 0.010,
    fft_size: int | None = None,
    low: float = 0.0,
    high: float | None = None,
    convention: Convention = "htk",
    floor: float = 1e-10,
) -> np.ndarray:
    r"""The logarithm of the power in mel bands, frame by frame: ``[frames, bands]`` float32.

    .. math::
        x_{t,b} = \ln \max\Big(\sum_k M_{b,k} \, \big|\mathrm{FFT}(w \odot s_{tH : tH + N})_k\big|^2, \epsilon\Big)

    with frames of :math:`N` samples every :math:`H`, a periodic Hann window :math:`w`, and :math:`M` of
    :func:`mel_filters`. What does not fill a frame at the end is left out; a signal shorter than a frame is filled up.

    Args:
        signal: samples ``[time]`` of one channel.
        rate: samples a second.
        expected_rate: refuse any other.
        bands: number of features.
        window: seconds of a frame.
        hop: seconds from one frame to the next.
        fft_size: samples of a frame's spectrum; the least power of two that a frame fits in, if not given.
        low: lower end of the first band in Hz.
        high: upper end of the last band in Hz; half the rate if not given.
        convention: of the mel scale.
        floor: :math:`\epsilon`, so that silence is a number.

    Raises:
        DataError: another rate than expected, more than one channel, or samples that are not finite.

    Example:
        >>> tone = np.sin(2 * np.pi * 1000 * np.arange(4000) / 8000)
        >>> features = log_mel(tone, 8000, bands=20)
        >>> features.shape, int(features.mean(axis=0).argmax())
        ((48, 20), 9)
    """
    samples = np.asarray(signal, np.float64)
    if expected_rate is not None and rate != expected_rate:
        raise DataError(
            f"audio has {rate} samples a second, expected {expected_rate}; resample it, for example with "
            f"`sox in.wav -r {expected_rate} out.wav`"
        )
    if samples.ndim != 1:
        raise DataError(f"audio has shape {samples.shape}, expected one channel [time]; average the channels")
    if not np.isfinite(samples).all():
        raise DataError("audio has samples that are not finite; is the file damaged?")
    length, step = round(window * rate), round(hop * rate)
    size = 1 << (length - 1).bit_length() if fft_size is None else fft_size
    if step < 1 or length < 1 or length > size:
        raise DataError(
            f"frames of {length} samples every {step} with spectra of {size}; expected at least 1 sample each, and "
            "spectra no shorter than frames"
        )
    filters = mel_filters(bands, size, rate, low, high, convention)
    if not samples.size:
        return np.zeros((0, bands), np.float32)
    samples = np.pad(samples, (0, max(0, length - samples.size)))
    frames = np.lib.stride_tricks.sliding_window_view(samples, length)[::step]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    power = np.abs(np.fft.rfft(frames * hann, size)) ** 2
    # A matrix product would share so little work among threads at a loss, and its sums differ between machines.
    bands_of_power = np.einsum("tf,bf->tb", power, filters)
    return np.log(np.maximum(bands_of_power, floor)).astype(np.float32)


def deltas(features: np.ndarray, width: int = 2) -> np.ndarray:
    r"""The slope of each feature over time, ``[time, features]``, with the ends repeated.

    .. math::
        d_t = \frac{\sum_{n=1}^{N} n \, (x_{t+n} - x_{t-n})}{2 \sum_{n=1}^{N} n^2}
    """
    if not len(features):
        return features.copy()
    padded = np.pad(features, ((width, width), (0, 0)), mode="edge")
    time, steps = len(features), range(1, width + 1)
    slope = sum(n * (padded[width + n : width + n + time] - padded[width - n : width - n + time]) for n in steps)
    return (slope / (2 * sum(n * n for n in steps))).astype(features.dtype)


@dataclasses.dataclass(frozen=True, eq=False)
class FeatureScale:
    """What brings features to mean 0 and variance 1.

    Attributes:
        mean: ``[features]``.
        deviation: ``[features]``; 1 where a feature never changes.

    Example:
        >>> quiet, loud = np.zeros((2, 1)), np.full((2, 1), 4.0)
        >>> FeatureScale.of([quiet, loud])(loud).tolist()
        [[1.0], [1.0]]
    """

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, sequences: Sequence[np.ndarray]) -> "FeatureScale":
        """That of all steps of sequences ``[time, features]``: one for its own, a training part for a common one."""
        steps = np.concatenate(sequences).astype(np.float64)
        deviation = steps.std(axis=0) if len(steps) else np.zeros(steps.shape[1])
        mean = steps.mean(axis=0) if len(steps) else np.zeros(steps.shape[1])
        return cls(mean, np.where(deviation > 1e-8, deviation, 1.0))

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Features of mean 0 and variance 1, float32."""
        return ((features - self.mean) / self.deviation).astype(np.float32)


def read_wav(content: bytes, *, expected_rate: int | None = None, name: str = "audio") -> tuple[np.ndarray, int]:
    """The samples of a WAV file from -1 to 1, ``[time]`` float32, and how many there are in a second.

    Raises:
        DataError: bytes that are not uncompressed WAV, more than one channel, or another rate than expected.
    """
    try:
        with wave.open(io.BytesIO(content)) as file:
            channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            frames, announced = file.readframes(file.getnframes()), file.getnframes()
    except (wave.Error, EOFError) as error:
        raise DataError(f"{name}: not an uncompressed WAV file ({error}); convert it, for example with `sox`") from None
    if channels != 1:
        raise DataError(f"{name}: {channels} channels, expected one; mix them, for example with `sox in out remix -`")
    if len(frames) != announced * width:
        raise DataError(f"{name}: {len(frames) // width} of {announced} samples are there; the file is cut off")
    if expected_rate is not None and rate != expected_rate:
        raise DataError(
            f"{name}: {rate} samples a second, expected {expected_rate}; resample it, for example with "
            f"`sox in.wav -r {expected_rate} out.wav`"
        )
    if width == 1:
        return (np.frombuffer(frames, np.uint8).astype(np.float32) - 128) / 128, rate
    if width not in (2, 4):
        raise DataError(
            f"{name}: samples of {8 * width} bits, expected 8, 16 or 32; convert it, for example with `sox`"
        )
    samples = np.frombuffer(frames, f"<i{width}")
    return (samples / 2.0 ** (8 * width - 1)).astype(np.float32), rate


def _htk_mel(hertz: float) -> float:
    return 2595 * np.log10(1 + hertz / 700)


def _htk_hertz(mel: np.ndarray) -> np.ndarray:
    return 700 * (10 ** (mel / 2595) - 1)


# 15 mels are 1000 Hz; from there 27 mels are a factor of 6.4.
def _slaney_mel(hertz: float) -> float:
    return hertz * 3 / 200 if hertz < 1000 else 15 + 27 * np.log(hertz / 1000) / np.log(6.4)


def _slaney_hertz(mel: np.ndarray) -> np.ndarray:
    return np.where(mel < 15, mel * 200 / 3, 1000 * 6.4 ** ((mel - 15) / 27))
