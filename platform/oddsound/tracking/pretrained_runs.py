"""The MLflow run of one pretraining, written exactly once."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

from oddsound.config import flattened
from oddsound.errors import BundleError
from oddsound.tracking.layout import COMPLETE, DATASET, KIND, N_PARAMETERS, WEIGHTS, experiment_name
from oddsound.tracking.store import Store
from oddsound.training.pretrain_bundle import PretrainBundle, PretrainResult

PRETRAIN, CORPUS_DIGEST = "oddsound.pretrain", "oddsound.corpus_digest"
_DIGEST_LENGTH = 36


def experiment_of(corpus: str) -> str:
    return experiment_name(corpus, "pretrain")


def ensure_run(store: Store, bundle: PretrainBundle) -> str:
    """The id of the bundle's run, written where there is none; half-written ones and doubles are deleted."""
    result = bundle.outcome()
    experiment = store.experiment(experiment_of(result.corpus))
    chosen = f"tags.`{PRETRAIN}` = '{result.identity}' AND tags.`{CORPUS_DIGEST}` = '{result.corpus_digest}'"
    whole: list[str] = []
    with store.asking(f"looking for the run of {result.identity}"):
        runs = store.client.search_runs([experiment], chosen, max_results=1000)
        for run in sorted(runs, key=lambda run: (run.info.start_time, run.info.run_id)):
            if COMPLETE in run.data.tags and not whole:
                whole.append(run.info.run_id)
            else:
                store.client.delete_run(run.info.run_id)
    return whole[0] if whole else _write(store, experiment, bundle, result)


def _write(store: Store, experiment: str, bundle: PretrainBundle, result: PretrainResult) -> str:
    config = bundle.settings()
    metrics, (start, end) = _metrics(bundle, result), _times(result)
    tags = {
        KIND: "pretrain",
        PRETRAIN: result.identity,
        DATASET: result.corpus,
        CORPUS_DIGEST: result.corpus_digest,
        WEIGHTS: result.weights_sha256,
        N_PARAMETERS: str(result.n_parameters),
    }
    params = [Param(key, str(value)) for key, value in flattened(config.model_dump()).items()]
    with store.asking(f"recording the pretraining {result.identity}"):
        name = f"{config.model.backbone}-{result.identity[:8]}"
        run = str(store.client.create_run(experiment, start, tags, name).info.run_id)
        store.client.log_inputs(run, [_dataset(result)])
        store.client.log_batch(
            run, [Metric(k, v, end, step) for k, v, step in metrics], params, synchronous=True
        )
        _log_artifacts(store, run, bundle)
        store.client.set_terminated(run, "FINISHED", end)
        store.client.set_tag(run, COMPLETE, "true")
    return run


def _log_artifacts(store: Store, run: str, bundle: PretrainBundle) -> None:
    for name in ("config.json", "history.json", "result.json", "labels.json"):
        store.client.log_artifact(run, str(bundle.path / name))
    for path in (bundle.weights, bundle.path / "config.json"):
        store.client.log_artifact(run, str(path), "model")


def _metrics(bundle: PretrainBundle, result: PretrainResult) -> list[tuple[str, float, int]]:
    """Name, value and step = epoch of every number of the history; the last epoch's are the result's."""
    values = [
        (key, float(value), int(epoch["epoch"]))
        for epoch in bundle.history()
        for key, value in epoch.items()
        if key != "epoch"
    ]
    for key, value, step in values:
        if not math.isfinite(value):
            raise BundleError(f"{bundle.path}: {key} of epoch {step} is {value}; remove the folder")
    return values


def _times(result: PretrainResult) -> tuple[int, int]:
    """Start and end in milliseconds since 1970."""
    finished = datetime.fromisoformat(result.finished)
    end = (finished if finished.tzinfo else finished.replace(tzinfo=UTC)).timestamp()
    return round((end - result.seconds) * 1000), round(end * 1000)


def _dataset(result: PretrainResult) -> DatasetInput:
    """The corpus as MLflow's dataset; the tag has its digest whole."""
    counts = {"clips": result.n_clips, "held_out": result.n_held_out, "classes": result.n_classes}
    dataset = Dataset(
        name=result.corpus,
        digest=result.corpus_digest[:_DIGEST_LENGTH],
        source_type="oddsound",
        source=json.dumps({"corpus": result.corpus}),
        profile=json.dumps(counts, sort_keys=True),
    )
    return DatasetInput(dataset, [InputTag(MLFLOW_DATASET_CONTEXT, "training")])
