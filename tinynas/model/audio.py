"""A folder of WAV files per class, as log-mel spectrograms that firmware can compute with integers.

For one clip of int16 samples s at `sample_rate_hz`, cut or zero-padded at its end to `clip_ms`:

    N = sample_rate_hz * frame_ms / 1000, H = sample_rate_hz * hop_ms / 1000 [samples], both rounded down
    L = the least power of two >= N; frames start at 0, H, 2H, ... and lie within the clip
    w[n] = round(32767 * (0.5 - 0.5 cos(2 pi n / N))) / 32768                 a periodic Hann window in Q15
    X[k] = (1/L) sum over n of w[n] s[n] exp(-2 pi i k n / L), k = 0 .. L/2       1/L: a shift by one per FFT stage
    P[k] = |X[k]|^2
    E[m] = sum over k of W[m,k] P[k]                                                mel energies, m = 0 .. mel_bands - 1
    feature[m] = log2(1 + E[m]), from 0 (silence) to below 28
    network input = feature / 14 - 1

W[m] is a triangle of height 1 between the edges m, m+1, m+2 of mel_bands + 2 frequencies that are equally spaced on the
mel scale from 20 Hz to sample_rate_hz / 2, evaluated at k * sample_rate_hz / L and rounded to multiples of 1/256 (Q8).
mel(f) = 2595 log10(1 + f / 700). The base-2 logarithm needs a count of leading zeros and a small table.

Sources: O'Shaughnessy, "Speech Communication", 1987, for the mel formula; Davis and Mermelstein, 1980, for the
triangles.
"""

import wave
from pathlib import Path

import numpy as np

from tinynas.config import TaskSection
from tinynas.errors import ConfigError
from tinynas.model.folders import class_files, file_groups
from tinynas.model.samples import Samples

_LOWEST_HZ = 20.0


def read_audio(path: Path, section: TaskSection) -> Samples:
    """Read `path`/CLASS/*.wav (mono, 16 bit): x float32 (n, frames, mel_bands, 1), `feature` of this module's formula.

    A file of a higher rate than `sample_rate_hz` is resampled to it (polyphase, anti-aliased).

    Raises:
        ConfigError: the folder, a class or its files are missing; a file is corrupt, not mono or not of 16 bit, or its
            rate is lower than `sample_rate_hz`.
        ConfigError: a frame is longer than the clip, or there are too many mel bands for the frequency resolution.
    """
    names, files = class_files(path, (".wav",))
    rate = section.sample_rate_hz
    clip = rate * section.clip_ms // 1000
    frame, hop = rate * section.frame_ms // 1000, rate * section.hop_ms // 1000
    if frame < 2 or hop < 1 or frame > clip:
        raise ConfigError(
            f"a frame of {section.frame_ms} ms every {section.hop_ms} ms does not fit a clip of {section.clip_ms} ms "
            f"at {rate:,} Hz"
        )
    filters = mel_filters(rate, fft_length(frame), section.mel_bands)
    features = np.stack([log_mel(read_clip(file, rate, clip), frame, hop, filters) for file, _ in files])
    return Samples(
        x=features[..., np.newaxis],
        y=np.array([label for _, label in files], np.int64),
        class_names=names,
        features=(
            f"log2(1 + mel energy): {section.mel_bands} bands of 20 to {rate // 2} Hz, frames of {frame} samples every "
            f"{hop} at {rate} Hz, FFT of {fft_length(frame)}"
        ),
        source=str(path),
        offset=14.0,
        scale=14.0,
        groups=file_groups([file.name for file, _ in files], section.group_regex),
    )


def fft_length(frame: int) -> int:
    """The least power of two that holds a frame of `frame` samples."""
    return 1 << (frame - 1).bit_length()


def read_clip(path: Path, rate_hz: int, length: int) -> np.ndarray:
    """The first `length` samples of a WAV file at `rate_hz`, int16 (length,), zeros after its end.

    Raises:
        ConfigError: the file is corrupt, empty, not mono, not of 16 bit, or its rate is lower than `rate_hz`.
    """
    try:
        with wave.open(str(path), "rb") as file:
            channels, width, own_rate, count = file.getparams()[:4]
            if channels != 1:
                raise ConfigError(f"{path} has {channels} channels, 1 is expected: mix it down to mono first")
            if width != 2:
                raise ConfigError(f"{path} has samples of {8 * width} bit, 16 bit are expected")
            if own_rate < rate_hz:
                raise ConfigError(
                    f"{path} has {own_rate:,} samples per second, fewer than sample_rate_hz = {rate_hz:,}: "
                    f"set sample_rate_hz = {own_rate}"
                )
            data = file.readframes(count)
    except (wave.Error, EOFError, OSError) as error:
        raise ConfigError(f"{path} is no WAV file that can be read: {error}") from error
    if len(data) != 2 * count or count == 0:
        raise ConfigError(f"{path} is corrupt: its header says {count:,} samples, {len(data) // 2:,} are there")
    samples = np.frombuffer(data, "<i2")
    if own_rate != rate_hz:
        # scipy.signal takes half a second to import, and few files need it.
        from scipy.signal import resample_poly

        divisor = int(np.gcd(own_rate, rate_hz))
        resampled = resample_poly(samples.astype(np.float64), rate_hz // divisor, own_rate // divisor)
        samples = np.clip(np.round(resampled), -32768, 32767).astype(np.int16)
    clip = np.zeros(length, np.int16)
    clip[: min(length, len(samples))] = samples[:length]
    return clip


def mel_filters(rate_hz: int, length: int, bands: int) -> np.ndarray:
    """The triangles W, float64 (bands, length / 2 + 1), multiples of 1/256, for an FFT of `length` samples.

    Raises:
        ConfigError: a band is narrower than the FFT's resolution, so that no frequency falls into it.
    """
    lowest, highest = (2595 * np.log10(1 + hz / 700) for hz in (_LOWEST_HZ, rate_hz / 2))
    edges = 700 * (10 ** (np.linspace(lowest, highest, bands + 2) / 2595) - 1)
    hz = np.arange(length // 2 + 1) * rate_hz / length
    rising = (hz - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - hz) / np.diff(edges)[1:, None]
    filters: np.ndarray = np.round(256 * np.clip(np.minimum(rising, falling), 0, 1)) / 256
    empty = np.flatnonzero(filters.sum(axis=1) == 0)
    if len(empty):
        raise ConfigError(
            f"mel_bands = {bands} is too many for an FFT of {length} at {rate_hz:,} Hz: band {empty[0]} of "
            f"{edges[empty[0]]:.0f} to {edges[empty[0] + 2]:.0f} Hz is empty; lower mel_bands or raise frame_ms"
        )
    return filters


def log_mel(clip: np.ndarray, frame: int, hop: int, filters: np.ndarray) -> np.ndarray:
    """log2(1 + E) of a clip, int16 (samples,), as float32 (frames, bands): see this module's formula."""
    length = fft_length(frame)
    window = np.round(32767 * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(frame) / frame))) / 32768
    frames = np.lib.stride_tricks.sliding_window_view(clip, frame)[::hop]
    power = np.abs(np.fft.rfft(frames * window, length) / length) ** 2
    features: np.ndarray = np.log2(1 + power @ filters.T).astype(np.float32)
    return features
