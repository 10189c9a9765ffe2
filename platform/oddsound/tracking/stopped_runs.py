"""Child runs of trials that a search stopped early.

They are of a kind of their own: whatever ranks, registers or fuses trials asks for the finished ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from oddsound.config import TrialConfig
from oddsound.errors import BundleError
from oddsound.tracking.entries import epoch_metrics, run_name, trial_params
from oddsound.tracking.layout import (
    COMPLETE,
    DATASET,
    KIND,
    MACHINE,
    NUMBER,
    SEARCH,
    STOP_EPOCH,
    STOP_OMEGA,
    STOP_RUNG,
    TRIAL,
    Search,
    experiment_name,
)
from oddsound.tracking.store import Store
from oddsound.training.bundle import Bundle, Stop


@dataclass(frozen=True)
class StoppedTrial:
    """A stopped bundle, read and checked. Times are in milliseconds since 1970."""

    bundle: Bundle
    config: TrialConfig
    stop: Stop
    history: list[dict[str, Any]]
    start: int
    end: int

    @property
    def trial(self) -> str:
        return self.bundle.path.name

    @property
    def run_name(self) -> str:
        return run_name(self.config.machine, self.stop.number, self.trial)


def read_stopped(bundle: Bundle) -> StoppedTrial:
    """The bundle as MLflow will have it. Raises BundleError where a file is missing or damaged."""
    stop, history = bundle.stop(), bundle.history()
    if not math.isfinite(stop.omega):
        raise BundleError(f"{bundle.path}/stopped.json: omega is {stop.omega}; remove the folder")
    end = (bundle.path / "stopped.json").stat().st_mtime
    start = end - sum(float(epoch.get("seconds", 0)) for epoch in history)
    return StoppedTrial(bundle, bundle.config(), stop, history, round(start * 1000), round(end * 1000))


def stopped_tags(search: Search, parent: str, trial: StoppedTrial) -> dict[str, str]:
    """The tags that the run is made with; `COMPLETE` is not among them."""
    return {
        MLFLOW_PARENT_RUN_ID: parent,
        KIND: "stopped",
        SEARCH: search.id,
        DATASET: search.dataset,
        MACHINE: trial.config.machine,
        TRIAL: trial.trial,
        NUMBER: str(trial.stop.number),
        STOP_EPOCH: str(trial.stop.epoch),
        STOP_RUNG: str(trial.stop.rung),
        STOP_OMEGA: repr(trial.stop.omega),
    }


def log_stopped(store: Store, search: Search, parent: str, trial: StoppedTrial) -> str:
    """Write one stopped trial as a child run of `parent`, without weights; returns the run's id.

    The tag that says "complete" goes last. Raises TrackingError, BundleError.
    """
    metrics = epoch_metrics(trial.bundle, trial.history, trial.end)
    experiment = store.experiment(experiment_name(search.dataset, trial.config.machine))
    with store.asking(f"recording stopped trial {trial.run_name}"):
        tags = stopped_tags(search, parent, trial)
        run = str(store.client.create_run(experiment, trial.start, tags, trial.run_name).info.run_id)
        store.client.log_batch(run, metrics, trial_params(trial.config), synchronous=True)
        for name in ("config.json", "history.json", "stopped.json"):
            store.client.log_artifact(run, str(trial.bundle.path / name))
        store.client.set_terminated(run, "FINISHED", trial.end)
        store.client.set_tag(run, COMPLETE, "true")
    return run
