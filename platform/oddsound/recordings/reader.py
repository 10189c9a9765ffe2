"""Read one recording, or say in one line why it can't be used.

soundfile decodes, but not before the RIFF header was looked at: libsndfile reads truncated and empty
files, NaN and inf without a word, and its 1.2.2 overflows on IMA ADPCM. So only linear PCM and IEEE
float get past the header, and the data chunk must truly lie in the file. Samples of 16 bits, which the
challenge's are, need no decoder: they are read as they lie, in a fraction of libsndfile's time.

Recordings of 2026 have two channels. The first one is used, here and everywhere, so that a file's
content alone decides what is read; more than two are refused.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from oddsound.errors import DataError, RecordingError
from oddsound.recordings.names import shown

SAMPLE_RATE = 16_000
MIN_SAMPLES = 1024
"""One analysis window; a shorter recording has no frame."""

MAX_CHANNELS = 2

_PCM, _FLOAT, _EXTENSIBLE = 0x0001, 0x0003, 0xFFFE
_SUBFORMAT_TAIL = bytes.fromhex("000000001000800000aa00389b71")
_MAX_CHUNKS = 1000
_CONVERT = "convert it: ffmpeg -i OLD.wav -ac 1 -ar {rate} -c:a pcm_s16le NEW.wav"
_REPLACE = "copy it from the original again, or remove it"

_TAKEN = {(_PCM, 8), (_PCM, 16), (_PCM, 24), (_PCM, 32), (_FLOAT, 32), (_FLOAT, 64)}
"""Format tag and bits a sample."""


@dataclass(frozen=True, slots=True)
class WaveHeader:
    """What a WAV's header says, found true of the file: `n_samples` counts one channel's samples, which
    begin at byte `offset`."""

    sample_rate: int
    n_channels: int
    n_samples: int
    format_tag: int
    bits: int
    offset: int

    @property
    def seconds(self) -> float:
        return self.n_samples / self.sample_rate


def probe(path: Path) -> WaveHeader:
    """The header of the WAV at `path`; reads no samples.

    Raises RecordingError where it isn't a RIFF/WAVE of linear PCM or IEEE float whose data chunk
    lies whole in the file.
    """
    with _opened(path) as stream:
        return _header(stream, path)


def check_clip(path: Path, sample_rate: int = SAMPLE_RATE) -> WaveHeader:
    """Read all of the recording at `path` as `read_clip` does, and give its header. Same errors."""
    return _read(path, sample_rate)[0]


def read_clip(path: Path, sample_rate: int = SAMPLE_RATE) -> NDArray[np.float32]:
    """The samples of the recording at `path`: (samples,) float32, full scale ±1; of two channels the first.

    Raises RecordingError where `probe` does, and for another rate than `sample_rate` (Hz), more
    than two channels, fewer than 1,024 samples, or a sample that isn't finite.
    """
    return _read(path, sample_rate)[1]


def _read(path: Path, sample_rate: int) -> tuple[WaveHeader, NDArray[np.float32]]:
    with _opened(path) as stream:
        header = _header(stream, path)
        _require_usable(header, path, sample_rate)
        is_plain = (header.format_tag, header.bits) == (_PCM, 16)
        samples = (_read_16_bits if is_plain else _decode)(stream, header, path)
    if samples.shape != (header.n_samples,):
        raise _refusal(path, f"{len(samples)} samples read of {header.n_samples}", _REPLACE)
    if header.format_tag == _FLOAT and not np.isfinite(samples).all():
        where = int(np.flatnonzero(~np.isfinite(samples))[0])
        raise _refusal(path, f"sample {where} is NaN or infinite", "record or convert it again")
    return header, samples


def _read_16_bits(stream: BinaryIO, header: WaveHeader, path: Path) -> NDArray[np.float32]:
    """The first channel's samples, the same values as libsndfile's."""
    raw = np.empty((header.n_samples, header.n_channels), "<i2")
    stream.seek(header.offset)
    try:
        n_bytes = stream.readinto(raw.data.cast("B"))  # type: ignore[attr-defined]
    except OSError as error:
        raise _refusal(path, f"can't be read ({error.strerror})", "check the disk") from error
    samples = raw[: n_bytes // raw[0].nbytes, 0].astype(np.float32)
    samples *= np.float32(2**-15)
    return samples


def _decode(stream: BinaryIO, header: WaveHeader, path: Path) -> NDArray[np.float32]:
    """The first channel's samples by libsndfile."""
    stream.seek(0)
    try:
        channels, _ = soundfile.read(stream, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise _refusal(path, f"libsndfile can't read it ({error})", _REPLACE) from error
    return np.ascontiguousarray(channels[:, 0])


def _opened(path: Path) -> BinaryIO:
    try:
        # Asked first, because opening a pipe would wait for ever.
        if not stat.S_ISREG(path.stat().st_mode):
            raise _refusal(path, "not a file", "move it away")
        return path.open("rb")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no such name"
        raise _refusal(path, f"can't be read ({reason})", "check the path and its permissions") from error


def _header(stream: BinaryIO, path: Path) -> WaveHeader:
    try:
        size = os.fstat(stream.fileno()).st_size
        fields, (data_offset, data_bytes) = _chunks(stream, path, size)
    except OSError as error:
        raise _refusal(path, f"can't be read ({error.strerror})", "check the disk") from error
    tag, n_channels, sample_rate, frame_bytes, bits = _format(fields, path)
    if data_offset + data_bytes > size:
        there = f"{max(0, size - data_offset):,} of the {data_bytes:,} bytes of samples that it announces"
        raise _refusal(path, f"truncated: it holds {there}", _REPLACE)
    if data_bytes % frame_bytes:
        raise _refusal(path, f"its {data_bytes:,} bytes of samples end within a sample", _REPLACE)
    return WaveHeader(sample_rate, n_channels, data_bytes // frame_bytes, tag, bits, data_offset)


def _chunks(stream: BinaryIO, path: Path, size: int) -> tuple[bytes, tuple[int, int]]:
    """The first format chunk's bytes, and the first data chunk's (offset, length) as announced."""
    start = stream.read(12)
    if start[:4] != b"RIFF" or start[8:] != b"WAVE":
        what = "empty" if not start else f"not a WAV (it starts with {start[:4]!r})"
        raise _refusal(path, what, _REPLACE)
    fields, offset = None, 12
    for _ in range(_MAX_CHUNKS):
        stream.seek(offset)
        if len(head := stream.read(8)) < 8:
            break
        name, length = struct.unpack("<4sI", head)
        if name == b"data":
            if fields is None:
                raise _refusal(path, "its samples come before its format", _CONVERT.format(rate=SAMPLE_RATE))
            return fields, (offset + 8, length)
        if name == b"fmt " and fields is None:
            fields = stream.read(min(length, 40))
        offset += 8 + length + length % 2  # chunks are padded to even lengths
    raise _refusal(path, f"no samples in its {size:,} bytes (a WAV without a data chunk)", _REPLACE)


def _format(fields: bytes, path: Path) -> tuple[int, int, int, int, int]:
    """Format tag (PCM or float), channels, rate (Hz), bytes a frame and bits of a format chunk."""
    if len(fields) < 16:
        raise _refusal(path, f"its format chunk has {len(fields)} bytes, of at least 16", _REPLACE)
    tag, n_channels, sample_rate, _, frame_bytes, bits = struct.unpack("<HHIIHH", fields[:16])
    if tag == _EXTENSIBLE and len(fields) == 40 and fields[26:] == _SUBFORMAT_TAIL:
        (tag,) = struct.unpack("<H", fields[24:26])
    if (tag, bits) not in _TAKEN:
        what = f"neither linear PCM nor IEEE float (format tag 0x{tag:04x}, {bits} bits)"
        raise _refusal(path, what, _CONVERT.format(rate=SAMPLE_RATE))
    if not n_channels or not sample_rate or frame_bytes != n_channels * bits // 8:
        what = f"a header that contradicts itself ({n_channels} channels, {sample_rate} Hz, {bits} bits, "
        raise _refusal(path, what + f"{frame_bytes} bytes a frame)", _REPLACE)
    return tag, n_channels, sample_rate, frame_bytes, bits


def _require_usable(header: WaveHeader, path: Path, sample_rate: int) -> None:
    if header.n_channels > MAX_CHANNELS:
        convert = _CONVERT.format(rate=sample_rate)
        raise _refusal(path, f"{header.n_channels} channels; one or two are expected", convert)
    if header.sample_rate != sample_rate:
        convert = _CONVERT.format(rate=sample_rate)
        raise _refusal(path, f"{header.sample_rate} Hz; {sample_rate} Hz is expected", convert)
    if header.n_samples < MIN_SAMPLES:
        what = f"{header.n_samples} samples; at least {MIN_SAMPLES} are needed (one analysis window)"
        raise _refusal(path, what, "record longer, or remove it")


def _refusal(path: Path, what: str, remedy: str) -> RecordingError:
    return RecordingError(f"{shown(path)}: {what}; {remedy}")


def content_digest(path: Path) -> str:
    """The SHA-256 of the file, 64 hex digits. Raises DataError where it can't be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{shown(path)}: can't be read ({error.strerror}); check it") from error
