"""One Optuna study a machine type, all behind one Ray Tune Searcher.

One Tune experiment serves all machine types: several Tuners in one Ray job would silently train on
each other's data, for Ray keys what it hands to trials by job and trainable name.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState, create_trial
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from oddsound.config import TrialConfig
from oddsound.search.sampler import NumberedTPE
from oddsound.search.space import SearchSpace
from oddsound.training.bundle import Bundle, bundles, finished

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
    known: dict[str, TrialConfig] = field(default_factory=dict)
    waiting: int = 0

    def __post_init__(self) -> None:
        self.storage = InMemoryStorage()
        whole = [b for b in finished(self.trials, self.plan.machine) if self._params(b) is not None]
        self._numbers = _unused({bundle.result().number for bundle in whole})
        self.study = optuna.create_study(
            storage=self.storage, study_name=self.plan.machine, direction="maximize"
        )
        for bundle in whole:
            self._feed(bundle)
        self.waiting = max(0, self.plan.n_wanted - len(whole))
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

    def ask(self, trial_id: str) -> tuple[TrialConfig, int]:
        """The next configuration and its number; a second trial alike to a known one gets another seed."""
        params = (self.search.suggest(trial_id) or {}) if self.search is not None else {}
        seeds = itertools.count(self.plan.seed)
        config = next(
            c for c in (self.plan.space.trial(params, s) for s in seeds) if c.identity not in self.known
        )
        self.known[config.identity] = config
        self.waiting -= 1
        return config, next(self._numbers)

    def told(self, trial_id: str, result: dict[str, Any]) -> None:
        """An epoch's result; a search without dimensions, the same trial by many seeds, learns nothing."""
        if self.search is not None:
            self.search.on_trial_result(trial_id, result)

    def ended(self, trial_id: str, result: dict[str, Any] | None, failed: bool) -> None:
        if self.search is not None:
            self.search.on_trial_complete(trial_id, None if failed else result, failed)

    def _feed(self, bundle: Bundle) -> None:
        config, space = bundle.config(), self.plan.space
        self.known[config.identity] = config
        self.study.add_trial(
            create_trial(
                state=TrialState.COMPLETE,
                value=bundle.result().omega,
                params=space.params(config),
                distributions=dict(space.dimensions),
            )
        )

    def _first_points(self) -> list[dict[str, Any]]:
        """The paper's configuration unless it is finished, then what was interrupted or has failed; of a
        grid, all that isn't finished."""
        if self.plan.space.sampler == "grid":
            return [point for point in self.plan.space.grid() if not self._knows(point)][: self.waiting]
        paper = self.plan.space.trial(self.plan.space.paper, self.plan.seed)
        points = [] if paper.identity in self.known else [dict(self.plan.space.paper)]
        for bundle in bundles(self.trials, self.plan.machine):
            params = None if bundle.is_whole else self._params(bundle)
            if params is not None and params not in points:
                points.append(params)
        return points[: self.waiting]

    def _knows(self, point: dict[str, Any]) -> bool:
        return self.plan.space.trial(point, self.plan.seed).identity in self.known

    def _params(self, bundle: Bundle) -> dict[str, Any] | None:
        return self.plan.space.params(bundle.config())


class MachineStudies(Searcher):  # type: ignore[misc]
    """Asks the machine types in turn until each has its trials; results go back to the study asked.

    A trial that failed, or whose omega is no finite number, is told to its study as failed: it has no
    value and can't win. (Left to itself, a NaN would leave it running for ever and an inf would win.)
    """

    def __init__(self, plans: Sequence[MachinePlan], trials: Path) -> None:
        super().__init__(metric=OBJECTIVE, mode="max")
        self.studies = {plan.machine: MachineStudy(plan, trials) for plan in plans}
        self._trials = str(trials)
        self._asked: dict[str, MachineStudy] = {}

    @property
    def n_waiting(self) -> int:
        return sum(study.waiting for study in self.studies.values())

    def suggest(self, trial_id: str) -> Any:
        if not self.n_waiting:
            return Searcher.FINISHED
        study = max(self.studies.values(), key=lambda study: study.waiting)
        self._asked[trial_id] = study
        config, number = study.ask(trial_id)
        return {
            "trial": config.model_dump(),
            "number": number,
            "cache": study.plan.caches[feature_name(config)],
            "data_digest": study.plan.data_digest,
            "weights": study.plan.weights.get(config.model.pretrained),
            "trials": self._trials,
        }

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        if _is_finite(result):
            self._asked[trial_id].told(trial_id, result)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        failed = error or (result is not None and not _is_finite(result))
        self._asked[trial_id].ended(trial_id, result, failed)

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
