"""Early stopping without a cluster: decisions with known answers, and the same ones after a resume."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler
from ray.tune.schedulers import FIFOScheduler as Fifo

from oddsound.config import TrialConfig
from oddsound.search.early_stopping import Asha, MachineSchedulers
from oddsound.training.bundle import Bundle, Stop, TrialResult, bundles
from oddsound.training.early_stops import Rung, ended_savings

GO, STOP = TrialScheduler.CONTINUE, TrialScheduler.STOP
EPOCHS = 9


def entrant(number: int, trials: Path = Path("nowhere"), machine: str = "fan", epochs: int = EPOCHS) -> Any:
    """A trial as Tune has it; Ray's id of it is another after each restart of the driver."""
    settings = {"machine": machine, "training": {"seed": number, "epochs": epochs}}
    config = TrialConfig.model_validate(settings)
    handed = {"trial": config.model_dump(), "number": number, "trials": str(trials)}
    return SimpleNamespace(trial_id=f"{id(handed):x}_{machine}{number}", config=handed)


def bundle_of(trial: Any) -> Bundle:
    config = TrialConfig.model_validate(trial.config["trial"])
    return Bundle(Path(trial.config["trials"]) / config.machine / config.identity)


def report(scheduler: MachineSchedulers, trial: Any, epoch: int, omega: float | None, **more: Any) -> str:
    result = {"epoch": epoch, "training_iteration": 1, **more} | ({} if omega is None else {"omega": omega})
    return scheduler.on_trial_result(None, trial, result)


def test_who_is_stopped_where() -> None:
    scheduler = MachineSchedulers(Asha(2, 2))
    a, b, c = (entrant(n) for n in range(3))
    for trial in (a, b, c):
        scheduler.on_trial_add(None, trial)
    assert [report(scheduler, a, epoch, 0.5) for epoch in (1, 2, 3, 4)] == [GO] * 4
    assert report(scheduler, b, 1, 0.0) == GO
    assert report(scheduler, b, 2, 0.4) == STOP
    assert report(scheduler, c, 2, 0.5) == GO
    assert report(scheduler, c, 5, 0.3) == STOP
    assert scheduler.stop_of(a.trial_id) is None
    assert scheduler.stop_of(b.trial_id) == Stop(number=1, epoch=2, rung=2, omega=0.4)
    assert scheduler.stop_of(c.trial_id) == Stop(number=2, epoch=5, rung=4, omega=0.3)
    known = scheduler.savings()["fan"]
    assert (known.n_trials, known.n_stopped, known.epochs_trained, known.epochs_saved) == (3, 2, 11, 11)
    assert known.rungs == {EPOCHS: [Rung(2, 3, 1, 0.5), Rung(4, 2, 1, 0.4), Rung(8, 0, 0, None)]}


def test_machine_types_and_lengths_share_no_rungs() -> None:
    scheduler = MachineSchedulers(Asha(2, 2))
    better = entrant(0)
    scheduler.on_trial_add(None, better)
    assert report(scheduler, better, 2, 0.9) == GO
    for other in (entrant(1, machine="pump"), entrant(2, epochs=10)):
        scheduler.on_trial_add(None, other)
        assert report(scheduler, other, 2, 0.1) == GO
    assert report(scheduler, entrant(3), 2, 0.1) == STOP
    assert scheduler.savings().keys() == {"fan", "pump"}


@pytest.mark.parametrize("omega", [None, float("nan"), float("inf"), "text"])
def test_what_can_not_be_compared_is_passed_by(omega: Any) -> None:
    scheduler = MachineSchedulers(Asha(2, 2))
    report(scheduler, entrant(0), 2, 0.9)
    trial = entrant(1)
    scheduler.on_trial_add(None, trial)
    assert report(scheduler, trial, 2, omega) == GO
    assert report(scheduler, trial, 2, 0.0, failed="reason") == GO
    assert scheduler.on_trial_result(None, trial, {"omega": 0.1}) == GO
    scheduler.on_trial_complete(None, trial, {"epoch": 2} | ({} if omega is None else {"omega": omega}))
    assert scheduler.stop_of(trial.trial_id) is None
    assert report(scheduler, trial, 3, 0.1) == STOP


