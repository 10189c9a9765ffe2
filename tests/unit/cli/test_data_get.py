"""`oddsound data get` as it is typed, against a real server on loopback."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.archive_server import ArchiveServer, archive_server
from tests.archives import labels_2021, packed, wav, year_2021

from oddsound.cli.data import data
from oddsound.errors import ArchiveError, ConfigError, DataError
from oddsound.recordings.archives import get as get_module
from oddsound.recordings.index import check_folder, index_folder

pytestmark = pytest.mark.server

ODDSOUND = [sys.executable, "-c", "from oddsound.cli.main import main; main()"]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ArchiveServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with archive_server() as server:
        server.records = year_2021("fan", "ToyCar")
        yield server


def invoke(server: ArchiveServer, *arguments: object) -> Result:
    words = ["get", *map(str, arguments), "--source", server.uri]
    return CliRunner().invoke(data, words)


def typed(server: ArchiveServer, folder: Path, *arguments: str) -> list[str]:
    return [*ODDSOUND, "data", "get", "dcase2021", str(folder), "--source", server.uri, *arguments]


def hidden(folder: Path) -> list[str]:
    return sorted(p.name for p in (folder / ".oddsound-archives" / "dcase2021").glob("*/*"))


def half_written(folder: Path) -> list[str]:
    """What is neither a whole recording or table nor a note or part of ours."""
    bad = [str(path) for path, _ in check_folder(folder)[1]] if any(folder.glob("*/train")) else []
    return bad + [str(p) for p in folder.rglob("*") if ".unpacking" in p.name or p.name.startswith(".x")]


def test_a_whole_year_comes_side_by_side(server: ArchiveServer, tmp_path: Path) -> None:
    result = invoke(server, "dcase2021", tmp_path / "data")
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines[0].startswith("dcase2021: 7 of 7 archives are missing; ")
    assert "dev_data_fan.zip: 4 files, 1 other left out" in lines
    assert lines[-1] == f"18 files written. Next: oddsound data check {tmp_path / 'data'}"
    assert {row.machine for row in index_folder(tmp_path / "data").counts()} == {"fan", "ToyCar"}
    assert len(list((tmp_path / "data" / "ground_truth").iterdir())) == 4
    assert [name for name in hidden(tmp_path / "data") if not name.endswith(".unpacked.json")] == []


def test_the_same_command_again_does_nothing(server: ArchiveServer, tmp_path: Path) -> None:
    assert invoke(server, "dcase2021", tmp_path).exit_code == 0
    n_asked = len(server.asked)
    again = invoke(server, "dcase2021", "--out", tmp_path)
    assert again.stderr == f"already there, nothing to do. Next: oddsound data check {tmp_path}\n"
    assert len(server.asked) == n_asked + 4  # the listings


def test_only_what_is_missing_comes(server: ArchiveServer, tmp_path: Path) -> None:
    assert invoke(server, "dcase2021", tmp_path, "--machines", "fan", "--parts", "dev").exit_code == 0
    clip = next((tmp_path / "fan" / "train").iterdir())
    clip.unlink()
    result = invoke(server, "dcase2021", tmp_path, "--machines", "fan", "--parts", "dev,train")
    assert result.stderr.splitlines()[1:] == [
        "dev_data_fan.zip: 4 files, 1 other left out",
        "eval_data_fan_train.zip: 1 file",
        f"2 files written. Next: oddsound data check {tmp_path}",
    ]
    assert not (tmp_path / "ToyCar").exists()


def test_a_dry_run_changes_nothing(server: ArchiveServer, tmp_path: Path) -> None:
    assert invoke(server, "dcase2021", tmp_path / "a", "--parts", "dev", "--machines", "fan").exit_code == 0
    before = sorted((tmp_path / "a").rglob("*"))
    result = invoke(server, "dcase2021", tmp_path / "a", "--parts", "dev,labels", "--dry-run")
    rows = [line.split() for line in result.stdout.splitlines()]
    assert rows[0] == ["archive", "part", "machine", "size", "there"]
    assert [(row[0], row[-1]) for row in rows[1:]] == [
        ("dev_data_ToyCar.zip", "missing"),
        ("dev_data_fan.zip", "unpacked"),
        ("labels.zip", "missing"),
    ]
    assert result.stderr.endswith("; nothing was changed\n")
    assert sorted((tmp_path / "a").rglob("*")) == before
    assert invoke(server, "dcase2021", tmp_path / "b", "--dry-run").exit_code == 0
    assert not (tmp_path / "b").exists()


def test_json_has_what_was_done(server: ArchiveServer, tmp_path: Path) -> None:
    arguments = ("dcase2021", tmp_path, "--parts", "dev", "--machines", "fan", "--json")
    before = json.loads(invoke(server, *arguments, "--dry-run").stdout)
    assert "files" not in before["archives"][0]
    (archive,) = json.loads(invoke(server, *arguments).stdout)["archives"]
    assert archive | {"bytes": 0, "checksum": "", "url": ""} == {
        "archive": "dev_data_fan.zip", "part": "dev", "machine": "fan", "bytes": 0, "checksum": "", "url": "",
        "before": "missing", "bytes_there": 0, "files": 4, "files_new": 4, "left_out": 1,
    }  # fmt: skip
    (archive,) = json.loads(invoke(server, *arguments).stdout)["archives"]
    assert (archive["before"], archive["files"]) == ("unpacked", 0)


def test_archives_are_kept_where_that_is_asked(server: ArchiveServer, tmp_path: Path) -> None:
    arguments = ("dcase2021", tmp_path, "--parts", "dev", "--machines", "fan", "--keep-archives")
    assert "the archives are in" in invoke(server, *arguments).stderr
    kept = tmp_path / ".oddsound-archives" / "dcase2021" / "dev" / "dev_data_fan.zip"
    assert kept.read_bytes() == server.records[4562016]["dev_data_fan.zip"]
    next((tmp_path / "fan" / "train").iterdir()).unlink()
    assert "1 file written" in invoke(server, *arguments).stderr
    assert len(server.of("dev_data_fan.zip")) == 1


def test_an_archive_that_was_corrected_comes_again(server: ArchiveServer, tmp_path: Path) -> None:
    arguments = ("dcase2021", tmp_path, "--parts", "train", "--machines", "fan")
    assert invoke(server, *arguments).exit_code == 0
    clips = {f"fan/train/section_0{i}_source_train_normal_0000.wav": wav(70 + i) for i in (3, 4)}
    server.records[4660992]["eval_data_fan_train.zip"] = packed(clips)
    result = invoke(server, *arguments)
    assert isinstance(result.exception, DataError)
    assert "section_03_source_train_normal_0000.wav: is there with other content" in str(result.exception)
    (tmp_path / "fan" / "train" / "section_03_source_train_normal_0000.wav").unlink()
    assert "2 files written" in invoke(server, *arguments).stderr
    assert len(server.of("eval_data_fan_train.zip")) == 2


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            ["dcase2021", "{tmp}", "--machines", "Fan"],
            DataError,
            "'Fan'; did you mean fan? there are: T",
        ),
        (["dcase2021", "{tmp}", "--parts", "eval"], ConfigError, "no part 'eval'"),
        (["dcase2022", "{tmp}", "--parts", "labels"], ConfigError, "dcase2022 has no record of labels"),
        (["dcase2021", "/dev/null/x"], DataError, "/dev/null"),
    ],
)
def test_bad_input_raises_our_own_errors(
    server: ArchiveServer, tmp_path: Path, arguments: list[str], error: type[Exception], message: str
) -> None:
    result = invoke(server, *(word.format(tmp=tmp_path) for word in arguments))
    assert isinstance(result.exception, error), result.output
    assert message in str(result.exception)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [["dcase2019", "x"], ["dcase2021"], ["dcase2021", "x", "--out", "y"], ["dcase2021", "x", "--parts", ","]],
)
def test_bad_usage_is_said(server: ArchiveServer, arguments: list[str]) -> None:
    result = invoke(server, *arguments)
    assert result.exit_code == 2
    assert "Usage:" in result.stderr


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("http://me:secret@127.0.0.1:9", "credentials"),
        ("ftp://127.0.0.1", "give a web address"),
        ("127.0.0.1:9", "give a web address"),
        ("http://", "give a web address"),
        ("http://[", "give a web address"),
        ("http://127.0.0.1:9?x=1", "give a web address"),
    ],
)
def test_a_source_that_cannot_be_is_refused(tmp_path: Path, source: str, message: str) -> None:
    result = CliRunner().invoke(data, ["get", "dcase2021", str(tmp_path), "--source", source])
    assert isinstance(result.exception, ConfigError)
    assert message in str(result.exception)
    assert "secret" not in str(result.exception)


def test_years_are_kept_apart(server: ArchiveServer, tmp_path: Path) -> None:
    server.records |= {6355122: server.records[4562016]}
    assert invoke(server, "dcase2021", tmp_path, "--parts", "dev").exit_code == 0
    result = invoke(server, "dcase2022", tmp_path, "--parts", "dev")
    assert isinstance(result.exception, DataError)
    assert "holds archives of dcase2021; keep the years apart" in str(result.exception)


def test_a_name_in_two_parts_is_two_archives(server: ArchiveServer, tmp_path: Path) -> None:
    server.records[5257674] = {"eval_data_fan_test.zip": labels_2021("fan")}
    arguments = ("dcase2021", tmp_path, "--parts", "test,labels", "--machines", "fan")
    assert "4 files written" in invoke(server, *arguments).stderr
    assert "nothing to do" in invoke(server, *arguments).stderr


def test_a_hostile_archive_leaves_nothing_and_isnt_kept(server: ArchiveServer, tmp_path: Path) -> None:
    server.records[4660992]["eval_data_fan_train.zip"] = packed({"../fan/train/x.wav": wav(0)})
    result = invoke(server, "dcase2021", tmp_path / "a" / "b", "--machines", "fan")
    assert isinstance(result.exception, ArchiveError)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a"]
    assert hidden(tmp_path / "a" / "b") == ["dev_data_fan.zip.unpacked.json"]
    assert half_written(tmp_path / "a" / "b") == []


def test_a_disk_too_small_is_known_before_anything_comes(
    server: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(get_module.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 20_000}))
    result = invoke(server, "dcase2021", tmp_path)
    assert isinstance(result.exception, DataError)
    assert f"{tmp_path}: 20 kB free, about " in str(result.exception)
    assert "1.3 times their size" in str(result.exception)
    assert "--machines" in str(result.exception)
    assert server.of("dev_data_fan.zip") == []
    monkeypatch.undo()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server.records |= {6355122: server.records[4562016]}
    assert invoke(server, "dcase2022", tmp_path, "--parts", "dev").exit_code == 0


def _small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))


def _interruptible() -> None:
    """Also where the tests run in the background, whose processes ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _one_error(stderr: str) -> str:
    (line,) = [line for line in stderr.splitlines() if line.startswith("oddsound:")]
    assert "Traceback" not in stderr
    return line


