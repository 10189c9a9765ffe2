"""One Optuna study a machine type, all behind one Ray Tune Searcher.

One Tune experiment serves all machine types: several Tuners in one Ray job would silently train on
each other's data, for Ray keys what it hands to trials by job and trainable name.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from oddsound.config import TrialConfig
from oddsound.search.sampler import NumberedTPE
from oddsound.search.space import SearchSpace
from oddsound.search.watchdog import HANG_S
from oddsound.training.bundle import Bundle, bundles

OBJECTIVE = "omega"


@dataclass(frozen=True)
class MachinePlan:
    """What is to be searched for one machine type: `n_trials` finished trials of `space`."""

    space: SearchSpace
    data_digest: str
    caches: dict[str, str]
    """The feature cache of each front end that the space can ask for, by `feature_name`."""
    n_trials: int
    seed: int = 0
    weights: dict[str, str] = field(default_factory=dict)
    """The file of each pretrained weights, by what `model.pretrained` calls them."""
    first: tuple[dict[str, Any], ...] = ()
    """Values of the searched settings that are tried right after the paper's: an earlier search's best."""

    @property
    def machine(self) -> str:
        return self.space.machine

    @property
    def n_wanted(self) -> int:
        """`n_trials`, but no more than a grid has."""
        return min(self.n_trials, len(self.space.grid())) if self.space.sampler == "grid" else self.n_trials


@dataclass
class MachineStudy:
    """A machine type's study, fed with what is already on disk, and what is still to be asked of it."""

    plan: MachinePlan
    trials: Path
    known: set[str] = field(default_factory=set)
    """The identities of what is on disk with a value and of what was asked."""
    waiting: int = 0

    def __post_init__(self) -> None:
        self.storage = InMemoryStorage()
        over = ended_trials(self.plan, self.trials)
        self._numbers = _unused({end.number for end in over})
        self.study = optuna.create_study(
            storage=self.storage, study_name=self.plan.machine, direction="maximize"
        )
        for end in over:
            self.known.add(end.config.identity)
            self.study.add_trial(end.as_optuna(self.plan.space))
        self.waiting = max(0, self.plan.n_wanted - len(over))
        self.running = 0
        self.search = self._optuna() if self.plan.space.dimensions else None

    def _optuna(self) -> OptunaSearch:
        return OptunaSearch(
            space=self.plan.space.dimensions,
            metric=OBJECTIVE,
            mode="max",
            points_to_evaluate=self._first_points(),
            sampler=NumberedTPE(self.plan.seed, self.plan.machine),
            study_name=self.plan.machine,
            storage=self.storage,
        )

    def close(self) -> None:
        """Whatever is asked and not told has ended without a value."""
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self.study.tell(trial.number, state=TrialState.FAIL)

    def ask(self, trial_id: str) -> tuple[TrialConfig, int]:
        """The next configuration and its number; a second trial alike to a known one gets another seed."""
        params = (self.search.suggest(trial_id) or {}) if self.search is not None else {}
        seeds = itertools.count(self.plan.seed)
        config = next(
            c for c in (self.plan.space.trial(params, s) for s in seeds) if c.identity not in self.known
        )
        self.known.add(config.identity)
        self.waiting -= 1
        self.running += 1
        return config, next(self._numbers)

    def told(self, trial_id: str, result: dict[str, Any]) -> None:
        """An epoch's result; a search without dimensions, the same trial by many seeds, learns nothing."""
        if self.search is not None:
            self.search.on_trial_result(trial_id, result)

    def ended(self, trial_id: str, result: dict[str, Any] | None, failed: bool) -> None:
        self.running -= 1
        if self.search is not None:
            self.search.on_trial_complete(trial_id, None if failed else result, failed)

    def _first_points(self) -> list[dict[str, Any]]:
        """The paper's configuration unless it is finished, an earlier search's best, then what was
        interrupted or has failed; of a grid, all that isn't finished.

        So a resumed search goes on as an uninterrupted one would have: what was interrupted is among the
        first points, or comes after all of them.
        """
        if self.plan.space.sampler == "grid":
            return [point for point in self.plan.space.grid() if not self._knows(point)][: self.waiting]
        given = [dict(self.plan.space.paper), *self.plan.first]
        given = [p for i, p in enumerate(given) if p not in given[:i] and not self._knows(p)]
        return [*given, *self._begun({self._first_of(point).identity for point in given})][: self.waiting]

    def _begun(self, given: Container[str]) -> list[dict[str, Any]]:
        """What was interrupted or has failed, but for the trials `given`; what was begun first is first."""
        found = []
        for bundle in bundles(self.trials, self.plan.machine):
            params = self.plan.space.params(bundle.config())
            if not (params is None or bundle.is_whole or bundle.is_stopped or bundle.path.name in given):
                found.append(((bundle.path / "config.json").stat().st_mtime_ns, bundle.path.name, params))
        return [params for *_, params in sorted(found, key=lambda entry: entry[:2])]

    def _first_of(self, point: dict[str, Any]) -> TrialConfig:
        return self.plan.space.trial(point, self.plan.seed)

    def _knows(self, point: dict[str, Any]) -> bool:
        return self._first_of(point).identity in self.known


