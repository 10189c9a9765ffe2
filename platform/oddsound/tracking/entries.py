"""One trial as MLflow takes it: the tags, parameters, metrics and dataset of its run, see `layout`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT, MLFLOW_PARENT_RUN_ID

from oddsound.config import TrialConfig, flattened
from oddsound.errors import BundleError
from oddsound.tracking.layout import (
    ANOMALIES,
    CODE,
    DATA_DIGEST,
    DATASET,
    KIND,
    MACHINE,
    MADE_UP,
    N_PARAMETERS,
    NUMBER,
    SEARCH,
    TRIAL,
    WEIGHTS,
    Search,
    experiment_name,
)
from oddsound.training.bundle import Bundle, TrialResult

_DIGEST_LENGTH = 36


@dataclass(frozen=True)
class Trial:
    """A whole bundle, read and checked."""

    bundle: Bundle
    config: TrialConfig
    result: TrialResult
    history: list[dict[str, Any]]

    @property
    def run_name(self) -> str:
        return run_name(self.result.machine, self.result.number, self.result.trial)


def run_name(machine: str, number: int, trial: str) -> str:
    return f"{machine}-{number:03d}-{trial[:8]}"


def trial_tags(search: Search, parent: str, result: TrialResult) -> dict[str, str]:
    """The tags that a child run is made with; `COMPLETE` is not among them."""
    return {
        MLFLOW_PARENT_RUN_ID: parent,
        KIND: "trial",
        SEARCH: search.id,
        DATASET: search.dataset,
        MACHINE: result.machine,
        TRIAL: result.trial,
        NUMBER: str(result.number),
        DATA_DIGEST: result.data_digest,
        WEIGHTS: result.weights_sha256,
        N_PARAMETERS: str(result.n_parameters),
        CODE: code_of(result),
        **({ANOMALIES: MADE_UP} if result.machine in search.made_up else {}),
    }


def code_of(result: TrialResult) -> str:
    """oddsound's version and the digest of its sources that made the trial, e.g. `0.1.0+1a2b3c4d5e6f`."""
    parts = [result.versions.get("oddsound", "unknown"), result.versions.get("sources", "")]
    return "+".join(part for part in parts if part)


def trial_params(config: TrialConfig) -> list[Param]:
    """Every setting of the trial under its dotted name."""
    return [Param(key, str(value)) for key, value in flattened(config.model_dump()).items()]


def trial_metrics(trial: Trial) -> list[Metric]:
    """The numbers of each epoch, step = epoch, and the final metrics at the last epoch's step.

    The final ones take the place of an epoch's number of the same name and step, so MLflow's "latest
    omega" is the one that the search orders by.
    """
    _, end = times(trial)
    return epoch_metrics(trial.bundle, trial.history, end, trial.result.metrics)


def epoch_metrics(
    bundle: Bundle, history: list[dict[str, Any]], end: int, final: Mapping[str, float] | None = None
) -> list[Metric]:
    """The numbers of each epoch, step = epoch, as they were known at `end`, and `final` at the last step.

    Raises BundleError for NaN and inf: MLflow would store 1.8e308 for the latter, and sort it first.
    """
    values = {
        (key, int(epoch["epoch"])): float(value)
        for epoch in history
        for key, value in epoch.items()
        if key != "epoch" and isinstance(value, int | float) and not isinstance(value, bool)
    }
    last = max((int(epoch["epoch"]) for epoch in history), default=0)
    values |= {(key, last): float(value) for key, value in (final or {}).items()}
    for (key, step), value in values.items():
        if not math.isfinite(value):
            raise BundleError(f"{bundle.path}: {key} of epoch {step} is {value}; run the trial again")
    return [Metric(key, value, end, step) for (key, step), value in values.items()]


def times(trial: Trial) -> tuple[int, int]:
    """Start and end of the trial in milliseconds since 1970, from its result."""
    try:
        finished = datetime.fromisoformat(trial.result.finished)
    except ValueError as error:
        raise BundleError(f"{trial.bundle.path}/result.json: finished: {error}") from error
    end = (finished if finished.tzinfo else finished.replace(tzinfo=UTC)).timestamp()
    return round((end - trial.result.seconds) * 1000), round(end * 1000)


def dataset_input(search: Search, result: TrialResult, counts: Mapping[str, int]) -> DatasetInput:
    """The data of the trial as MLflow's dataset: its digest, cut to MLflow's 36 characters (the tag
    has it whole), and how many recordings of which kind it had."""
    dataset = Dataset(
        name=experiment_name(search.dataset, result.machine),
        digest=result.data_digest[:_DIGEST_LENGTH],
        source_type="oddsound",
        source=json.dumps({"dataset": search.dataset, "machine": result.machine}),
        profile=json.dumps(dict(counts), sort_keys=True),
    )
    return DatasetInput(dataset, [InputTag(MLFLOW_DATASET_CONTEXT, "training")])
