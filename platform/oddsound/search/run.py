"""The search itself: all machine types in one Tune experiment, until each has its finished trials."""

from __future__ import annotations

import shlex
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from ray import tune

from oddsound import chatter
from oddsound.search.address import LOCAL
from oddsound.search.cluster import cluster
from oddsound.search.driver import Signs
from oddsound.search.early_stopping import MachineSchedulers
from oddsound.search.interrupts import Interrupts, StopAtReport
from oddsound.search.journal import write_journal
from oddsound.search.resources import Resources, fitting, measured, node_types
from oddsound.search.studies import MachinePlan, MachineStudies, feature_name, own_bundles
from oddsound.search.told import Listener, Outcome, Told, trial_name
from oddsound.search.watchdog import HANG_S
from oddsound.search.worker import train_trial
from oddsound.training.early_stops import Asha


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
    began: Callable[[], None] = lambda: None,
    trainable: Callable[[dict[str, Any]], None] = train_trial,
) -> Outcome:
    """Run what is missing of `plans`; bundles go to `run`/trials. Nothing missing: no cluster is touched.

    `began` is called once there is a cluster that has what a trial wants. What is damaged on disk has been
    set aside (`mend`). A failed trial doesn't end the search; SIGINT does, and the same call goes on.
    """
    conduct, run = conduct or Conduct(), run.absolute()
    optuna.logging.set_verbosity(optuna.logging.INFO if chatter.is_kept() else optuna.logging.WARNING)
    experiment = _experiment(plans, run, listener, conduct, signs)
    missing = experiment.studies.n_waiting
    if not missing:
        began()
        write_journal(plans, run / "trials", run / "studies.journal", listener.said)
        return Outcome()
    interrupts = interrupts or Interrupts("")
    go_on = f"Go on with: oddsound search --resume {shlex.quote(str(run))}"
    try:
        with (
            tempfile.TemporaryDirectory(prefix="oddsound-tune-") as scratch,
            cluster(conduct.address, go_on, insecure=conduct.insecure, interrupts=interrupts),
        ):
            request = _request(conduct.resources, plans[0])
            began()
            tuner = experiment.tuner(trainable, request, missing, Path(scratch), conduct)
            with interrupts.searching(experiment.stop):
                tuner.fit()
    finally:
        experiment.studies.close()
        write_journal(plans, run / "trials", run / "studies.journal", listener.said)
    return Outcome(experiment.told.failures, interrupted=experiment.told.n_ended < missing)


@dataclass(frozen=True)
class _Experiment:
    """What Tune is handed of a search."""

    studies: MachineStudies
    scheduler: MachineSchedulers
    told: Told
    stopper: StopAtReport = field(default_factory=StopAtReport)

    def stop(self) -> None:
        """Begin nothing more, and end what runs with its next report."""
        self.studies.stop()
        self.stopper.ask()

    def tuner(
        self,
        trainable: Callable[[dict[str, Any]], None],
        request: dict[str, float],
        n_trials: int,
        scratch: Path,
        conduct: Conduct,
    ) -> tune.Tuner:
        return tune.Tuner(
            tune.with_resources(trainable, request),
            tune_config=tune.TuneConfig(
                search_alg=self.studies,
                scheduler=self.scheduler,
                num_samples=n_trials,
                max_concurrent_trials=conduct.resources.max_concurrent or None,
                reuse_actors=True,
                trial_name_creator=trial_name,
                trial_dirname_creator=trial_name,
            ),
            run_config=tune.RunConfig(
                name=f"search-{time.time_ns()}",
                # Tune's own state: nothing is ever read from it, and a full disk below RUN must not end it.
                storage_path=str(scratch),
                stop=self.stopper,
                failure_config=tune.FailureConfig(max_failures=conduct.retries),
                callbacks=[self.told],
                verbose=0,
            ),
        )


def _experiment(
    plans: Sequence[MachinePlan], run: Path, listener: Listener, conduct: Conduct, signs: Signs | None
) -> _Experiment:
    """Of what is on disk; what ASHA gave up just before a death is ended now."""
    trials, scheduler = run / "trials", MachineSchedulers(conduct.asha)
    for plan in plans:
        for bundle, stop in scheduler.feed(own_bundles(plan, trials)):
            bundle.write_stop(stop)
    studies = MachineStudies(plans, trials, conduct.hang_s, conduct.stage)
    return _Experiment(studies, scheduler, Told(listener, signs, trials, conduct.hang_s, scheduler.stop_of))


def _request(resources: Resources, plan: MachinePlan) -> dict[str, float]:
    """What Ray is asked for; measured, where it is, by the first trial of one machine type."""
    config = plan.space.trial(plan.space.paper, plan.seed)
    weights = plan.weights.get(config.model.pretrained)
    known = measured(
        resources, config, Path(plan.caches[feature_name(config)]), Path(weights) if weights else None
    )
    return fitting(known, node_types())