@dataclass(frozen=True)
class EndedTrial:
    """A trial of a plan that has a value: finished, or stopped early with the omega that it had then."""

    number: int
    config: TrialConfig
    omega: float
    stopped: bool
    bundle: Bundle

    def as_optuna(self, space: SearchSpace) -> FrozenTrial:
        return create_trial(
            state=TrialState.COMPLETE,
            value=self.omega,
            params=space.params(self.config) or {},
            distributions=dict(space.dimensions),
            user_attrs={"trial": self.config.identity, "number": self.number, "stopped": self.stopped},
        )


def own_bundles(plan: MachinePlan, trials: Path) -> list[Bundle]:
    """The bundles below `trials` whose configurations are the plan's; a changed plan leaves others there."""
    return [b for b in bundles(trials, plan.machine) if plan.space.params(b.config()) is not None]


def ended_trials(plan: MachinePlan, trials: Path) -> list[EndedTrial]:
    """The plan's own trials below `trials` that have a value, in the order of their numbers."""
    found = []
    for bundle in own_bundles(plan, trials):
        if bundle.is_whole:
            result = bundle.result()
            found.append(EndedTrial(result.number, bundle.config(), result.omega, False, bundle))
        elif bundle.is_stopped:
            stop = bundle.stop()
            found.append(EndedTrial(stop.number, bundle.config(), stop.omega, True, bundle))
    return sorted(found, key=lambda end: (end.number, end.config.identity))


class MachineStudies(Searcher):  # type: ignore[misc]
    """Asks the machine types until each has its trials: always the one of which the fewest are running,
    so that they share a cluster alike, whatever their trials take. Results go back to the study asked.

    A trial that failed, or whose omega is no finite number, is told to its study as failed: it has no
    value and can't win. (Left to itself, a NaN would leave it running for ever and an inf would win.)
    """

    def __init__(
        self, plans: Sequence[MachinePlan], trials: Path, hang_s: float = HANG_S, stage: Path | None = None
    ) -> None:
        super().__init__(metric=OBJECTIVE, mode="max")
        self.studies = {plan.machine: MachineStudy(plan, trials) for plan in plans}
        self._alike = {"trials": str(trials), "hang_s": hang_s, "stage": str(stage) if stage else None}
        self._asked: dict[str, MachineStudy] = {}
        self.stopping = False

    @property
    def n_waiting(self) -> int:
        return sum(study.waiting for study in self.studies.values())

    def suggest(self, trial_id: str) -> Any:
        if self.stopping or not self.n_waiting:
            return Searcher.FINISHED
        open_studies = [study for study in self.studies.values() if study.waiting]
        study = min(open_studies, key=lambda study: (study.running, -study.waiting))
        self._asked[trial_id] = study
        config, number = study.ask(trial_id)
        return {
            # Tune keeps it, some times over, until the search ends.
            "trial": config.model_dump(exclude_defaults=True),
            "number": number,
            "cache": study.plan.caches[feature_name(config)],
            "data_digest": study.plan.data_digest,
            "weights": study.plan.weights.get(config.model.pretrained),
            **self._alike,
        }

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        if _is_finite(result):
            self._asked[trial_id].told(trial_id, result)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        failed = error or (result is not None and not _is_finite(result))
        self._asked.pop(trial_id).ended(trial_id, result, failed)

    def stop(self) -> None:
        """Ask for nothing more, and let what runs end with its next report."""
        self.stopping = True

    def close(self) -> None:
        """The search is over, or was interrupted: no study has a trial that still runs."""
        for study in self.studies.values():
            study.close()

    def __getstate__(self) -> dict[str, Any]:
        """Nothing, for Tune pickles what it is given so as to restore it; see `save`."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the bundles on disk are what a search goes on from."""
        Path(checkpoint_path).touch()

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: see `save`."""


def feature_name(config: TrialConfig) -> str:
    """The name of a front end among a machine type's caches."""
    return config.features.model_dump_json()


def _is_finite(result: dict[str, Any]) -> bool:
    return math.isfinite(result.get(OBJECTIVE, math.nan))


def _unused(taken: set[int]) -> Any:
    return (number for number in itertools.count() if number not in taken)
