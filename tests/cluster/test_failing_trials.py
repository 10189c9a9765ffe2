"""Real trials that fail in every way, in one search on a real Ray: each is named with its reason, the
others go on, and without the faults the same search completes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import optuna
import pytest
import torch
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState
from tests.cluster import trial_faults as faults
from tests.cluster.test_search import Heard

from oddsound.features.cache import build_cache
from oddsound.recordings.index import index_folder
from oddsound.search.resources import Resources
from oddsound.search.run import Conduct, run_search
from oddsound.search.space import load_space
from oddsound.search.studies import MachinePlan, feature_name
from oddsound.search.told import Outcome
from oddsound.training.bundle import Bundle, bundles, finished

SPACE = """
base:
  model: {width: 0.1, depth: 0.3, ae_hidden: 16}
  augment: {time_mask_frames: 3}
  training: {epochs: 2, batch_size: 8}
space: {loss.rho: {low: 0.02, high: 0.25, log: true}}
paper: {loss.rho: 0.07}
"""
REASONS = {
    faults.HUNG: r"hung: no step for .* its stack is in .*trial\.log",
    faults.KILLED: r".*(SIGKILL|connection error).*the bearing is hot \| the belt is gone",
    faults.NAN: r"TrialError: fan: loss \(total\) became nan in epoch 1",
    faults.MEMORY: r"OutOfMemoryError: CUDA out of memory\. Tried to allocate 20\.00 GiB\.",
    faults.CACHE: r"CacheError: .*damaged/fan-.*: not a feature cache",
    faults.DISK: r"OSError: .*File too large: .*checkpoint\.pt",
    faults.OTHER_CACHE: r"DataError: fan: the feature cache .*valve-.* is of other recordings",
    faults.OTHER_MACHINE: r"DataError: a trial of fan was handed the data of valve",
}
DIED = (faults.HUNG, faults.KILLED)
AT_ONCE = 2

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray", "ignore::FutureWarning:ray"),
]


@dataclass(frozen=True)
class Searched:
    run: Path
    plan: MachinePlan
    heard: Heard
    outcome: Outcome
    trials: dict[int, Bundle]
    """By number, as they were asked for."""

    @property
    def reasons(self) -> dict[str, str]:
        return {trial: reason for _, trial, reason in self.outcome.failures}


class Noted(Heard):
    """A listener that remembers which trial had which number."""

    def __init__(self) -> None:
        super().__init__()
        self.identities: dict[int, str] = {}

    def started(self, config: object, number: int) -> None:
        super().started(config, number)
        self.identities[number] = config.identity


@pytest.fixture(scope="module")
def ray_of_the_module() -> Iterator[None]:
    with TemporaryDirectory(prefix="or", dir="/tmp") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", folder)
        yield


@pytest.fixture(scope="module")
def plan(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> MachinePlan:
    folder = tmp_path_factory.mktemp("plan")
    (folder / "default.yaml").write_text(SPACE)
    index, space = index_folder(small_data), load_space("fan", folder=folder)
    digest = index.digest("fan")
    (front_end,) = space.front_ends()
    cache = build_cache(index.of("fan"), digest, front_end.features, folder / "features")
    build_cache(index.of("valve"), index.digest("valve"), front_end.features, folder / "features")
    return MachinePlan(space, digest, {feature_name(front_end): str(cache)}, faults.N_TRIALS)


@pytest.fixture(scope="module")
def searched(
    plan: MachinePlan, ray_of_the_module: None, tmp_path_factory: pytest.TempPathFactory
) -> Searched:
    run, heard = tmp_path_factory.mktemp("run"), Noted()
    conduct = Conduct(Resources(max_concurrent=AT_ONCE), retries=1, hang_s=200)
    outcome = run_search([plan], run, heard, conduct, trainable=faults.faulty)
    found = {n: Bundle(run / "trials" / "fan" / identity) for n, identity in heard.identities.items()}
    return Searched(run, plan, heard, outcome, found)


def values(run: Path) -> list[FrozenTrial]:
    storage = JournalStorage(JournalFileBackend(str(run / "studies.journal")))
    return optuna.load_study(study_name="fan", storage=storage).get_trials()


@pytest.mark.parametrize(("number", "reason"), REASONS.items())
def test_each_failed_trial_is_named_with_its_reason(searched: Searched, number: int, reason: str) -> None:
    failed = searched.trials[number]
    assert re.match(reason, searched.reasons[failed.path.name])
    assert failed.failure() == searched.reasons[failed.path.name]
    assert failed.config().identity == failed.path.name, "it can be tried again"


def test_the_others_have_finished(searched: Searched) -> None:
    assert not searched.outcome.interrupted
    assert len(searched.outcome.failures) == len(REASONS)
    whole = finished(searched.run / "trials", "fan")
    assert [b.result().number for b in whole] == list(range(len(REASONS), faults.N_TRIALS))
    assert len(list(bundles(searched.run / "trials", "fan"))) == faults.N_TRIALS


def test_no_study_has_a_trial_that_still_runs(searched: Searched) -> None:
    known = values(searched.run)
    assert [trial.state for trial in known] == [TrialState.COMPLETE] * 2
    whole = finished(searched.run / "trials", "fan")
    assert [trial.user_attrs["trial"] for trial in known] == [bundle.path.name for bundle in whole]


def test_nothing_half_written_stays_and_nothing_is_cut(searched: Searched) -> None:
    assert not list(searched.run.rglob("*.partial"))
    full = searched.trials[faults.DISK]
    state = torch.load(full.checkpoint, weights_only=True)
    assert [entry["epoch"] for entry in state["history"]] == [1]
    assert full.history()[0] == state["history"][0], "it is whole, too"


def test_what_takes_its_worker_along_is_tried_again_as_often_as_asked(searched: Searched) -> None:
    restarted = [number for kind, _, number in searched.heard.events if kind == "restarted"]
    assert sorted(restarted) == sorted(DIED)
    for number in range(faults.N_TRIALS):
        n_attempts = searched.trials[number].log.read_text().count(" attempt on ")
        assert n_attempts == (2 if number in DIED else 1)


def test_a_hung_trial_leaves_its_stack(searched: Searched) -> None:
    log = searched.trials[faults.HUNG].log.read_text()
    assert log.count("Timeout (") == 2
    assert "in waits_for_ever" in log
    assert "in _step" in log


def test_workers_are_used_again(searched: Searched) -> None:
    logs = [bundle.log.read_text() for bundle in searched.trials.values()]
    processes = {pid for log in logs for pid in re.findall(r"attempt on .*, process (\d+)", log)}
    n_deaths = 2 * len(DIED)
    assert len(processes) <= AT_ONCE + n_deaths
    assert str(os.getpid()) not in processes


def test_without_the_faults_the_same_search_completes(searched: Searched) -> None:
    """It is the last of the file: the run folder is another one afterwards."""
    again = Noted()
    outcome = run_search([searched.plan], searched.run, again, Conduct(Resources(max_concurrent=AT_ONCE)))
    assert (outcome.failures, outcome.interrupted) == ([], False)
    assert sorted(again.identities) == sorted(REASONS)
    whole = finished(searched.run / "trials", "fan")
    assert [b.result().number for b in whole] == list(range(faults.N_TRIALS))
    assert {n: b.path.name for n, b in enumerate(whole)} == {
        n: b.path.name for n, b in searched.trials.items()
    }
    assert [(t.state, t.user_attrs["number"]) for t in values(searched.run)] == [
        (TrialState.COMPLETE, number) for number in range(faults.N_TRIALS)
    ]
    assert not any(bundle.failure() for bundle in whole)
    assert "goes on after epoch 1 of 2" in searched.trials[faults.DISK].log.read_text()