def test_a_disk_that_is_full_is_one_line(server: ArchiveServer, tmp_path: Path) -> None:
    """No file may be longer than 2000 bytes: the download ends, or, packed tighter, the unpacking."""
    command = typed(server, tmp_path, "--parts", "train", "--machines", "fan")
    says = f"oddsound: {tmp_path}: can't be read or written (File too large); make room or mend it, and the"
    for content in (None, wav(0)[:44] + bytes(20_000)):
        if content:
            clip = {"fan/train/section_03_source_train_normal_0000.wav": content}
            server.records[4660992]["eval_data_fan_train.zip"] = packed(clip)
        full = subprocess.run(command, preexec_fn=_small_files, capture_output=True, text=True)
        assert full.returncode == 3
        assert says in _one_error(full.stderr)
        assert half_written(tmp_path) == []
        assert not (tmp_path / "fan").exists()
    assert hidden(tmp_path) == ["eval_data_fan_train.zip"]
    assert subprocess.run(command, capture_output=True).returncode == 0
    assert len(server.of("eval_data_fan_train.zip")) == 2


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGINT])
def test_killed_in_the_middle_the_same_command_goes_on(
    server: ArchiveServer, tmp_path: Path, kill: signal.Signals
) -> None:
    big = {f"fan/train/section_03_source_train_normal_{i:04d}.wav": wav(i, 16_000) for i in range(20)}
    server.records[4660992]["eval_data_fan_train.zip"] = packed(big)
    server.faults["eval_data_fan_train.zip"] = ["hold"]
    command = typed(server, tmp_path, "--machines", "fan")
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=_interruptible) as process:
        assert server.held.wait(60)
        part = tmp_path / ".oddsound-archives" / "dcase2021" / "train" / "eval_data_fan_train.zip.part"
        while not (part.is_file() and part.stat().st_size > 100_000):
            assert process.poll() is None
            time.sleep(0.001)
        process.send_signal(kill)
        stderr = process.communicate(timeout=60)[1]
    assert process.returncode == (130 if kill == signal.SIGINT else -kill)
    if kill == signal.SIGINT:
        assert _one_error(stderr) == "oddsound: interrupted; the same command goes on from here"
    assert half_written(tmp_path) == []
    n_there = part.stat().st_size
    server.released.set()
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert server.of("eval_data_fan_train.zip")[-1].range == f"bytes={n_there}-"
    assert len(server.of("dev_data_fan.zip")) == 1
    assert len(index_folder(tmp_path).of("fan")) == 4 + 20 + 2


