"""A run's status from its folder, with trials in every state, and files that are gone or broken."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from oddsound.config import TrialConfig
from oddsound.errors import ConfigError
from oddsound.search.driver import Driver
from oddsound.search.record import RunRecord, write_record
from oddsound.search.status import run_status
from oddsound.training.bundle import Bundle, Stop, TrialResult

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_record(tmp_path, RunRecord("search", "data", "/data", None, {"fan": {}, "valve": {}}))
    want(tmp_path, fan=10, valve=4)
    return tmp_path


def want(run: Path, **wanted: int) -> None:
    document = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(document | {"wanted": wanted}))


def begun(run: Path, machine: str, number: int) -> Bundle:
    config = TrialConfig.model_validate({"machine": machine, "training": {"seed": number}})
    bundle = Bundle(run / "trials" / machine / config.identity)
    bundle.path.mkdir(parents=True)
    bundle.write("config.json", config.model_dump())
    return bundle


def done(
    run: Path, machine: str, number: int, omega: float = 0.6, ended: datetime = NOW, seconds: float = 100.0
) -> Bundle:
    bundle = begun(run, machine, number)
    identity, when = bundle.path.name, ended.isoformat(timespec="seconds")
    bundle.write_result(TrialResult(identity, machine, number, {"omega": omega}, 1, "d", "", seconds, when))
    return bundle


def driven(run: Path, since: datetime, running: dict[str, Any], pid: int | None = None) -> None:
    driver = Driver(pid or os.getpid(), socket.gethostname(), since.isoformat(), NOW.isoformat(), running)
    (run / "driver.json").write_text(json.dumps(asdict(driver)))


def runs(bundle: Bundle, epoch: int, epochs: int = 10) -> dict[str, Any]:
    since = (NOW - timedelta(seconds=100)).isoformat()
    what = {"machine": bundle.path.parent.name, "number": 0, "epoch": epoch, "epochs": epochs, "since": since}
    return {bundle.path.name: what}


def test_every_state_is_counted_and_the_best_named(run: Path) -> None:
    done(run, "fan", 0, 0.61)
    done(run, "fan", 1, 0.64)
    begun(run, "fan", 2).write_stop(Stop(2, 5, 5, 0.5))
    begun(run, "fan", 3).write("failure.json", {"reason": "TrialError: no"})
    begun(run, "fan", 4)
    running = runs(begun(run, "fan", 5), 3)
    driven(run, NOW - timedelta(seconds=200), running)
    status = run_status(run)
    fan, valve = status.machines["fan"], status.machines["valve"]
    assert (fan.wanted, fan.done, fan.stopped, fan.running) == (10, 2, 1, 1)
    assert (fan.failed, fan.interrupted, fan.damaged, fan.missing) == (1, 1, 0, 7)
    assert fan.best == 0.64
    assert (valve.wanted, valve.done, valve.best) == (4, 0, None)
    total = status.total
    assert (total.wanted, total.done, total.running, total.missing) == (14, 2, 1, 11)
    assert status.is_driven
    assert status.driver is not None
    assert status.driver.pid == os.getpid()


def test_a_dead_drivers_trials_are_interrupted_and_nothing_is_foretold(run: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    done(run, "fan", 0)
    driven(run, NOW - timedelta(hours=1), runs(begun(run, "fan", 1), 3), ended.pid)
    status = run_status(run)
    assert not status.is_driven
    assert status.driver is not None, "it died, and can be named"
    assert (status.machines["fan"].running, status.machines["fan"].interrupted) == (0, 1)
    assert status.machines["fan"].eta_s is None
    assert status.total.eta_s is None


def test_the_time_left_is_of_what_this_driver_has_done(run: Path) -> None:
    """fan's 2 + 0.5 trials and valve's 0.5 took 300 s; what an earlier driver did is no part of it."""
    want(run, fan=7, valve=3)
    for number in range(2):
        done(run, "fan", number, ended=NOW - timedelta(seconds=10), seconds=290)
    done(run, "fan", 3, ended=NOW - timedelta(hours=5), seconds=290)
    running = runs(begun(run, "fan", 4), 5) | runs(begun(run, "valve", 0), 5)
    driven(run, NOW - timedelta(seconds=600), running)
    status = run_status(run)
    # One trial in 100 s. Left: valve 2.5 and fan 3.5 trials, at first at half of that speed each.
    assert status.machines["valve"].eta_s == pytest.approx(500)
    assert status.machines["fan"].eta_s == pytest.approx(600)
    assert status.total.eta_s == pytest.approx(600)


def test_epochs_that_were_not_evaluated_count_too(run: Path) -> None:
    """The driver has heard of epoch 2; the history has come to 5 of 10 in 100 s."""
    want(run, fan=1, valve=0)
    bundle = begun(run, "fan", 0)
    driven(run, NOW - timedelta(seconds=100), runs(bundle, 2))
    assert run_status(run).machines["fan"].eta_s == pytest.approx(400)
    bundle.write("history.json", [{"epoch": epoch} for epoch in range(1, 6)])
    assert run_status(run).machines["fan"].eta_s == pytest.approx(100)


def test_a_failure_of_this_driver_is_not_waited_for_and_an_old_one_is(run: Path) -> None:
    want(run, fan=3, valve=0)
    done(run, "fan", 0, ended=NOW, seconds=100)
    failed = begun(run, "fan", 1)
    failed.write("failure.json", {"reason": "TrialError: no"})
    driven(run, NOW - timedelta(seconds=100), {})
    old = (NOW - timedelta(hours=1)).timestamp()
    os.utime(failed.path / "failure.json", (old, old))
    assert run_status(run).machines["fan"].eta_s == pytest.approx(200)
    os.utime(failed.path / "failure.json", (NOW.timestamp(), NOW.timestamp()))
    assert run_status(run).machines["fan"].eta_s == pytest.approx(100)


def test_nothing_missing_takes_no_time_and_nothing_done_yet_is_not_foretold(run: Path) -> None:
    want(run, fan=1, valve=1)
    done(run, "fan", 0)
    assert run_status(run).machines["fan"].eta_s == 0.0
    driven(run, NOW, runs(begun(run, "valve", 0), 0))
    assert run_status(run).machines["valve"].eta_s is None


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"trial": "x"}', "null", '"text"', "\x00", '{"metrics": {"omega": NaN}}'],
)
def test_a_damaged_result_is_counted_as_such(run: Path, content: str) -> None:
    done(run, "fan", 0, 0.6)
    (done(run, "fan", 1).path / "result.json").write_text(content)
    fan = run_status(run).machines["fan"]
    assert (fan.done, fan.damaged, fan.best) == (1, 1, 0.6)


def test_no_number_is_no_best(run: Path) -> None:
    bundle = done(run, "fan", 0)
    text = (bundle.path / "result.json").read_text()
    (bundle.path / "result.json").write_text(text.replace('"omega": 0.6', '"omega": Infinity'))
    assert (run_status(run).machines["fan"].damaged, run_status(run).machines["fan"].best) == (1, None)


def test_bundles_that_go_while_it_reads_are_not_there(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = [done(run, "fan", 0), begun(run, "fan", 1)]
    kept = done(run, "fan", 2)
    listed = [*gone, kept]
    for bundle in gone:
        for file in bundle.path.iterdir():
            file.unlink()
    monkeypatch.setattr("oddsound.search.status.bundles", lambda trials, machine: listed)
    assert run_status(run).machines["fan"].done == 1
    assert run_status(run).machines["fan"].interrupted == 0


def test_a_trial_that_ended_after_the_drivers_last_word_is_done_once(run: Path) -> None:
    bundle = done(run, "fan", 0)
    driven(run, NOW - timedelta(seconds=100), runs(bundle, 9))
    fan = run_status(run).machines["fan"]
    assert (fan.done, fan.running) == (1, 0)


def test_a_run_that_does_not_say_what_it_wants_wants_what_it_has_begun(run: Path) -> None:
    want(run)
    done(run, "fan", 0)
    begun(run, "fan", 1)
    assert (run_status(run).machines["fan"].wanted, run_status(run).machines["valve"].wanted) == (2, 0)


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no run\.json here"):
        run_status(tmp_path)


def test_it_needs_neither_torch_nor_ray() -> None:
    heavy = "('torch', 'ray', 'mlflow', 'optuna')"
    code = f"import sys, oddsound.search.status; print([m for m in {heavy} if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
