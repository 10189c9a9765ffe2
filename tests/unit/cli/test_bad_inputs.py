"""Forty bad inputs, each as a user meets it: one line with what, where and the remedy, the right exit code,
no traceback, nothing half-written. A full disk and downloads are in `test_bad_surroundings`.

Each case has its own folder `tmp`: `make` puts the input there and gives the command line; `says` is what
the line must hold, in this order.
"""

from __future__ import annotations

import re
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from oddsound.cli.main import main
from oddsound.recordings.synth import synthesise

pytestmark = pytest.mark.long

DATA, RUN = "recordings", "run"
Line = list[object]


@dataclass(frozen=True)
class Case:
    name: str
    make: Callable[[Path], Line]
    code: int
    says: tuple[str, ...]


# Recordings.


def first_clip(tmp: Path) -> Path:
    return min((tmp / DATA / "fan" / "train").glob("*.wav"))


def bad_clip(content: Callable[[bytes], bytes]) -> Callable[[Path], Line]:
    """A good folder with one clip whose bytes are what `content` makes of them; `run` is asked for."""

    def make(tmp: Path) -> Line:
        clip = first_clip(tmp)
        clip.write_bytes(content(clip.read_bytes()))
        return search(tmp)

    return make


def of_samples(samples: np.ndarray, rate: int = 16_000, subtype: str = "PCM_16") -> Callable[[Path], Line]:
    def make(tmp: Path) -> Line:
        soundfile.write(first_clip(tmp), samples, rate, subtype=subtype)
        return search(tmp)

    return make


def search(tmp: Path, *more: object) -> Line:
    return ["search", tmp / DATA, "--out", tmp / RUN, "--config", "smoke", "--trials", 1, *more]


def adpcm(content: bytes) -> bytes:
    return content[:20] + struct.pack("<H", 0x11) + content[22:34] + struct.pack("<H", 4) + content[36:]


def with_nan() -> np.ndarray:
    return np.append(np.zeros(15_999, np.float32), np.float32("nan"))


def reordered(tmp: Path, change: Callable[[Path], None], *more: object) -> Line:
    change(tmp / DATA / "fan")
    return search(tmp, *more)


def without(pattern: str) -> Callable[[Path], Line]:
    """The clips of this name taken away."""

    def change(fan: Path) -> None:
        for path in fan.rglob(pattern):
            path.unlink()

    return lambda tmp: reordered(tmp, change)


def named(name: str) -> Callable[[Path], Line]:
    """The first clip under another name."""

    def change(fan: Path) -> None:
        clip = min((fan / "train").glob("*.wav"))
        clip.rename(clip.with_name(name))

    return lambda tmp: reordered(tmp, change)


def twice(fan: Path) -> None:
    """A clip in a second folder of the same machine type."""
    other = fan.parent / "more" / "fan" / "train"
    other.mkdir(parents=True)
    clip = min((fan / "train").glob("*.wav"))
    (other / clip.name).write_bytes(clip.read_bytes())


