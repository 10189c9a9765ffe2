"""What is said with --quiet and without: talk and progress go, warnings stay."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from oddsound.cli.clip_progress import ClipProgress
from oddsound.cli.progress import Progress
from oddsound.cli.talking import be_quiet, console, talk, typed, warn
from oddsound.config import TrialConfig
from oddsound.training.bundle import Stop

CONFIG = TrialConfig(machine="fan")


@pytest.fixture
def quiet() -> Iterator[None]:
    be_quiet(True)
    yield
    be_quiet(False)


def a_search() -> None:
    """Everything that a listener of a search hears."""
    with Progress({"fan": (4, 0, None)}) as progress:
        for number in range(3):
            progress.started(CONFIG, number)
        progress.epoch(CONFIG, 0, {"epoch": 1, "omega": 0.5})
        progress.finished(CONFIG, 0, 0.6)
        progress.stopped(CONFIG, 1, Stop(1, 3, 3, 0.5))
        progress.restarted(CONFIG, 2, "its worker died")
        progress.failed(CONFIG, 2, "TrialError: loss is not finite")
        progress.said("studies.journal can't be written")


def test_a_command_is_as_a_shell_takes_it() -> None:
    assert typed("run", Path("my data"), "--out", "RUN") == "oddsound run 'my data' --out RUN"
    assert shlex.split(typed("status", "it's; $HOME")) == ["oddsound", "status", "it's; $HOME"]


def test_a_line_an_event(capsys: pytest.CaptureFixture[str]) -> None:
    talk("talk")
    warn("warning")
    a_search()
    said = capsys.readouterr()
    assert said.out == ""
    assert [line.split(" (")[0] for line in said.err.splitlines()] == [
        "talk",
        "warning",
        "fan trial 0 finished: omega 60.00%",
        "fan trial 1 stopped at epoch 3: 50.00%",
        "fan trial 2 is started again: its worker died",
        "fan trial 2 FAILED: TrialError: loss is not finite",
        "studies.journal can't be written",
    ]


@pytest.mark.usefixtures("quiet")
def test_quiet_leaves_the_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    talk("talk")
    warn("warning")
    a_search()
    assert [line.split(" (")[0] for line in capsys.readouterr().err.splitlines()] == [
        "warning",
        "fan trial 2 is started again: its worker died",
        "fan trial 2 FAILED: TrialError: loss is not finite",
        "studies.journal can't be written",
    ]


@pytest.mark.usefixtures("quiet")
def test_quiet_has_no_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oddsound.cli.clip_progress._SILENCE_S", 0.0)
    monkeypatch.setattr("oddsound.cli.clip_progress._QUIET_S", -1.0)
    monkeypatch.setenv("FORCE_COLOR", "1")
    with ClipProgress("features of fan") as told:
        for done in range(5):
            told(done, 5)
    console().print("a table that moves")
    assert capsys.readouterr().err == ""
