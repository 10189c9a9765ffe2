"""The reader: what it decodes, against soundfile, and everything that it must refuse."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oddsound.errors import RecordingError
from oddsound.recordings.reader import check_clip, probe, read_clip

RATE = 16_000
SAMPLES = np.random.default_rng(0).uniform(-1, 1, 2000)


def riff(*chunks: tuple[bytes, bytes], announced: int | None = None) -> bytes:
    """A RIFF/WAVE of these chunks; `announced` is the last chunk's length where it lies."""
    body = b""
    for i, (name, payload) in enumerate(chunks):
        last = i == len(chunks) - 1
        length = announced if last and announced is not None else len(payload)
        body += struct.pack("<4sI", name, length) + payload + b"\0" * (len(payload) % 2)
    return struct.pack("<4sI4s", b"RIFF", 4 + len(body), b"WAVE") + body


def fmt(tag: int = 1, channels: int = 1, rate: int = RATE, bits: int = 16) -> tuple[bytes, bytes]:
    frame = channels * bits // 8
    return b"fmt ", struct.pack("<HHIIHH", tag, channels, rate, rate * frame, frame, bits)


PCM = (SAMPLES * 32767).astype("<i2").tobytes()
GOOD = riff(fmt(), (b"data", PCM))

BAD = {
    "empty": (b"", "empty"),
    "html": (b"<!DOCTYPE html><html>404</html>" * 100, "not a WAV"),
    "riff of something else": (b"RIFF\0\0\0\0AVI " + b"\0" * 4000, "not a WAV"),
    "44 bytes": (riff(fmt(), (b"data", b"")), "0 samples"),
    "header alone": (GOOD[:44], "truncated: it holds 0 of the 4,000"),
    "truncated": (GOOD[:-1000], "truncated: it holds 3,000 of the 4,000"),
    "cut within the header": (GOOD[:30], "no samples"),
    "streamed, length unknown": (riff(fmt(), (b"data", PCM), announced=0xFFFFFFFF), "truncated"),
    "short": (riff(fmt(), (b"data", PCM[:2046])), "1023 samples; at least 1024"),
    "three channels": (riff(fmt(channels=3), (b"data", PCM[:3996])), "3 channels; one or two"),
    "44.1 kHz": (riff(fmt(rate=44_100), (b"data", PCM)), "44100 Hz; 16000 Hz is expected"),
    "NaN": (riff(fmt(3, bits=32), (b"data", np.full(2000, np.nan, "<f4").tobytes())), "sample 0 is NaN"),
    "signalling NaN": (riff(fmt(3, bits=64), (b"data", b"\1\0\0\0\0\0\xf4\x7f" * 2000)), "sample 0 is NaN"),
    "too large for float32": (
        riff(fmt(3, bits=64), (b"data", np.append(np.zeros(1999), 1e300).astype("<f8").tobytes())),
        "sample 1999 is NaN or inf",
    ),
    "IMA ADPCM": (riff(fmt(0x11, bits=4), (b"data", PCM)), "neither linear PCM nor IEEE float"),
    "A-law": (riff(fmt(6, bits=8), (b"data", PCM)), "neither linear PCM"),
    "IMA ADPCM as extensible": (
        riff((b"fmt ", fmt(0xFFFE)[1] + struct.pack("<HHIH", 22, 16, 0, 0x11)
              + bytes.fromhex("000000001000800000aa00389b71")), (b"data", PCM)),
        "format tag 0x0011",
    ),
    "extensible of nobody's format": (
        riff((b"fmt ", fmt(0xFFFE)[1] + struct.pack("<HHIH", 22, 16, 0, 1) + b"x" * 14), (b"data", PCM)),
        "format tag 0xfffe",
    ),
    "12 bits": (riff(fmt(bits=12), (b"data", PCM)), "12 bits"),
    "huge header": (riff(fmt(), (b"LIST", b""), announced=0xFFFFFFF0), "no samples"),
    "a chunk that never ends": (riff(fmt(), *[(b"junk", b"")] * 3000, (b"data", PCM)), "no samples"),
    "no format": (riff((b"data", PCM)), "before its format"),
    "short format": (riff((b"fmt ", b"\1\0\1\0"), (b"data", PCM)), "4 bytes, of at least 16"),
    "no channels": (riff(fmt(channels=0), (b"data", PCM)), "contradicts itself"),
    "half a sample": (riff(fmt(), (b"data", PCM + b"\0")), "end within a sample"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_recording_is_refused_in_one_line(tmp_path: Path, case: str) -> None:
    content, says = BAD[case]
    path = tmp_path / "clip.wav"
    path.write_bytes(content)
    for read in (read_clip, check_clip):
        with pytest.raises(RecordingError) as caught:
            read(path)
        message = str(caught.value)
        assert says in message
        assert message.startswith(str(path))
        assert message.isprintable()


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("form", ["WAV", "WAVEX"])
def test_every_accepted_encoding_decodes_as_soundfile_does(tmp_path: Path, subtype: str, form: str) -> None:
    path = tmp_path / "clip.wav"
    soundfile.write(path, SAMPLES, RATE, subtype=subtype, format=form)
    samples = read_clip(path)
    assert samples.dtype == np.float32
    assert samples.shape == SAMPLES.shape
    np.testing.assert_array_equal(samples, soundfile.read(path, dtype="float32")[0])


def test_chunks_before_and_after_the_samples_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    path.write_bytes(riff((b"LIST", b"odd"), fmt(), (b"fact", b"\0" * 4), (b"data", PCM), (b"cue ", b"abc")))
    np.testing.assert_array_equal(read_clip(path), np.frombuffer(PCM, "<i2").astype(np.float32) / 32768)


def test_only_the_first_format_counts(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    path.write_bytes(riff(fmt(), fmt(0x11, bits=4), (b"data", PCM)))
    assert probe(path).format_tag == 1


def test_another_rate_is_taken_where_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    path.write_bytes(riff(fmt(rate=8000), (b"data", PCM)))
    assert read_clip(path, sample_rate=8000).shape == (2000,)
    assert probe(path).seconds == 0.25


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.wav").mkdir()
    os.mkfifo(tmp_path / "pipe.wav")
    for name in ("folder.wav", "pipe.wav", "absent.wav", "nul\0.wav"):
        with pytest.raises(RecordingError):
            read_clip(tmp_path / name)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(content=st.binary(max_size=200))
def test_arbitrary_bytes_raise_only_our_own_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "clip.wav"
    path.write_bytes(content)
    with pytest.raises(RecordingError):
        read_clip(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(
    flips=st.lists(st.tuples(st.integers(0, 47), st.integers(0, 255)), max_size=6), end=st.integers(0, 4044)
)
def test_a_damaged_header_gives_samples_or_our_own_error(
    tmp_path: Path, flips: list[tuple[int, int]], end: int
) -> None:
    content = bytearray(GOOD)
    for at, byte in flips:
        content[at] = byte
    path = tmp_path / "clip.wav"
    path.write_bytes(bytes(content[: max(end, 48)]))
    try:
        samples = read_clip(path)
    except RecordingError as error:
        assert str(error).isprintable()
    else:
        assert samples.size >= 1024
        assert np.isfinite(samples).all()


def test_of_two_channels_the_first_is_read(tmp_path: Path) -> None:
    first, second = np.arange(2000, dtype="<i2"), np.full(2000, -7, "<i2")
    path = tmp_path / "near_and_far.wav"
    path.write_bytes(riff(fmt(channels=2), (b"data", np.stack([first, second], axis=1).tobytes())))
    samples = read_clip(path)
    assert samples.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(samples, first.astype(np.float32) / 32768)
    assert check_clip(path).n_channels == 2