ZEROS = np.zeros(16_000)
RECORDINGS = [
    Case("empty file", bad_clip(lambda _: b""), 3, ("section_00", "empty", "copy it from the original")),
    Case("truncated", bad_clip(lambda c: c[:-999]), 3, ("section_00", "truncated", "copy it")),
    Case("header alone", bad_clip(lambda c: c[:44]), 3, ("section_00", "truncated", "copy it")),
    Case("a page", bad_clip(lambda _: b"<!DOCTYPE html>" * 99), 3, ("section_00", "not a WAV", "copy it")),
    Case("IMA ADPCM", bad_clip(adpcm), 3, ("section_00", "neither linear PCM", "convert it: ffmpeg")),
    Case(
        "huge header",
        bad_clip(lambda c: c[:40] + b"\xff\xff\xff\xff" + c[44:]),
        3,
        ("section_00", "truncated: it holds", "4,294,967,295 bytes", "copy it"),
    ),
    Case("44.1 kHz", of_samples(ZEROS, 44_100), 3, ("section_00", "44100 Hz", "convert it")),
    Case("six channels", of_samples(np.zeros((16_000, 6))), 3, ("section_00", "6 channels", "convert it")),
    Case("NaN", of_samples(with_nan(), subtype="FLOAT"), 3, ("section_00", "sample 15999 is NaN", "again")),
    Case("too short", of_samples(ZEROS[:500]), 3, ("section_00", "500 samples", "window of 1024", "remove")),
    Case("unknown name", named("my recording.wav"), 3, ("my recording.wav", "known layout", "rename")),
    Case(
        "wrong folder for the name",
        named("section_00_source_test_anomaly_0099.wav"),
        3,
        ("section_00_source_test_anomaly_0099.wav", "belongs in source_test/", "move or rename"),
    ),
    Case("no labels", without("*_anomaly_*"), 3, ("fan", "no labelled normal and anomalous", "--machines")),
    Case("a section untrained", without("section_01_*_train_*"), 3, ("fan", "section(s) 01", "add their")),
    Case("no training clips", without("*_train_*"), 3, ("fan", "train")),
    Case("the same name twice", lambda tmp: reordered(tmp, twice), 3, ("the same name as", "remove one")),
    Case(
        "no such folder",
        lambda tmp: ["search", tmp / "none", "--out", tmp / RUN],
        3,
        ("none", "no such folder", "give the folder"),
    ),
    Case(
        "a machine type's own folder",
        lambda tmp: ["search", tmp / DATA / "fan", "--out", tmp / RUN],
        3,
        ("fan", "one machine type", "give the one above"),
    ),
    Case("unknown machine", lambda tmp: search(tmp, "--machines", "fann"), 3, ("'fann'", "did you mean fan")),
    Case(
        "other rates in plain folders",
        lambda tmp: ["search", plain(tmp), "--out", tmp / RUN],
        3,
        ("0.wav", "44100 Hz", "--resample converts it"),
    ),
]


def plain(tmp: Path) -> Path:
    for number in range(2):
        path = tmp / "own" / "press" / "normal" / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.zeros(44_100), 44_100)
    return tmp / "own"


# Settings.


def of_yaml(text: str | bytes) -> Callable[[Path], Line]:
    def make(tmp: Path) -> Line:
        path = tmp / "settings.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return ["search", tmp / DATA, "--out", tmp / RUN, "--config", path, "--trials", 1]

    return make


BOMB = "a: &a [x, x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in ("ab", "bc", "cd"))
SETTINGS = [
    Case("a key twice", of_yaml("loss: {rho: 1}\nloss: {rho: 2}\n"), 2, ("settings.yaml:2:1", "twice")),
    Case("aliases", of_yaml(BOMB), 2, ("settings.yaml:2", "aliases are not taken")),
    Case("a tag", of_yaml("loss: !!python/object/apply:os.system [ls]\n"), 2, ("settings.yaml:1", "tag")),
    Case("unknown key", of_yaml("loss: {roh: 0.1}\n"), 2, ("loss.roh", "unknown key", "did you mean rho")),
    Case("a word for a number", of_yaml("loss: {rho: much}\n"), 2, ("loss.rho", "number", "'much'")),
    Case("infinite", of_yaml("loss: {rho: .inf}\n"), 2, ("loss.rho", "finite", "inf")),
    Case("a list", of_yaml("- loss\n"), 2, ("settings.yaml", "expected a mapping")),
    Case("a tab", of_yaml("loss:\n\trho: 1\n"), 2, ("settings.yaml:2:1", "cannot start any token")),
    Case("not UTF-8", of_yaml(b"loss: {rho: \xff}\n"), 2, ("settings.yaml", "can't be read")),
    Case("too deep", of_yaml("a: " + "[" * 5000), 2, ("settings.yaml", "not YAML")),
    Case("too long", of_yaml("#" * (1 << 20) + "\na: 1"), 2, ("settings.yaml", "larger than", "no settings")),
    Case("no such file", lambda tmp: search(tmp, "--config", tmp / "none.yaml"), 2, ("none.yaml", "read")),
    Case("no value", lambda tmp: search(tmp, "--set", "loss.rho"), 2, ("--set loss.rho", "expected", "=")),
    Case("no epochs", lambda tmp: search(tmp, "--epochs", 0), 2, ("--epochs", "0")),
]


