"""The command line's frame: help, exit codes, one line an error."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from oddsound.cli.main import main, oddsound

ODDSOUND = Path(sys.executable).parent / "oddsound"


def exits(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(a) for a in arguments])
    return int(ended.value.code or 0)


def test_help_is_there_at_once() -> None:
    """By the processor's time: other work on the machine isn't the program's fault."""
    seconds = []
    for _ in range(3):
        before = os.times()
        shown = subprocess.run([ODDSOUND, "--help"], capture_output=True, text=True, check=True)
        after = os.times()
        took = after.children_user + after.children_system - before.children_user - before.children_system
        seconds.append(took)
    assert "oddsound demo" in shown.stdout
    assert min(seconds) < 0.5, seconds


def test_help_imports_nothing_heavy() -> None:
    heavy = "('torch', 'ray', 'mlflow', 'numpy')"
    code = f"import sys, oddsound.cli.main; print([m for m in {heavy} if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


@pytest.mark.parametrize("command", sorted(oddsound.commands))
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exits(command, "--help") == 0
    assert "Usage:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["rum"], 2, "oddsound: no such command 'rum'; did you mean run?"),
        (["run", "nowhere", "--out", "{tmp}/out"], 3, "nowhere"),
        (["run", "{data}", "--out", "{tmp}/out", "--machines", "fam"], 3, "fam"),
        (
            ["run", "{data}", "--out", "{tmp}/out", "--set", "loss.roh=1"],
            2,
            "loss.roh: unknown key; did you mean rho",
        ),
        (["run", "{data}", "--out", "{tmp}/out", "--set", "loss.rho"], 2, "expected SETTING=VALUE"),
        (
            ["run", "{data}", "--out", "{tmp}/out", "--config", "nowhere.yaml"],
            2,
            "nowhere.yaml: can't be read",
        ),
        (["run", "{data}", "--out", "{tmp}/out", "--authors", "nowhere.yaml"], 2, "nowhere.yaml"),
        (["run", "{data}", "--out", "{tmp}/out", "--tracking-uri", "http://127.0.0.1:9"], 4, "127.0.0.1:9"),
        (["run", "{data}", "--out", "{tmp}/out", "--tracking-uri", "ftp://x"], 4, "tracking URI"),
        (["run", "{data}", "--out", "{tmp}/out", "--set", "loss=3"], 2, "loss: input should be a valid"),
        (
            ["run", "{data}", "--out", "{tmp}/out", "--set", "machine=pump"],
            2,
            "is given by --machines",
        ),
        (["run", "{data}", "--out", "{tmp}/out", "--set", "training.seed=5"], 2, "is given by --seed"),
        (
            ["run", "{data}", "--out", "{tmp}/out", "--set", "features.f_max=9e5"],
            2,
            "must hold",
        ),
        (["run", "{data}", "--out", "{tmp}/out", "--pin", "pump"], 2, "no such machine type"),
        (["run", "{data}", "--out", "{tmp}/out", "--cpus-per-trial", "0"], 2, "cpus-per-trial"),
        (["run", "{data}", "--out", "/dev/null/x"], 2, "can't be a run's folder"),
        (["run", "{data}", "--out", "{tmp}/out", "--tracking-uri", "http://me:secret@h"], 2, "USERNAME"),
        (["submit", "{tmp}"], 2, "no run.json here"),
        (["sync", "{tmp}"], 2, "no run.json here"),
        (["evaluate", "{tmp}"], 3, "anomaly_score_"),
    ],
)
def test_a_mistake_is_one_line_with_its_exit_code(
    arguments: list[str],
    code: int,
    message: str,
    small_data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [a.format(data=small_data, tmp=tmp_path) for a in arguments]
    assert exits(*given) == code
    said = capsys.readouterr()
    assert message in said.err
    assert said.out == ""
    assert "Traceback" not in said.err
    assert "secret" not in said.err
    assert not (tmp_path / "out" / "run.json").exists()
    assert len([line for line in said.err.splitlines() if line.startswith("oddsound:")]) == 1


def test_debug_shows_where_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exits("--debug", "submit", tmp_path) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("rum", "no such command 'rum'; did you mean run?"),
        ("data chek", "data: no such command 'chek'; did you mean check?"),
        ("run d --trails 3", "run: no such option '--trails'; did you mean --trials or --retries?"),
        ("run", "run: missing argument 'DATA'; see `oddsound run --help`"),
        ("run d", "run: missing option '--out'; see `oddsound run --help`"),
        (
            "run d --epochs 0",
            "run: invalid value for '--epochs': 0 is not in the range x>=1; see `oddsound run",
        ),
        ("trials a b", "trials: got unexpected extra argument (b); see `oddsound trials --help`"),
        ("search", "search: give DATA and --out RUN, or --resume RUN; see `oddsound search --help`"),
        (
            "table1 d --profile x",
            "table1: invalid value for '--profile': 'x' is not one of 'paper', 'authors'",
        ),
        ("--frob", "no such option '--frob'; see `oddsound --help`"),
    ],
)
def test_a_wrong_command_line_is_one_line(
    arguments: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exits(*arguments.split()) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"oddsound: {line}")
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["serve"], ["data"]])
def test_a_group_without_a_command_shows_its_help(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert exits(*arguments) == 2
    assert capsys.readouterr().err.startswith("Usage: oddsound")


def test_quiet_silences_talk_and_nothing_else(
    small_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exits("data", "check", small_data) == 0
    loud = capsys.readouterr()
    assert exits("--quiet", "data", "check", small_data) == 0
    quiet = capsys.readouterr()
    assert (quiet.out, quiet.err) == (loud.out, "")
    assert loud.err
    assert exits("-q", "evaluate", tmp_path) == 3
    assert "anomaly_score_" in capsys.readouterr().err
    assert exits("data", "check", small_data) == 0
    assert capsys.readouterr().err == loud.err, "quiet is of one command"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert exits("--version") == 0
    assert capsys.readouterr().out == "oddsound, version 0.1.0\n"
