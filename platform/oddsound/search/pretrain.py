"""Pretraining as one trial of Ray Tune: on the machine's CPUs, or on a node of a cluster."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ray
import torch
from ray import tune

from oddsound.errors import DataError, Interrupted, OddsoundError, SearchError
from oddsound.features.corpus_cache import open_corpus_cache
from oddsound.search.address import LOCAL
from oddsound.search.cluster import cluster
from oddsound.search.interrupts import Interrupts, StopAtReport
from oddsound.search.resources import Resources, fitting, node_types
from oddsound.training.pretrain_bundle import PretrainBundle
from oddsound.training.pretrain_config import PretrainConfig
from oddsound.training.pretraining import bundle_of, pretrain, refuse_unlearnable

_YIELDING = ("OMP_WAIT_POLICY", "PASSIVE")
"""Threads that wait give up their CPU: on a busy machine an epoch takes a fifth of the time
(docs/results/pretrain.md)."""

_RETRIES = 3
"""How often a worker that died is started again; it goes on from its last epoch."""

Told = Callable[[dict[str, float]], None]
"""Is told of each epoch, in the driver's process. It must not raise."""


@dataclass(frozen=True)
class Pretraining:
    """`cache`: the corpus's features; `weights`: the file to start from; both where every node sees them."""

    config: PretrainConfig
    corpus_digest: str
    cache: Path
    weights: Path | None = None


def run_pretraining(
    job: Pretraining,
    run: Path,
    told: Told,
    *,
    cpus: float | None = None,
    gpus: float | None = None,
    address: str = LOCAL,
    insecure: bool = False,
) -> PretrainBundle:
    """The whole bundle below `run`/pretrain, trained where it isn't there yet; then no cluster is touched.

    `cpus` None: all of a node; `gpus` None: one where there is any. Raises SearchError where the trial
    failed and Interrupted after SIGINT: the same call later goes on from the last epoch.
    """
    folder = run.absolute() / "pretrain"
    refuse_unlearnable(job.config, open_corpus_cache(job.cache))
    begun = bundle_of(job.config, job.corpus_digest, folder)
    if begun.is_whole:
        return begun
    os.environ.setdefault(*_YIELDING)
    go_on = "The same command goes on from the last epoch."
    interrupts, stopper = Interrupts(go_on), StopAtReport()
    with (
        interrupts.handled(),
        TemporaryDirectory(prefix="oddsound-tune-") as scratch,
        cluster(address, go_on, insecure=insecure, interrupts=interrupts),
    ):
        tuner = _tuner(job, Path(scratch), folder, told, stopper, _resources(cpus, gpus))
        with interrupts.searching(stopper.ask):
            tuner.fit()
    bundle = bundle_of(job.config, job.corpus_digest, folder)
    if bundle.is_whole:
        return bundle
    if stopper.asked:
        raise Interrupted("pretraining was interrupted; the same command goes on from the last epoch")
    reason = bundle.failure() or "its worker died again and again"
    raise SearchError(f"pretraining failed: {reason}; what it has learnt is in {bundle.path}")


def _resources(cpus: float | None, gpus: float | None) -> dict[str, float]:
    """Raises ConfigError where no node has them."""
    nodes = node_types()
    if gpus is None:
        gpus = 1.0 if any(node.gpus for node in nodes) else 0.0
    if cpus is None:
        cpus = max((node.cpus for node in nodes if node.gpus >= gpus), default=1.0)
    return fitting(Resources(cpus, gpus), nodes)


def _tuner(
    job: Pretraining,
    scratch: Path,
    folder: Path,
    told: Told,
    stopper: StopAtReport,
    resources: dict[str, float],
) -> tune.Tuner:
    handed = {
        "pretrain": job.config.model_dump(),
        "corpus_digest": job.corpus_digest,
        "cache": str(job.cache.absolute()),
        "weights": str(job.weights.absolute()) if job.weights else None,
        "folder": str(folder),
    }
    return tune.Tuner(
        tune.with_resources(train_backbone, resources),
        param_space=handed,
        tune_config=tune.TuneConfig(trial_name_creator=_name, trial_dirname_creator=_name),
        run_config=tune.RunConfig(
            name=f"pretrain-{time.time_ns()}",
            storage_path=str(scratch),
            stop=stopper,
            failure_config=tune.FailureConfig(max_failures=_RETRIES),
            callbacks=[_Telling(told)],
            verbose=0,
        ),
    )


def train_backbone(handed: dict[str, Any]) -> None:
    """What runs in the Ray worker."""
    cpus = ray.get_runtime_context().get_assigned_resources().get("CPU", 1)
    torch.set_num_threads(max(1, int(cpus)))
    config = PretrainConfig.model_validate(handed["pretrain"])
    data = open_corpus_cache(Path(handed["cache"]))
    if data.digest != handed["corpus_digest"]:
        raise DataError(f"{config.corpus}: the features in {handed['cache']} are of another corpus")
    weights = Path(handed["weights"]) if handed["weights"] else None
    with contextlib.suppress(OddsoundError):  # it is in failure.json; raised, it would be tried again
        pretrain(config, data, tune.report, folder=Path(handed["folder"]), weights=weights)


class _Telling(tune.Callback):  # type: ignore[misc]
    """Hands each epoch on."""

    def __init__(self, told: Told) -> None:
        self.told = told

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its callbacks for a restore that is never asked for here."""
        return {}

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        self.told(result)


def _name(trial: Any) -> str:
    return f"pretrain-{PretrainConfig.model_validate(trial.config['pretrain']).identity}"
