"""The search itself: all machine types in one Tune experiment, until each has its finished trials."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
import ray
from ray import tune

from oddsound.errors import ConfigError
from oddsound.search.cluster import LOCAL, cluster
from oddsound.search.driver import Signs
from oddsound.search.early_stopping import MachineSchedulers
from oddsound.search.interrupts import Interrupts, StopAtReport
from oddsound.search.journal import write_journal
from oddsound.search.studies import MachinePlan, MachineStudies, own_bundles
from oddsound.search.told import Listener, Outcome, Told, trial_name
from oddsound.search.watchdog import HANG_S
from oddsound.search.worker import train_trial
from oddsound.training.early_stops import Asha
from oddsound.training.mend import mend


@dataclass(frozen=True)
class Resources:
    """What one trial takes, and how many run at once (0: as many as fit).

    `gpus_per_trial` None: a whole one where the cluster has any, none where it has none.
    """

    cpus_per_trial: float = 1.0
    gpus_per_trial: float | None = None
    memory_per_trial: int | str | None = None
    max_concurrent: int = 0


@dataclass(frozen=True)
class Conduct:
    """How a search behaves, whatever it searches."""

    resources: Resources = field(default_factory=Resources)
    address: str = LOCAL
    """A Ray cluster, or "local" for one on this machine that ends with the search."""
    retries: int = 3
    """How often a trial whose worker died is started again without having come an epoch further."""
    hang_s: float = HANG_S
    stage: Path | None = None
    """A folder on each node's own disk that feature caches are copied to."""
    asha: Asha | None = None
    """Stops trials early; None lets each have all its epochs."""
    insecure: bool = False
    """Whether a cluster without authentication will do."""


def run_search(
    plans: Sequence[MachinePlan],
    run: Path,
    listener: Listener,
    conduct: Conduct | None = None,
    *,
    signs: Signs | None = None,
    interrupts: Interrupts | None = None,
    trainable: Callable[[dict[str, Any]], None] = train_trial,
) -> Outcome:
    """Run what is missing of `plans`; bundles go to `run`/trials. Nothing missing: no cluster is touched.

    What is damaged there is set aside first. A failed trial doesn't end the search; SIGINT does, and the
    same call later goes on.
    """
    conduct, trials = conduct or Conduct(), run.absolute() / "trials"
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    for plan in plans:
        for line in mend(trials, plan.machine, plan.data_digest, run.absolute() / "set_aside"):
            listener.said(line)
    scheduler = _scheduler(plans, trials, conduct.asha)
    studies = MachineStudies(plans, trials, conduct.hang_s, conduct.stage)
    missing = studies.n_waiting
    if not missing:
        return Outcome()
    told = Told(listener, signs, trials, conduct.hang_s, scheduler.stop_of)
    go_on = f"Go on with: oddsound search --resume {run}"
    interrupts, stopper = interrupts or Interrupts(go_on), StopAtReport()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="oddsound-tune-") as scratch,
            cluster(conduct.address, go_on, insecure=conduct.insecure),
        ):
            tuner = _tuner(studies, scheduler, missing, Path(scratch), told, stopper, conduct, trainable)
            with interrupts.searching(studies.stop, stopper.ask):
                tuner.fit()
    finally:
        studies.close()
        write_journal(plans, trials, run / "studies.journal", listener.said)
    return Outcome(told.failures, interrupted=told.n_ended < missing)


def _scheduler(plans: Sequence[MachinePlan], trials: Path, asha: Asha | None) -> MachineSchedulers:
    """It knows what the trials on disk came to; those that it gave up just before a death are ended now."""
    scheduler = MachineSchedulers(asha)
    for plan in plans:
        for bundle, stop in scheduler.feed(own_bundles(plan, trials)):
            bundle.write_stop(stop)
    return scheduler


def _tuner(
    studies: MachineStudies,
    scheduler: MachineSchedulers,
    missing: int,
    scratch: Path,
    told: tune.Callback,
    stopper: StopAtReport,
    conduct: Conduct,
    trainable: Callable[[dict[str, Any]], None],
) -> tune.Tuner:
    cpus, gpus = share(conduct.resources)
    return tune.Tuner(
        tune.with_resources(trainable, {"cpu": cpus, "gpu": gpus}),
        tune_config=tune.TuneConfig(
            search_alg=studies,
            scheduler=scheduler,
            num_samples=missing,
            max_concurrent_trials=conduct.resources.max_concurrent or None,
            reuse_actors=True,
            trial_name_creator=trial_name,
            trial_dirname_creator=trial_name,
        ),
        run_config=tune.RunConfig(
            name=f"search-{time.time_ns()}",
            # Tune's own state: nothing is ever read from it, and a full disk below RUN must not end it.
            storage_path=str(scratch),
            stop=stopper,
            failure_config=tune.FailureConfig(max_failures=conduct.retries),
            callbacks=[told],
            verbose=0,
        ),
    )


def share(resources: Resources) -> tuple[float, float]:
    """CPUs and GPUs of a trial. Raises ConfigError where no node has them: it would wait for ever."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    has = [(float(node.get("CPU", 0)), float(node.get("GPU", 0))) for node in nodes]
    cpus, gpus = resources.cpus_per_trial, resources.gpus_per_trial
    if gpus is None:
        gpus = 1.0 if any(present for _, present in has) else 0.0
    if not any(cpus <= node_cpus and gpus <= node_gpus for node_cpus, node_gpus in has):
        nodes_have = "; ".join(f"{c:g} CPUs and {g:g} GPUs" for c, g in has)
        raise ConfigError(f"a trial wants {cpus:g} CPUs and {gpus:g} GPUs, no node has both: {nodes_have}")
    return cpus, gpus
