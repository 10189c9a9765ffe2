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
        (["rum"], 2, "Did you mean"),
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
    if code != 2 or "Usage" not in said.err:
        assert len([line for line in said.err.splitlines() if line.startswith("oddsound:")]) == 1


def test_debug_shows_where_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exits("--debug", "submit", tmp_path) == 2
    assert "Traceback" in capsys.readouterr().err
