"""What a search shows while it runs: the table that moves, and the lines where there is no terminal."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from oddsound.cli import progress as module
from oddsound.cli.progress import Progress
from oddsound.cli.searching import _paper
from oddsound.config import TrialConfig
from oddsound.recordings.synth.folder import MARKER
from oddsound.search.record import RunRecord
from oddsound.training.bundle import Stop


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def trial(machine: str, seed: int) -> TrialConfig:
    return TrialConfig.model_validate({"machine": machine, "training": {"seed": seed}})


def shown(progress: Progress, width: int = 80) -> list[str]:
    """The table as a terminal of `width` columns has it."""
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    console.print(progress._table())
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def searched(clock: list[float], *names: str) -> Progress:
    """Two trials of each done at once in 100 s; of the first machine type, one runs and is half-way."""
    progress = Progress(dict.fromkeys(names, (6, 0, None)), {"fan": 71.72})
    for seed in (1, 2):
        for name in names:
            progress.started(trial(name, seed), seed)
    clock[0] += 100
    for seed in (1, 2):
        for name in names:
            progress.finished(trial(name, seed), seed, 0.6 + seed / 100)
    progress.started(trial(names[0], 3), 3)
    progress.epoch(trial(names[0], 3), 3, {"epoch": trial(names[0], 3).training.epochs / 2, "omega": 0.5})
    return progress


def test_the_table(clock: list[float]) -> None:
    """4.5 trials in 100 s; 3.5 of fan are left, through after 7 / 4.5 of it, 4 of valve, 7.5 / 4.5."""
    assert shown(searched(clock, "fan", "valve")) == [
        "search, 2 min",
        "machine  done  running  best omega   paper  time left",
        "fan       2/6        1      62.00%  71.72%      3 min",
        "valve     2/6        -      62.00%       -      3 min",
        "total    4/12        1           -       -      3 min",
    ]


def test_one_machine_type_before_anything_is_done() -> None:
    assert shown(Progress({"press": (20, 3, 0.5)})) == [
        "search, 0 s",
        "machine  done  running  best omega  time left",
        "press    3/20        -      50.00%          ?",
    ]


def test_what_is_through_has_no_time_left(clock: list[float]) -> None:
    assert shown(Progress({"press": (3, 3, 0.5)}))[2].split() == ["press", "3/3", "-", "50.00%", "-"]


def test_a_narrow_terminal_cuts_names_alone(clock: list[float]) -> None:
    long = "press_of_the_second_hall_on_the_left_beside_the_door_and_its_" * 3
    progress = searched(clock, "fan", long)
    progress.failed(trial("fan", 3), 3, "it died")
    progress.started(trial(long, 4), 4)
    progress.stopped(trial(long, 4), 4, Stop(4, epoch=3, rung=3, omega=0.5))
    lines = shown(progress)
    assert len(lines) == 5
    assert all(len(line) <= 80 for line in lines)
    heads = ["machine", "done", "running", "failed", "stopped", "best omega", "paper", "time left"]
    assert [head for head in heads if head in lines[1]] == heads
    assert lines[3].startswith("press_of") and "…" in lines[3]
    assert lines[2].split() == ["fan", "2/6", "-", "1", "-", "62.00%", "71.72%", "2", "min"]


def test_without_a_terminal_a_line_an_event(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    """After 100 s: 11 trials left at the speed of one in that time, then 10 of two, 9 of three, 8 of four."""
    progress = searched(clock, "fan", "valve")
    progress.failed(trial("fan", 3), 3, "it died")
    assert capsys.readouterr().err.splitlines() == [
        "fan trial 1 finished: omega 61.00% (1/6, best 61.00%, about 18 min left in all)",
        "valve trial 1 finished: omega 61.00% (1/6, best 61.00%, about 8 min left in all)",
        "fan trial 2 finished: omega 62.00% (2/6, best 62.00%, about 5 min left in all)",
        "valve trial 2 finished: omega 62.00% (2/6, best 62.00%, about 3 min left in all)",
        "fan trial 3 FAILED: it died (2/6, 1 failed, best 62.00%, about 3 min left in all)",
    ]


def test_one_machine_types_line_and_the_last_one(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    progress = Progress({"fan": (2, 0, None)})
    for seed in (1, 2):
        progress.started(trial("fan", seed), seed)
        clock[0] += 3600
        progress.finished(trial("fan", seed), seed, 0.5)
    assert capsys.readouterr().err.splitlines() == [
        "fan trial 1 finished: omega 50.00% (1/2, best 50.00%, about 1 h 0 min left)",
        "fan trial 2 finished: omega 50.00% (2/2, best 50.00%)",
    ]


def test_the_papers_figures_are_for_the_challenges_recordings(tmp_path: Path) -> None:
    data = tmp_path
    (data / "fan" / "train").mkdir(parents=True)
    record = RunRecord("s", "d", str(data), None, {"fan": {}, "press": {}})
    assert _paper(record) == {"fan": 71.72}
    (data / MARKER).write_text("{}")
    assert _paper(record) == {}
