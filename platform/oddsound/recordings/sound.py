"""Read part of a sound file of any format that libsndfile knows: what a corpus to pretrain on holds.

The recordings of machines have a stricter reader, `recordings.reader`; of WAVs it looks at the header
here too, for libsndfile reads truncated ones without a word.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from oddsound.errors import RecordingError
from oddsound.recordings.names import shown
from oddsound.recordings.reader import probe

SUFFIXES = (".wav", ".flac", ".ogg")


@dataclass(frozen=True, slots=True)
class SoundHeader:
    """Sample rate in Hz and samples of each channel."""

    sample_rate: int
    n_samples: int

    @property
    def seconds(self) -> float:
        return self.n_samples / self.sample_rate


def probe_sound(path: Path) -> SoundHeader:
    """The header of the file at `path`. Raises RecordingError where it is no sound or holds no sample."""
    if path.suffix.lower() == ".wav":
        probe(path)
    try:
        info = soundfile.info(path)
    except (soundfile.LibsndfileError, OSError) as error:
        raise _refusal(path, f"can't be read as sound ({_reason(error)})") from error
    if info.frames < 1 or info.samplerate < 1:
        raise _refusal(path, "holds no samples")
    return SoundHeader(info.samplerate, info.frames)


def read_sound(path: Path, start: float, duration: float) -> tuple[NDArray[np.float32], int]:
    """(samples,) float32 from `start` for `duration` seconds, channels averaged, and the sample rate in Hz.

    Raises RecordingError where it can't be decoded, ends too early, or isn't finite.
    """
    header = probe_sound(path)
    first, wanted = round(start * header.sample_rate), max(1, round(duration * header.sample_rate))
    try:
        samples, rate = soundfile.read(path, wanted, first, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise _refusal(path, f"can't be decoded ({_reason(error)})") from error
    if len(samples) < min(wanted, header.n_samples - first) or not len(samples):
        raise _refusal(path, f"{len(samples)} samples from {start:g} s on, {wanted} are expected")
    if not np.isfinite(samples).all():
        raise _refusal(path, "a sample is NaN or infinite")
    mono: NDArray[np.float32] = samples.mean(axis=1, dtype=np.float32)
    return mono, int(rate)


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or getattr(error, "error_string", None) or error)


def _refusal(path: Path, what: str) -> RecordingError:
    return RecordingError(f"{shown(path)}: {what}; copy it from the original again, or remove it")
