"""A recording cut into clips, at another sample rate where that is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy import signal

from oddsound.errors import RecordingError
from oddsound.recordings.names import shown
from oddsound.recordings.reader import MAX_CHANNELS, MIN_SAMPLES, WaveHeader, probe

_TAPS = 10
"""Half the length of scipy's anti-aliasing filter, in periods of the lower rate."""


@dataclass(frozen=True)
class Cuts:
    """How one recording is cut: the clip at `start` samples has `length`, both at `sample_rate`."""

    path: Path
    header: WaveHeader
    sample_rate: int
    starts: tuple[int, ...]
    length: int
    rest: int
    """Samples at the end that no clip has."""

    @property
    def is_exact(self) -> bool:
        """Whether clips have the recording's very samples of 16 bits."""
        return self.header.sample_rate == self.sample_rate and self.header.bits == 16

    def clip(self, start: int) -> NDArray[np.float32]:
        """The clip that begins at `start`: (`length`,) float32 at `sample_rate`, the first channel's.

        Raises RecordingError where it can't be read or a sample isn't finite.
        """
        up, down = _ratio(self.header.sample_rate, self.sample_rate)
        if up == down:
            return _samples(self.path, start, start + self.length)
        # `up` new samples begin with `down` old ones: whole blocks, and some on either side for the filter.
        more = _TAPS * max(up, down) // (up * down) + 2
        first, last = max(0, start // up - more), -(-(start + self.length) // up) + more
        old = _samples(self.path, first * down, min(last * down, self.header.n_samples))
        new = signal.resample_poly(old, up, down)
        begin = start - first * up
        return np.asarray(new[begin : begin + self.length], dtype=np.float32)


def cut(path: Path, sample_rate: int, clip_seconds: float, *, resample: bool) -> Cuts:
    """Clips of `clip_seconds` s, one after another; a shorter recording, and any with 0, is one clip.

    Raises RecordingError for a recording that can't be used: see `reader.probe`, and another rate than
    `sample_rate` (Hz) without `resample`.
    """
    header = probe(path)
    if header.n_channels > MAX_CHANNELS:
        raise RecordingError(f"{shown(path)}: {header.n_channels} channels; one or two are expected")
    if header.sample_rate != sample_rate and not resample:
        raise RecordingError(
            f"{shown(path)}: {header.sample_rate} Hz; {sample_rate} Hz is expected: --resample converts it"
        )
    up, down = _ratio(header.sample_rate, sample_rate)
    total = header.n_samples * up // down
    if total < MIN_SAMPLES:
        raise RecordingError(
            f"{shown(path)}: {header.seconds:.3g} s; {MIN_SAMPLES / sample_rate:.3g} s at least are needed; "
            "record longer, or remove it"
        )
    length = min(round(clip_seconds * sample_rate) or total, total)
    count = total // length
    starts = tuple(range(0, count * length, length))
    return Cuts(path, header, sample_rate, starts, length, total - count * length)


def _ratio(old: int, new: int) -> tuple[int, int]:
    """By what a signal is taken up and then down in rate."""
    common = gcd(old, new)
    return new // common, old // common


def _samples(path: Path, start: int, stop: int) -> NDArray[np.float32]:
    try:
        channels, _ = soundfile.read(path, start=start, stop=stop, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise RecordingError(f"{shown(path)}: can't be read ({error}); copy it from the original") from error
    if len(channels) != stop - start:
        raise RecordingError(f"{shown(path)}: ends before its header says; copy it from the original")
    samples = np.ascontiguousarray(channels[:, 0])
    if not np.isfinite(samples).all():
        raise RecordingError(
            f"{shown(path)}: sample {start + int(np.argmin(np.isfinite(samples)))} is NaN or "
            "infinite; record or convert it again"
        )
    return samples
