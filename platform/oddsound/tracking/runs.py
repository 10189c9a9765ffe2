"""Writing runs: the parent run of a search and one child run a finished trial; `stopped_runs` has the others.

Only one process writes the runs of a search at a time; the search, or `oddsound sync` after it.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from mlflow.entities import Run, RunTag

from oddsound.errors import BundleError
from oddsound.tracking.entries import (
    Trial,
    dataset_input,
    times,
    trial_metrics,
    trial_params,
    trial_tags,
)
from oddsound.tracking.layout import (
    COMPLETE,
    DATASET,
    KIND,
    MACHINE,
    MODEL,
    N_FAILED,
    N_FINISHED,
    N_STOPPED,
    OBJECTIVE,
    SAVINGS,
    SEARCH,
    TRIAL,
    Search,
    experiment_name,
)
from oddsound.tracking.notes import note_experiment, note_search
from oddsound.tracking.packaged import package_trial
from oddsound.tracking.store import Sent, Store
from oddsound.training.bundle import Bundle

Status = Literal["FINISHED", "FAILED", "KILLED"]


def open_search(store: Store, search: Search, machine: str) -> str:
    """The id of the search's parent run for `machine`: made, or reopened where it was closed."""
    experiment = store.experiment(experiment_name(search.dataset, machine))
    key = (experiment, search.id)
    if key not in store.parents:
        with store.asking(f"opening the search {search.id} of {machine}"):
            found = sorted(_runs(store, experiment, search, "search"), key=_age)
            store.parents[key] = _reopened(store, found[0]) if found else _begin(store, key, search, machine)
    return store.parents[key]


def find_parent(store: Store, search: Search, machine: str) -> Run | None:
    """The search's parent run for `machine` as MLflow has it, or None; nothing is made or changed."""
    experiment = store.find_experiment(experiment_name(search.dataset, machine))
    if experiment is None:
        return None
    with store.asking(f"looking for the search {search.id} of {machine}"):
        return min(_runs(store, experiment, search, "search"), key=_age, default=None)


def describe_search(store: Store, search: Search, machine: str, found: Iterable[Bundle]) -> None:
    """Say on the parent run how many trials finished, were stopped early, and failed for good, and which
    are the best; on the experiment, which are the best of all its searches.

    A failed trial has no run of its own in this version: its bundle says why, the count that it was.
    """
    trials, parent = list(found), open_search(store, search, machine)
    open_ended = [b for b in trials if not (b.is_whole or b.is_stopped)]
    counts = {
        N_FINISHED: sum(b.is_whole for b in trials),
        N_STOPPED: sum(b.is_stopped for b in trials),
        N_FAILED: sum((b.path / "failure.json").is_file() for b in open_ended),
    }
    with store.asking("counting the trials of a search"):
        tags = [RunTag(k, str(v)) for k, v in counts.items()]
        store.client.log_batch(parent, tags=tags, synchronous=True)
    note_search(store, search, machine, parent, counts[N_FINISHED])
    note_experiment(store, search, machine)


def close_search(store: Store, search: Search, machine: str, found: Iterable[Bundle], status: Status) -> None:
    """Close the parent run of `machine` with `status` and the counts of `found`, all its bundles."""
    describe_search(store, search, machine, found)
    parent = open_search(store, search, machine)
    with store.asking(f"closing the search {search.id} of {machine}"):
        store.client.set_terminated(parent, status)
    store.parents.pop((store.experiment(experiment_name(search.dataset, machine)), search.id))


def complete_trials(store: Store, search: Search, machine: str) -> Sent:
    """What MLflow has whole of the search; half-written runs and doubles are deleted.

    A double comes of a call that MLflow's client sent twice because the first answer was lost, or is
    the run of a trial that was stopped early and has finished since.
    """
    experiment = store.experiment(experiment_name(search.dataset, machine))
    key = (experiment, search.id)
    if key not in store.complete:
        with store.asking(f"looking up the trials of {search.id} of {machine}"):
            store.complete[key] = _look_up(store, experiment, search)
    return store.complete[key]


