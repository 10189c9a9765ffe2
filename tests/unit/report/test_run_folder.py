"""What a run's folder is read as, whatever state it is in."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.unit.report.runs import POINTS, begin, machines_of

from oddsound.report.run_folder import STATES, best_scores, read_machines, set_aside
from oddsound.search.record import read_record


def test_every_kind_of_trial(made_run: Path) -> None:
    fan = machines_of(made_run)["fan"]
    assert [trial.state for trial in fan.trials] == [
        *["done"] * 5,
        "stopped",
        "other recordings",
        "failed",
        "unfinished",
        "damaged",
    ]
    reasons = {trial.state: trial.reason for trial in fan.trials}
    assert reasons["stopped"] == "given up after epoch 1 of 3, at the rung of epoch 1"
    assert reasons["failed"] == "loss is not finite"
    assert reasons["unfinished"] == "begun, 0 of 3 epochs so far"
    assert reasons["damaged"].startswith("trials/fan/") and "can't be read" in reasons["damaged"]
    assert [trial.number for trial in fan.trials[:7]] == [0, 1, 2, 3, 4, 5, 9]
    assert fan.trials[0].hosts == ["node-7"]


def test_the_best_one_is_of_the_finished_on_the_runs_recordings(made_run: Path) -> None:
    fan = machines_of(made_run)["fan"]
    best, other = fan.best, fan.of("other recordings")[0]
    assert best is not None and best.omega == max(trial.omega or 0 for trial in fan.done)
    assert (other.omega or 0) > (best.omega or 0)
    assert machines_of(made_run)["pump"].best is None
    assert best_scores(machines_of(made_run)["pump"]) == "no trial has finished yet"


def test_the_searched_settings_of_each_trial(made_run: Path) -> None:
    fan = machines_of(made_run)["fan"]
    assert len(fan.points()) == len(POINTS)
    assert {trial.state for trial in fan.trials} == set(STATES)
    assert all(fan.settings(trial).items() >= POINTS[0].items() for trial in fan.trials[5:]), (
        "that failed too"
    )
    for (_, values), point in zip(fan.points(), POINTS, strict=True):
        assert values.keys() == fan.dimensions.keys() and values.items() >= point.items()


def test_a_space_that_was_changed_leaves_out_what_lies_outside(made_run: Path) -> None:
    record = read_record(made_run)
    record.machines["fan"]["space"]["loss.rho"] = (
        "FloatDistribution(high=0.08, log=True, low=0.06, step=None)"
    )
    (fan,) = read_machines(made_run, record, ["fan"])
    assert [trial.number for trial, _ in fan.points()] == [0]
    for unreadable in ("exec('1')", 3, None):
        record.machines["fan"]["space"] = {"loss.rho": unreadable} if unreadable else unreadable
        (fan,) = read_machines(made_run, record, ["fan"])
        assert fan.points() == [] and len(fan.done) == 5


def test_scores_that_can_not_be_read_are_said(made_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(made_run, run)
    fan = machines_of(run)["fan"]
    assert fan.best is not None
    fan.best.bundle.scores_path.write_bytes(b"no zip")
    said = best_scores(fan)
    assert isinstance(said, str) and "not a score table" in said


def test_a_run_that_has_only_begun(small_data: Path, tmp_path: Path) -> None:
    run = begin(tmp_path / "run", small_data, ("fan",))
    (fan,) = machines_of(run).values()
    assert fan.trials == () and fan.wanted == 5 and set_aside(run) == []
    (run / "set_aside" / "fan").mkdir(parents=True)
    (run / "set_aside" / "fan" / "abc").mkdir()
    assert set_aside(run) == ["fan/abc"]


@pytest.mark.parametrize(
    "spoilt",
    [
        {"metrics": {"omega": float("nan")}},
        {"metrics": {"omega": "<b>"}},
        {"metrics": {"omega": 0.5, "omega_last": 7}},
        {"metrics": []},
        {"seconds": None},
        {"number": "0"},
        {"versions": 3},
        {"more": 1},
    ],
)
def test_a_result_of_other_kinds_is_damaged(spoilt: dict[str, Any], made_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(made_run, run)
    result = machines_of(run)["valve"].done[0].bundle.path / "result.json"
    result.write_text(json.dumps(json.loads(result.read_text()) | spoilt))
    (trial,) = machines_of(run)["valve"].trials
    assert trial.state == "damaged" and "result.json" in trial.reason


@pytest.mark.parametrize("content", ["[]", '{"machine": 3}', "{", ""])
def test_a_damaged_configuration_is_one_damaged_trial(content: str, small_data: Path, tmp_path: Path) -> None:
    run = begin(tmp_path / "run", small_data, ("fan",))
    folder = run / "trials" / "fan" / "abc"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(content)
    (trial,) = machines_of(run)["fan"].trials
    assert trial.state == "damaged" and "config.json" in trial.reason