def test_the_last_epoch_is_never_a_stop() -> None:
    scheduler = MachineSchedulers(Asha(3, 3))
    for epoch in range(1, EPOCHS + 1):
        assert report(scheduler, entrant(0), epoch, 0.9) == GO
    assert report(scheduler, entrant(1), EPOCHS, 0.1) == GO
    scheduler.on_trial_complete(None, entrant(1), {"epoch": EPOCHS, "omega": 0.1})
    assert scheduler.savings()["fan"].epochs_trained == 2 * EPOCHS


@pytest.mark.parametrize("asha", [None, Asha(EPOCHS, 2), Asha(100, 2)])
def test_without_rungs_it_is_first_come_first_served(asha: Asha | None) -> None:
    scheduler = MachineSchedulers(asha)
    assert isinstance(scheduler, Fifo)
    for number, omega in enumerate((0.9, 0.1)):
        trial = entrant(number)
        scheduler.on_trial_add(None, trial)
        assert {report(scheduler, trial, epoch, omega) for epoch in range(1, EPOCHS + 1)} == {GO}
        scheduler.on_trial_complete(None, trial, {"epoch": EPOCHS, "omega": omega})


def test_tune_may_pickle_it_and_end_trials_as_it_likes(tmp_path: Path) -> None:
    scheduler = MachineSchedulers(Asha())
    assert pickle.loads(pickle.dumps(scheduler)).__dict__ == {}
    scheduler.save(str(tmp_path / "state"))
    scheduler.restore(str(tmp_path / "state"))
    for event in (scheduler.on_trial_error, scheduler.on_trial_remove):
        event(None, entrant(0))
    assert scheduler.debug_string()


omegas = st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])


@given(
    st.integers(1, 6),
    st.sampled_from([1.1, 1.5, 2, 2.5, 3, 4]),
    st.integers(2, 30),
    st.lists(st.tuples(st.integers(0, 5), st.integers(1, 4), omegas), max_size=60),
)
def test_every_decision_is_rays(
    grace: int, reduction: float, epochs: int, steps: list[tuple[int, int, float]]
) -> None:
    """Trials side by side, some of which skip epochs: as one of Ray's schedulers alone has it."""
    ours = MachineSchedulers(Asha(grace, reduction))
    rays = AsyncHyperBandScheduler(
        "epoch", "omega", "max", max(epochs, grace), grace, reduction, stop_last_trials=False
    )
    trials = {n: entrant(n, epochs=epochs) for n in range(6)}
    for trial in trials.values():
        ours.on_trial_add(None, trial)
        rays.on_trial_add(None, trial)
    at = dict.fromkeys(trials, 0)
    for number, ahead, omega in steps:
        if number in at and at[number] + ahead < epochs:
            at[number] += ahead
            decision = report(ours, trials[number], at[number], omega)
            said = rays.on_trial_result(None, trials[number], {"epoch": at[number], "omega": omega})
            assert decision == said
            if decision == STOP:
                del at[number]


class Cut(Exception):
    """The driver's process ends here."""


