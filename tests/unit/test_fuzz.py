"""Readers of what others write, fed with what nobody would: they raise our own errors and no others.

    python -m pytest tests/unit/test_fuzz.py                        # two seconds each
    FUZZ_SECONDS=60 python -m pytest tests/unit/test_fuzz.py        # longer, with other examples each time

Inputs are valid ones with bytes changed, cut, doubled and strewn in, and bytes of any kind.
"""

from __future__ import annotations

import io
import os
import shutil
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oddsound.config import TrialConfig, validated
from oddsound.errors import OddsoundError
from oddsound.recordings.archives.listing import Archive, archives_among, files_in
from oddsound.recordings.archives.unpack import unpack
from oddsound.recordings.names import parse_clip, parse_score_name
from oddsound.recordings.reader import check_clip
from oddsound.scoring.score_files import parse_csv
from oddsound.submission.authors import Authors
from oddsound.submission.reading import read_package
from oddsound.yaml_files import parse_yaml

pytestmark = pytest.mark.long

SECONDS = float(os.environ.get("FUZZ_SECONDS", "2"))
EXAMPLES = 200
"""Of each round."""
CSV_NAME = "anomaly_score_fan_section_00_source_test.csv"


# What others might have written.


def wav(rate: int, channels: int, subtype: str) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, np.zeros((1100, channels)), rate, subtype=subtype, format="WAV")
    return out.getvalue()


def zipped(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, b"section_00_source_test_normal_0000.wav,0.5\n" * 3)
    return out.getvalue()


WAVS = [wav(16_000, 1, "PCM_16"), wav(44_100, 2, "PCM_24"), wav(16_000, 1, "FLOAT"), wav(8000, 1, "DOUBLE")]
NAMES = [
    b"section_00_source_train_normal_0000_strength_1_ambient.wav",
    b"section_03_target_test_0000.wav",
    b"section_00_0000.wav",
    b"anomaly_id_00_00000000.wav",
]
CSVS = [b"".join(b"section_00_source_test_%04d.wav,%.3e\n" % (n, n / 7) for n in range(5))]
YAMLS = [
    b"loss: {rho: 0.07, contrastive: nt_xent}\ntraining:\n  epochs: 3\n  lr_backbone: 1e-3\n",
    b"authors:\n  - lastname: Kim\n    firstname: Ada\n    email: a@b.c\n    corresponding: true\n",
    b"a: &a [1, 2]\nb: *a\nc: !!binary aGk=\n? {x: 1}\n: 2\n--- \nd: 2026-11-23\n",
]
ZIPS = [
    zipped("task2/Kim_EXU_task2_1/" + CSV_NAME, "task2/Kim_EXU_task2_1/Kim_EXU_task2_1.meta.yaml"),
    zipped("fan/train/section_00_source_train_normal_0000.wav", "fan/attributes_00.csv", "readme.txt"),
]
LISTING = b"""{"files": [{"key": "dev_data_fan.zip", "size": 9, "checksum": "md5:%s", "links": {"self":
"http://h/api/records/1/files/dev_data_fan.zip/content"}}, {"key": "dev_data_fan_r2.zip", "size": 3,
"checksum": "md5:%s", "links": {"self": "http://[::1]/x"}}]}""" % (b"0" * 32, b"1" * 32)
ODD = [
    b"\x00",
    b"\xff",
    b"\n",
    b"\r\n",
    b"../",
    b"nan",
    b"1e999",
    b"data",
    b"fmt ",
    b"PK\x01\x02",
    b"&a",
    b"*a",
]


def changed(seeds: list[bytes]) -> st.SearchStrategy[bytes]:
    """A seed with a few edits: at a place some bytes out and others in."""
    inserted = st.one_of(
        st.sampled_from(ODD),
        st.binary(max_size=8),
        st.integers(0, 2**32 - 1).map(lambda n: struct.pack("<I", n)),
        st.sampled_from(seeds).map(lambda seed: seed[: len(seed) // 2]),
    )
    edit = st.tuples(st.floats(0, 1), st.integers(0, 6), inserted)
    return st.one_of(
        st.builds(edited, st.sampled_from(seeds), st.lists(edit, min_size=1, max_size=5)),
        st.builds(lambda seed, part: seed[: int(part * len(seed))], st.sampled_from(seeds), st.floats(0, 1)),
        st.binary(max_size=300),
    )


def edited(seed: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    for place, out, new in edits:
        at = int(place * len(seed))
        seed = seed[:at] + new + seed[at + out :]
    return seed


# Who reads it.


def read_wav(content: bytes, folder: Path) -> None:
    path = folder / "clip.wav"
    path.write_bytes(content)
    check_clip(path)


def read_name(content: bytes, folder: Path) -> None:
    name = os.fsdecode(content.replace(b"/", b"").replace(b"\0", b"")) or "x"
    for read in (parse_score_name, lambda name: parse_clip(folder / name, "fan", "train")):
        try:
            read(name)
        except OddsoundError as error:
            assert "\n" not in str(error)


def read_csv(content: bytes, folder: Path) -> None:
    parse_csv(CSV_NAME, content, str(folder))


def read_yaml(content: bytes, folder: Path) -> None:
    text = content.decode("utf-8", "replace")
    document = parse_yaml(text, "settings.yaml")
    if isinstance(document, dict):
        for model, more in ((TrialConfig, {"machine": "fan"}), (Authors, {})):
            try:
                validated(model, {**document, **more}, "settings.yaml")
            except OddsoundError as error:
                assert str(error)


def read_listing(content: bytes, folder: Path) -> None:
    for part in ("dev", "labels"):
        archives_among(files_in(content, "http://h/api/records/1"), part, "http://h/api/records/1")


def read_zip(content: bytes, folder: Path) -> None:
    path = folder / "package.zip"
    path.write_bytes(content)
    try:
        read_package(path)
    except OddsoundError as error:
        assert str(error)
    for made in ("data", "scratch"):
        shutil.rmtree(folder / made, ignore_errors=True)
    archive = Archive("dev_data_fan.zip", "dev", "fan", len(content), "md5", "0" * 32, "http://localhost/")
    unpack(path, archive, folder / "data", folder / "scratch", lambda *_: None)


TARGETS: dict[str, tuple[Callable[[bytes, Path], None], list[bytes]]] = {
    "WAV": (read_wav, WAVS),
    "name": (read_name, NAMES),
    "CSV": (read_csv, CSVS),
    "YAML": (read_yaml, YAMLS),
    "zip": (read_zip, ZIPS),
    "listing": (read_listing, [LISTING]),
}


@pytest.mark.parametrize("target", TARGETS)
def test_only_our_own_errors(target: str, tmp_path: Path) -> None:
    read, seeds = TARGETS[target]

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(changed(seeds))
    def fed(content: bytes) -> None:
        try:
            read(content, tmp_path)
        except OddsoundError as error:
            assert str(error)
        assert not (tmp_path / "outside").exists()

    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        fed()


@pytest.mark.parametrize("target", TARGETS)
def test_the_seeds_themselves(target: str, tmp_path: Path) -> None:
    """Each is read as far as its reader goes: it is no use to change what is refused at its first byte."""
    read, seeds = TARGETS[target]
    taken = 0
    for seed in seeds:
        try:
            read(seed, tmp_path)
            taken += 1
        except OddsoundError as error:
            assert str(error)
    assert taken