def _look_up(store: Store, experiment: str, search: Search) -> Sent:
    sent = Sent()
    of_kind = {"trial": sent.finished, "stopped": sent.stopped}
    for kind, known in of_kind.items():
        for run in sorted(_runs(store, experiment, search, kind), key=_age):
            tags = run.data.tags
            if COMPLETE in tags and not any(tags[TRIAL] in each for each in of_kind.values()):
                known[tags[TRIAL]] = run.info.run_id
            else:
                store.client.delete_run(run.info.run_id)
    for run in sorted(_runs(store, experiment, search, "search"), key=_age)[:1]:
        sent.savings = run.data.tags.get(SAVINGS, "")
    return sent


def read_trial(bundle: Bundle, search: Search) -> Trial:
    """The bundle as MLflow will have it. Raises BundleError where a part is missing or another's."""
    result = bundle.result()
    trial = Trial(bundle, bundle.config(), result, bundle.history())
    if result.trial != bundle.path.name or result.machine != trial.config.machine:
        raise BundleError(
            f"{bundle.path}: result.json is of {result.machine}/{result.trial}; remove the folder"
        )
    if search.objective not in result.metrics:
        raise BundleError(f"{bundle.path}: result.json has no metric {search.objective!r}; remove the folder")
    missing = [p.name for p in (bundle.weights, bundle.scores_path) if not p.is_file()]
    if missing:
        raise BundleError(f"{bundle.path}: {', '.join(missing)} missing; remove the folder")
    check_weights(bundle.weights, result.weights_sha256)
    return trial


def check_weights(path: Path, expected: str) -> None:
    """Raise BundleError unless the file at `path` has the SHA-256 `expected`."""
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != expected:
        raise BundleError(f"{path}: SHA-256 is {found[:12]}…, expected {expected[:12]}…; damaged or replaced")


def log_trial(store: Store, search: Search, parent: str, trial: Trial, counts: Mapping[str, int]) -> str:
    """Write one finished trial as a child run of `parent`; returns the run's id.

    The tag that says "complete" goes last. Raises TrackingError, BundleError.
    """
    result, metrics, (start, end) = trial.result, trial_metrics(trial), times(trial)
    experiment = store.experiment(experiment_name(search.dataset, result.machine))
    with store.asking(f"recording trial {trial.run_name}"):
        tags = trial_tags(search, parent, result)
        run = str(store.client.create_run(experiment, start, tags, trial.run_name).info.run_id)
        store.client.log_inputs(run, [dataset_input(search, result, counts)])
        # MLflow's client cuts this into calls of the 1000 that a server takes at most.
        store.client.log_batch(run, metrics, trial_params(trial.config), synchronous=True)
        _log_artifacts(store, run, trial.bundle)
        store.client.set_terminated(run, "FINISHED", end)
        store.client.set_tag(run, COMPLETE, "true")
    return run


def delete_run(store: Store, run: str) -> None:
    with store.asking(f"deleting the run {run}"):
        store.client.delete_run(run)


def _log_artifacts(store: Store, run: str, bundle: Bundle) -> None:
    """The bundle's files, and below `model/` what anyone can load; its seal's SHA-256 is a tag of the run."""
    with TemporaryDirectory(prefix="oddsound-") as folder:
        for name in ("config.json", "history.json", "result.json", "scores.npz"):
            shutil.copyfile(bundle.path / name, Path(folder) / name)
        sha256 = package_trial(bundle, Path(folder) / "model")
        store.client.log_artifacts(run, folder)
    store.client.set_tag(run, MODEL, sha256)


def _runs(store: Store, experiment: str, search: Search, kind: str) -> Iterator[Run]:
    chosen = f"tags.`{SEARCH}` = '{search.id}' AND tags.`{KIND}` = '{kind}'"
    token = None
    while True:
        page = store.client.search_runs([experiment], chosen, max_results=1000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _age(run: Run) -> tuple[int, str]:
    return run.info.start_time, run.info.run_id


def _reopened(store: Store, run: Run) -> str:
    if run.info.status != "RUNNING":
        store.client.update_run(run.info.run_id, status="RUNNING")
    return str(run.info.run_id)


def _begin(store: Store, key: tuple[str, str], search: Search, machine: str) -> str:
    tags = {KIND: "search", SEARCH: search.id, DATASET: search.dataset, MACHINE: machine}
    tags |= {OBJECTIVE: search.objective, N_FINISHED: "0", N_STOPPED: "0", N_FAILED: "0"}
    return str(store.client.create_run(key[0], tags=tags, run_name=search.id).info.run_id)