class Driver:
    """A search that runs one trial at a time and may be cut after any of its steps."""

    def __init__(self, trials: Path, asha: Asha, curves: Sequence[Sequence[float]]) -> None:
        self.trials, self.asha, self.curves = trials, asha, curves
        self.left: int | None = None

    def run(self, cuts: Iterable[int] = ()) -> dict[int, tuple[int, float]]:
        """Begin it, and again after each of `cuts`, a number of steps; (rung, omega) of each stop."""
        for self.left in (*cuts, None):
            try:
                self._run()
            except Cut:
                continue
        stops = [bundle.stop() for bundle in bundles(self.trials, "fan") if bundle.is_stopped]
        return {stop.number: (stop.rung, stop.omega) for stop in stops}

    def _step(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Cut

    def _run(self) -> None:
        scheduler = MachineSchedulers(self.asha)
        for bundle, stop in scheduler.feed(bundles(self.trials, "fan")):
            self._step()
            write(bundle, "stopped", vars(stop))
        for number, curve in enumerate(self.curves):
            trial = entrant(number, self.trials)
            if not (bundle_of(trial).is_whole or bundle_of(trial).is_stopped):
                scheduler.on_trial_add(None, trial)
                self._train(scheduler, trial, curve)
        of_disk = ended_savings(self.asha, bundles(self.trials, "fan"))
        assert scheduler.savings().get("fan", of_disk) == of_disk

    def _train(self, scheduler: MachineSchedulers, trial: Any, curve: Sequence[float]) -> None:
        bundle = bundle_of(trial)
        bundle.path.mkdir(parents=True, exist_ok=True)
        write(bundle, "config", trial.config["trial"])
        history = bundle.history() if (bundle.path / "history.json").is_file() else []
        for epoch in range(len(history) + 1, EPOCHS + 1):
            history.append({"epoch": epoch, "omega": curve[epoch - 1]})
            write(bundle, "history", history)
            self._step()
            decision = report(scheduler, trial, epoch, curve[epoch - 1])
            self._step()
            if decision == STOP:
                stop = scheduler.stop_of(trial.trial_id)
                assert stop is not None and epoch < EPOCHS
                return write(bundle, "stopped", vars(stop))
        result = TrialResult(bundle.path.name, "fan", trial.config["number"], {}, 1, "", "", 0.0, "")
        return write(bundle, "result", asdict(result))


def write(bundle: Bundle, name: str, content: Any) -> None:
    """Without the fsync of the real one: hundreds are written here."""
    (bundle.path / f"{name}.json").write_text(json.dumps(content))


@settings(max_examples=60)
@given(
    st.sampled_from([Asha(1, 2), Asha(2, 2), Asha(2, 3), Asha(3, 1.5)]),
    st.lists(st.lists(omegas, min_size=EPOCHS, max_size=EPOCHS), min_size=2, max_size=7),
    st.lists(st.integers(0, 60), min_size=1, max_size=3),
)
def test_a_search_that_was_cut_stops_the_same_trials(
    asha: Asha, curves: list[list[float]], cuts: list[int]
) -> None:
    with TemporaryDirectory() as whole, TemporaryDirectory() as cut:
        assert Driver(Path(cut), asha, curves).run(cuts) == Driver(Path(whole), asha, curves).run()


def test_what_a_dead_worker_could_not_report_is_read_from_disk(tmp_path: Path) -> None:
    """It died after its second epoch was written, and goes on with its third."""
    scheduler = MachineSchedulers(Asha(2, 2))
    report(scheduler, entrant(0), 2, 0.5)
    good, bad = entrant(1, tmp_path), entrant(2, tmp_path)
    for trial, omega in ((good, 0.6), (bad, 0.4)):
        scheduler.on_trial_add(None, trial)
        assert report(scheduler, trial, 1, omega) == GO
        bundle_of(trial).path.mkdir(parents=True)
        write(bundle_of(trial), "config", trial.config["trial"])
        write(bundle_of(trial), "history", [{"epoch": epoch, "omega": omega} for epoch in (1, 2)])
        scheduler.on_trial_error(None, trial)
        scheduler.on_trial_add(None, trial)
    assert report(scheduler, good, 3, 0.1) == GO
    assert report(scheduler, bad, 3, 0.9) == STOP
    assert scheduler.stop_of(bad.trial_id) == Stop(number=2, epoch=3, rung=2, omega=0.4)


def test_a_trial_that_went_on_is_not_stopped_in_hindsight(tmp_path: Path) -> None:
    """It passed its rung before the others came, and was interrupted long after."""
    early = entrant(0, tmp_path)
    bundle_of(early).path.mkdir(parents=True)
    write(bundle_of(early), "config", early.config["trial"])
    write(bundle_of(early), "history", [{"epoch": epoch, "omega": 0.1} for epoch in (1, 2, 3)])
    scheduler = MachineSchedulers(Asha(2, 2))
    report(scheduler, entrant(1), 2, 0.9)
    scheduler.feed(bundles(tmp_path, "fan"))
    scheduler.on_trial_add(None, early)
    assert report(scheduler, early, 4, 0.1) == GO


def test_a_damaged_history_ends_no_search_that_runs(tmp_path: Path) -> None:
    trial = entrant(0, tmp_path)
    bundle_of(trial).path.mkdir(parents=True)
    write(bundle_of(trial), "config", trial.config["trial"])
    (bundle_of(trial).path / "history.json").write_text("[")
    scheduler = MachineSchedulers(Asha(2, 2))
    scheduler.on_trial_add(None, trial)
    assert report(scheduler, trial, 2, 0.4) == GO
