"""`oddsound doctor` as a user sees it: lines, JSON, colour, exit codes."""

import io
import json
import sys
from pathlib import Path

import pytest

from oddsound.cli.checks import packages, services
from oddsound.cli.checks._base import failure
from oddsound.cli.main import main
from oddsound.search.record import RunRecord, write_record

ABOUT = ["Python", "packages", "oddsound[imagenet]", "torch", "CPUs", "memory", "disk of RUN", "/dev/shm"]


@pytest.fixture(autouse=True)
def a_machine_that_is_right(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever the tests run on: free ports, a home of its own."""
    monkeypatch.setattr(services, "PORTS", ())
    monkeypatch.setenv("HOME", str(tmp_path))


def doctor(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["doctor", *map(str, arguments)])
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


def test_a_line_each_in_columns(capsys: pytest.CaptureFixture[str], tmp_path: Path, small_data: Path) -> None:
    code, out, err = doctor(capsys, "--data", small_data, "--run", tmp_path / "run")
    assert code == 0, out
    lines = out.splitlines()
    assert {line.split()[0] for line in lines} <= {"ok", "warning"}
    for about in ABOUT:
        (line,) = [line for line in lines if f"  {about}  " in line]
        assert line.index(about) == 9
    assert "\x1b" not in out
    assert err.splitlines()[-1].endswith(f"Next: oddsound run {small_data} --out {tmp_path / 'run'}")
    assert not (tmp_path / "run").exists()


def test_json_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = doctor(capsys, "--json")
    document = json.loads(out)
    assert code == 0
    assert {finding["about"] for finding in document["findings"]} >= set(ABOUT)
    assert document["counts"]["failure"] == 0
    assert sum(document["counts"].values()) == len(document["findings"])


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--run", "/dev/null/x"], 3, "/dev/null can't be written"),
        (["--data", "/nowhere"], 3, "/nowhere"),
        (["--tracking-uri", "http://127.0.0.1:9"], 4, "no MLflow server answers at http://127.0.0.1:9"),
        (["--ray-address", "127.0.0.1:9"], 2, "nobody answers there"),
    ],
)
def test_a_failure_has_its_exit_code_and_the_rest_is_shown(
    arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ended, out, err = doctor(capsys, *arguments)
    assert ended == code
    (line,) = [line for line in out.splitlines() if said in line]
    assert line.startswith("failure  ")
    assert "torch" in out
    assert [line for line in err.splitlines() if line.startswith("oddsound: ")]


def test_the_mlflow_that_a_run_was_begun_with_is_asked(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write_record(tmp_path, RunRecord("s", "d", "/data", "http://127.0.0.1:9"))
    code, out, _ = doctor(capsys, "--run", tmp_path)
    assert code == 4
    assert "127.0.0.1:9" in out


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_colour_on_a_terminal_and_never_with_no_color(
    no_color: str, coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr(packages, "required", lambda: [failure("packages", "x is not installed", "get it")])
    monkeypatch.setattr(sys, "stdout", terminal := _Terminal())
    with pytest.raises(SystemExit) as ended:
        main(["doctor"])
    assert ended.value.code == 2
    assert ("\x1b[31mfailure\x1b[0m  packages" in terminal.getvalue()) is coloured
    assert "x is not installed; get it" in terminal.getvalue()
