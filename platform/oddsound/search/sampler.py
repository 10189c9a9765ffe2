"""TPE whose draws depend on the seed and the trial's number alone, so that a resumed search goes on
as the uninterrupted one would have."""

from __future__ import annotations

import hashlib
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial


class NumberedTPE(BaseSampler):
    """Multivariate TPE (Bergstra et al. 2011; Falkner et al. 2018), a fresh generator for each trial.

    A generator that lives as long as the process would, after a resume, repeat its first draws.
    """

    def __init__(self, seed: int, machine: str) -> None:
        self._name = f"{seed}/{machine}"
        self._number = -1
        self._sampler: TPESampler

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._of(trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._of(trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._of(trial).sample_independent(study, trial, param_name, param_distribution)

    def _of(self, trial: FrozenTrial) -> TPESampler:
        if trial.number != self._number:
            digest = hashlib.sha256(f"{self._name}/{trial.number}".encode()).digest()
            self._sampler = TPESampler(seed=int.from_bytes(digest[:4], "big"), multivariate=True)
            self._number = trial.number
        return self._sampler
