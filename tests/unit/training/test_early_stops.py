"""Rungs and savings, with known answers."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from oddsound.config import TrialConfig
from oddsound.errors import BundleError, ConfigError
from oddsound.training.bundle import Bundle, Stop
from oddsound.training.early_stops import Asha, Course, Rung, Savings, course_of, ended_savings


@pytest.mark.parametrize(
    ("asha", "epochs", "rungs"),
    [
        (Asha(), 300, [30, 90, 270]),
        (Asha(), 30, []),
        (Asha(), 31, [30]),
        (Asha(1, 2), 8, [1, 2, 4]),
        (Asha(4, 2.5), 30, [4, 10, 25]),
        (Asha(3, 1.1), 5, [3, 4]),
    ],
)
def test_rungs(asha: Asha, epochs: int, rungs: list[int]) -> None:
    assert asha.rungs(epochs) == rungs


@pytest.mark.parametrize("wrong", [(0, 3.0), (1, 1.0), (1, float("nan")), (1, float("inf"))])
def test_what_has_no_rungs_is_refused(wrong: tuple[int, float]) -> None:
    with pytest.raises(ConfigError, match="early stopping: "):
        Asha(*wrong)


def test_a_trial_is_compared_once_at_the_highest_rung_that_it_has_reached() -> None:
    course = Course(Asha(2, 2), 16)
    reports = [(1, 0.1), (3, 0.3), (4, 0.4), (5, 0.5), (12, 0.6), (15, 0.7), (16, 0.8)]
    assert [course.report(*report) for report in reports] == [None, 2, 4, None, 8, None, None]
    assert course.reached == {2: (3, 0.3), 4: (4, 0.4), 8: (12, 0.6)}
    assert course.trained == 16


def make(trials: Path, seed: int, omegas: list[Any], epochs: int = 6, stop: Stop | None = None) -> Bundle:
    """A bundle with these omegas, one an epoch; stopped, or finished where it has all of its epochs."""
    config = TrialConfig.model_validate({"machine": "fan", "training": {"seed": seed, "epochs": epochs}})
    bundle = Bundle(trials / "fan" / config.identity)
    bundle.path.mkdir(parents=True)
    history = [{"epoch": e, "loss": 1.0, "omega": omega} for e, omega in enumerate(omegas, start=1)]
    files = {"config": config.model_dump(), "history": history}
    if stop is not None:
        files["stopped"] = asdict(stop)
    elif len(omegas) == epochs:
        files["result"] = {}
    for name, content in files.items():
        (bundle.path / f"{name}.json").write_text(json.dumps(content))
    return bundle


def test_savings_with_known_answers(tmp_path: Path) -> None:
    found = [
        make(tmp_path, 0, [0.1, 0.5, 0.6, 0.7, 0.8, 0.9]),
        make(tmp_path, 1, [0.1, 0.3], stop=Stop(1, 2, 2, 0.3)),
        make(tmp_path, 2, [0.1, 0.6, 0.6, 0.5, 0.1], stop=Stop(2, 5, 4, 0.5)),
        make(tmp_path, 3, [0.9, 0.9, 0.9]),  # runs, or was interrupted
        make(tmp_path, 4, [0.5, 0.7, 0.7], epochs=3),
    ]
    assert ended_savings(Asha(2, 2), found) == Savings(
        n_trials=4,
        n_stopped=2,
        epochs_trained=6 + 2 + 5 + 3,
        epochs_saved=4 + 1,
        rungs={3: [Rung(2, 1, 0, 0.7)], 6: [Rung(2, 3, 1, 0.5), Rung(4, 2, 1, 0.6)]},
    )
    assert json.loads(json.dumps(asdict(ended_savings(Asha(2, 2), found))))["rungs"]["3"] == [
        {"epoch": 2, "n_reached": 1, "n_stopped": 0, "cutoff": 0.7}
    ]


def test_nothing_ended_has_saved_nothing(tmp_path: Path) -> None:
    assert ended_savings(Asha(), []) == Savings(0, 0, 0, 0, {})
    assert ended_savings(Asha(), [make(tmp_path, 0, [0.1])]) == Savings(0, 0, 0, 0, {})
    whole = make(tmp_path, 1, [0.1] * 6)
    assert ended_savings(Asha(30, 3), [whole]) == Savings(1, 0, 6, 0, {6: []})
    assert ended_savings(Asha(5, 3), [make(tmp_path, 2, [None] * 6)]).rungs == {6: [Rung(5, 0, 0, None)]}


def test_of_a_stopped_trial_only_what_came_before_counts(tmp_path: Path) -> None:
    """It had trained on by an epoch before it was told, and that is a rung as well."""
    course = course_of(make(tmp_path, 0, [0.1, 0.2], stop=Stop(0, 2, 1, 0.1)), Asha(1, 2))
    assert course.reached == {1: (1, 0.1)}
    assert course.trained == 2


def test_omegas_that_are_none_are_passed_by_and_a_missing_history_is_none(tmp_path: Path) -> None:
    bundle = make(tmp_path, 0, [None, float("nan"), 0.5])
    course = course_of(bundle, Asha(1, 2))
    assert (course.reached, course.trained) == ({2: (3, 0.5)}, 3)
    (bundle.path / "history.json").write_text("[")
    with pytest.raises(BundleError, match=r"history\.json"):
        course_of(bundle, Asha(1, 2))
    (bundle.path / "history.json").unlink()
    assert course_of(bundle, Asha(1, 2)).trained == 0