def test_killed_while_unpacking_the_same_command_goes_on(server: ArchiveServer, tmp_path: Path) -> None:
    """Wherever it dies: nothing half-written in its place, and all of it there in the end."""
    big = {f"fan/train/section_03_source_train_normal_{i:04d}.wav": wav(i, 4_000) for i in range(150)}
    server.records = {4660992: {"eval_data_fan_train.zip": packed(big)}}
    command = typed(server, tmp_path, "--machines", "fan", "--parts", "train")
    train, scratch = tmp_path / "fan" / "train", "*/*/*/eval_data_fan_train.zip.unpacking/fan/train/*.wav"
    for is_far in (lambda: next(tmp_path.glob(scratch), None), train.exists):
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            while not is_far() and process.poll() is None:
                time.sleep(0.001)
            process.kill()
        assert all(path.read_bytes() == big[f"fan/train/{path.name}"] for path in train.glob("*.wav"))
        if not train.exists():
            assert [path.name for path in tmp_path.iterdir()] == [".oddsound-archives"]
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert sorted(path.name for path in train.iterdir()) == sorted(name.rpartition("/")[2] for name in big)
    assert half_written(tmp_path) == []


def test_one_command_at_a_time(server: ArchiveServer, tmp_path: Path) -> None:
    server.faults["dev_data_fan.zip"] = ["hold"]
    with subprocess.Popen(typed(server, tmp_path, "--machines", "fan"), stderr=subprocess.DEVNULL) as first:
        assert server.held.wait(60)
        result = invoke(server, "dcase2021", tmp_path, "--machines", "fan")
        server.released.set()
        assert first.wait(60) == 0
    assert isinstance(result.exception, DataError)
    assert "another `oddsound data get` is at work here" in str(result.exception)
