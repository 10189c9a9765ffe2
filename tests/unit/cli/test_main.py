"""The command line's frame: help, exit codes, one line an error."""

import builtins
import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from oddsound.__main__ import main as begin
from oddsound.cli.main import main, oddsound
from oddsound.errors import ConfigError

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
        (["run", "{data}", "--out", "{data}/fan/train/run"], 2, "lies inside the recordings"),
        (["run", "{data}", "--out", "{tmp}/out", "--config", "smok"], 2, "did you mean smoke?"),
        (
            ["run", "{data}", "--out", "{tmp}/out", "--set", "training.epochs=true"],
            2,
            "valid integer, got True",
        ),
        (["run", "{data}", "--out", "{tmp}/out", "--set", "loss.rho=1:30"], 2, "valid number, got '1:30'"),
        (["init", "."], 2, ".: is there already"),
        (["data", "synth", "{tmp}/out", "--train", "0"], 2, "'--train': 0 is not in the range"),
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
    ("error", "code", "line"),
    [
        (ConfigError("a \x1b[31mkey"), 2, r"a \x1b[31mkey"),
        (
            OSError(errno.ENOSPC, "No space left on device", "/full"),
            3,
            "/full: No space left on device; free or",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            3,
            "the output: No space left on device; free or mend",
        ),
        (KeyError("omega"), 1, "KeyError: 'omega' at "),
        (AssertionError(), 1, "AssertionError at "),
    ],
)
def test_any_error_is_one_line(
    error: Exception,
    code: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("oddsound.search.status.run_status", broken)
    monkeypatch.setattr("oddsound.search.record.read_record", broken)
    assert exits("status", "run") == code
    said = capsys.readouterr().err
    assert said.startswith(f"oddsound: {line}") and said.count("\n") == 1
    assert ("at cli/status.py:" in said and "a mistake of oddsound's" in said) == (code == 1)
    assert exits("--debug", "status", "run") == code
    assert "Traceback" in capsys.readouterr().err


def test_whoever_reads_no_further_is_let_go() -> None:
    """As `oddsound config schema | head -1`: nothing is said; click ends it."""
    with subprocess.Popen(
        [ODDSOUND, "config", "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as shown:
        assert shown.stdout is not None and shown.stderr is not None
        shown.stdout.close()
        assert shown.stderr.read() == b""
    assert shown.returncode == 1


def test_a_ctrl_c_while_the_commands_are_loaded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(name: str, *rest: Any) -> Any:
        if name == "oddsound.cli.main":
            raise KeyboardInterrupt
        return importing(name, *rest)

    importing = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", interrupted)
    with pytest.raises(SystemExit) as ended:
        begin()
    assert ended.value.code == 130
    assert capsys.readouterr().err == "oddsound: interrupted; nothing was begun\n"


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
