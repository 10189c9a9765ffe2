"""The search itself: all machine types in one Tune experiment, until each has its finished trials."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import optuna
import ray
from ray import tune

from oddsound.config import TrialConfig
from oddsound.errors import ConfigError, SearchError
from oddsound.search.studies import MachinePlan, MachineStudies
from oddsound.search.worker import train_trial
from oddsound.training.bundle import Bundle

LOCAL = "local"
_OBJECT_STORE_BYTES = 256 << 20
# stdout is data: Tune's new output engine prints there even with verbose=0.
_QUIET = {"TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1", "RAY_AIR_NEW_OUTPUT": "0"}


class Listener(Protocol):
    """Is told what happens, in the driver's process. It must neither raise nor block."""

    def started(self, config: TrialConfig, number: int) -> None: ...
    def epoch(self, config: TrialConfig, number: int, metrics: dict[str, float]) -> None: ...
    def finished(self, config: TrialConfig, number: int, omega: float) -> None: ...
    def failed(self, config: TrialConfig, number: int, reason: str) -> None: ...


@dataclass(frozen=True)
class Resources:
    """What one trial takes, and how many run at once (0: as many as fit).

    `gpus_per_trial` None: a whole one where the cluster has any, none where it has none.
    """

    cpus_per_trial: float = 1.0
    gpus_per_trial: float | None = None
    max_concurrent: int = 0


@dataclass
class Outcome:
    """How a search ended: (machine, trial, reason) of each failure; whether trials are still missing."""

    failures: list[tuple[str, str, str]] = field(default_factory=list)
    interrupted: bool = False


def run_search(
    plans: Sequence[MachinePlan],
    run: Path,
    listener: Listener,
    resources: Resources | None = None,
    *,
    address: str = LOCAL,
    trainable: Callable[[dict[str, Any]], None] = train_trial,
) -> Outcome:
    """Run what is missing of `plans`; bundles go to `run`/trials. Nothing missing: no cluster is touched.

    `address`: a Ray cluster, or "local" for one on this machine that ends with the search. A failed
    trial doesn't end the search; SIGINT does, and the same call later goes on.
    """
    trials = run.absolute() / "trials"
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    studies = MachineStudies(plans, trials)
    missing = studies.n_waiting
    if not missing:
        return Outcome()
    told = _Told(listener, trials)
    with cluster(address):
        _tuner(studies, missing, run, told, resources or Resources(), trainable).fit()
    shutil.rmtree(run / "ray", ignore_errors=True)  # Tune's snapshots: nothing is ever read from them
    return Outcome(told.failures, interrupted=told.n_ended < missing)


def _tuner(
    studies: MachineStudies,
    missing: int,
    run: Path,
    told: tune.Callback,
    resources: Resources,
    trainable: Callable[[dict[str, Any]], None],
) -> tune.Tuner:
    cpus, gpus = share(resources)
    return tune.Tuner(
        tune.with_resources(trainable, {"cpu": cpus, "gpu": gpus}),
        tune_config=tune.TuneConfig(
            search_alg=studies,
            num_samples=missing,
            max_concurrent_trials=resources.max_concurrent or None,
            reuse_actors=True,
            trial_name_creator=_name,
            trial_dirname_creator=_name,
        ),
        run_config=tune.RunConfig(
            name=f"search-{time.time_ns()}",
            storage_path=str(run.absolute() / "ray"),
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


@contextmanager
def cluster(address: str) -> Iterator[None]:
    """Ray at `address`, without its chatter; what was started here is ended here."""
    os.environ.update(_QUIET)
    local = address == LOCAL
    options: dict[str, Any] = {"_node_ip_address": "127.0.0.1", "object_store_memory": _OBJECT_STORE_BYTES}
    if local:
        options |= {"num_cpus": os.cpu_count(), "include_dashboard": False}
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **(options if local else {}))
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise SearchError(f"Ray at {address}: {str(error).splitlines()[0]}") from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_sigterm)  # Ray has put its own in its place
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # failed trials are told by us, in a line
    try:
        yield
    finally:
        _shut_down()


def _shut_down() -> None:
    """End Ray with nothing of it left to be collected.

    Tune leaves actor handles in cycles. Were one collected by the tracking thread while Ray shuts down,
    it would ask a core worker that is gone, and that ends the process without a word (seen once).
    """
    gc.collect()
    gc.disable()
    try:
        ray.shutdown()
    finally:
        gc.enable()


class _Told(tune.Callback):  # type: ignore[misc]
    """Hands Tune's events to the listener."""

    def __init__(self, listener: Listener, trials: Path) -> None:
        self.listener = listener
        self.trials = trials
        self.failures: list[tuple[str, str, str]] = []
        self.n_ended = 0

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its callbacks for a restore that is never asked for here."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.listener.started(*_what(trial))

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        self.listener.epoch(*_what(trial), result)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        config, number = _what(trial)
        bundle = self._bundle(config)
        if bundle.is_whole:
            self.n_ended += 1
            self.listener.finished(config, number, bundle.result().omega)
        elif (trial.last_result or {}).get("epoch") == config.training.epochs:
            self._fail(config, number, f"no bundle in {bundle.path}: does every node see that storage?")
        # else it was ended early by an interrupt, and goes on when it is resumed

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        config, number = _what(trial)
        self._fail(config, number, self._bundle(config).failure() or _last_line(trial.error_file))

    def _fail(self, config: TrialConfig, number: int, reason: str) -> None:
        self.n_ended += 1
        self.failures.append((config.machine, config.identity, reason))
        self.listener.failed(config, number, reason)

    def _bundle(self, config: TrialConfig) -> Bundle:
        return Bundle(self.trials / config.machine / config.identity)


def _last_line(error_file: str | None) -> str:
    """What Tune knows of a trial that could not say itself why it ended."""
    if not error_file or not Path(error_file).is_file():
        return "the worker died without a word"
    lines = Path(error_file).read_text(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "the worker died without a word")


def _name(trial: Any) -> str:
    config, number = _what(trial)
    return f"{config.machine}-{number:03d}-{config.identity}"


def _what(trial: Any) -> tuple[TrialConfig, int]:
    return TrialConfig.model_validate(trial.config["trial"]), int(trial.config["number"])