# The machine and its servers.


def beside_a_file(tmp: Path) -> Line:
    (tmp / "file").touch()
    return ["search", tmp / DATA, "--out", tmp / "file" / "run", "--config", "smoke", "--trials", 1]


MACHINE = [
    Case("out is below a file", beside_a_file, 2, ("file/run", "choose another")),
    Case("a GPU where none is", lambda tmp: search(tmp, "--gpus-per-trial", 1), 2, ("GPU",)),
    Case(
        "no tracking server",
        lambda tmp: search(tmp, "--tracking-uri", "http://127.0.0.1:9"),
        4,
        ("127.0.0.1:9",),
    ),
    Case("no Ray cluster", lambda tmp: search(tmp, "--ray-address", "127.0.0.1:9"), 2, ("127.0.0.1:9",)),
    Case("no run", lambda tmp: ["status", tmp / DATA], 2, (DATA,)),
    Case("no model", lambda tmp: ["predict", "--model", tmp / DATA, tmp / DATA], 2, (DATA, "give one")),
]


# Archives and scores.


def archive(*members: tuple[str, bytes]) -> Callable[[Path], Line]:
    def make(tmp: Path) -> Line:
        with zipfile.ZipFile(tmp / "package.zip", "w") as out:
            for name, content in members:
                out.writestr(name, content)
        return ["submission", "check", tmp / "package.zip", "--data", tmp / DATA]

    return make


def no_archive(tmp: Path) -> Line:
    (tmp / "package.zip").write_bytes(b"PK\x03\x04 and no more")
    return ["submission", "check", tmp / "package.zip", "--data", tmp / DATA]


def cut_archive(tmp: Path) -> Line:
    line = archive(("task2/Kim_EXU_task2_1/a.csv", b"x" * 5000))(tmp)
    path = tmp / "package.zip"
    path.write_bytes(path.read_bytes()[:2000])
    return line


def scores(text: str) -> Callable[[Path], Line]:
    def make(tmp: Path) -> Line:
        path = tmp / "anomaly_score_fan_section_00_source_test.csv"
        path.write_text(text)
        return ["evaluate", path]

    return make


GOOD_ROW = "section_00_source_test_normal_0000.wav,0.1\n"
ARCHIVES = [
    Case("no zip", no_archive, 3, ("package.zip",)),
    Case("a zip cut short", cut_archive, 3, ("package.zip",)),
    Case("an empty zip", archive(), 3, ("package.zip",)),
    Case("a zip of something else", archive(("thesis.tex", b"x")), 3, ("package.zip",)),
    Case("a zip that climbs", archive(("../task2/a.csv", b"x")), 3, ("package.zip", "..")),
    Case("a zip of bombs", archive(("task2/Kim_EXU_task2_1/a.csv", b"0" * (300 << 20))), 3, ("package.zip",)),
    Case("a score that is none", scores(GOOD_ROW + GOOD_ROW.replace("0.1", "nan")), 3, ("0_source_test",)),
    Case("one class", scores(GOOD_ROW), 3, ("source_test",)),
]

CASES = [*RECORDINGS, *SETTINGS, *MACHINE, *ARCHIVES]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad") / DATA
    counts = {"n_train_source": 2, "n_train_target": 1, "n_test": 1}
    synthesise(folder, seconds=1.0, machines=["fan"], evaluation=False, **counts)
    return folder


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def told(line: Line, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in line])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_they_are_forty() -> None:
    assert len(CASES) >= 40 and len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_one_line_the_code_and_nothing_left(
    case: Case, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in files(recordings):
        copy = tmp_path / DATA / path.relative_to(recordings)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    line = case.make(tmp_path)
    before = files(tmp_path)
    code, out, err = told(line, capsys)
    last = err.rstrip("\n").splitlines()[-1]
    assert code == case.code, err
    assert re.search(".*".join(map(re.escape, case.says)), last), err
    assert "Traceback" not in out + err and "site-packages" not in out + err
    left = {str(path.relative_to(tmp_path)) for path in files(tmp_path) - before}
    assert not {name for name in left if "partial" in name or "trials" in name or ".tmp" in name}, left
