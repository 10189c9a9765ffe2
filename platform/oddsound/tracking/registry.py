"""The best trials of a machine type, and their place in MLflow's model registry.

A registered model `<dataset>.<machine>` has one version a trial that was ever among the best. Aliases
say who is so now: `champion` and `top-1` … `top-k`. A displaced version stays, without an alias.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from oddsound.errors import TrackingError
from oddsound.tracking.describe import described, displaced
from oddsound.tracking.layout import (
    COMPLETE,
    DATA_DIGEST,
    KIND,
    N_PARAMETERS,
    NUMBER,
    SEARCH,
    TRIAL,
    WEIGHTS,
    experiment_name,
    registered_name,
)
from oddsound.tracking.store import Store

CHAMPION = "champion"
_RANK, _OMEGA = "oddsound.rank", "oddsound.omega"


@dataclass(frozen=True)
class TrackedTrial:
    """A complete run, as MLflow knows it; `tracking.reading` fetches the rest."""

    run_id: str
    trial: str
    omega: float
    dataset: str
    machine: str
    number: int
    search: str
    n_parameters: int
    data_digest: str
    weights_sha256: str
    artifact_uri: str
    metrics: dict[str, float] = field(repr=False)
    params: dict[str, str] = field(repr=False)


@dataclass(frozen=True)
class RegisteredVersion:
    """One version of a registered model and its place among the best, from 1."""

    name: str
    version: int
    rank: int
    trial: TrackedTrial


def best_trials(
    store: Store,
    dataset: str,
    machine: str,
    k: int = 5,
    search: str | None = None,
    data_digest: str | None = None,
    among: Callable[[TrackedTrial], bool] = lambda trial: True,
) -> list[TrackedTrial]:
    """The `k` complete trials of the highest omega, best first; equal ones in the order of their hash.

    Of all searches of the dataset, or of `search` alone; on all states of the data, or on that of
    `data_digest` alone; and only those that `among` admits. A trial that several searches recorded
    counts once. Fewer than `k` where there are no more. Raises TrackingError.
    """
    experiment = store.find_experiment(experiment_name(dataset, machine))
    best: dict[tuple[str, str], TrackedTrial] = {}
    if experiment is None:
        return []
    for run in _ranked(store, experiment, _chosen(search, data_digest), k):
        trial = _tracked(run, dataset, machine)
        if among(trial):
            best.setdefault((trial.trial, trial.data_digest), trial)
        if len(best) == k:
            break
    return list(best.values())


def register_best(
    store: Store,
    dataset: str,
    machine: str,
    k: int = 5,
    search: str | None = None,
    data_digest: str | None = None,
) -> list[RegisteredVersion]:
    """Register the `k` best trials that aren't registered yet, and move ranks and aliases to the order
    of today; the versions in that order. Running it again changes nothing. Raises TrackingError.
    """
    best = best_trials(store, dataset, machine, k, search, data_digest)
    if not best:
        raise TrackingError(
            f"no complete trial of {experiment_name(dataset, machine)} in MLflow; run `oddsound sync` first"
        )
    name = registered_name(dataset, machine)
    with store.asking(f"registering the best of {machine}"):
        _ensure_model(store, name, dataset, machine)
        versions = _versions(store, name)
        ranked = [_place(store, name, versions, trial, rank + 1) for rank, trial in enumerate(best)]
        _move_aliases(store, name, ranked)
        _displace(store, versions, {v.version for v in ranked})
    return ranked


def _chosen(search: str | None, data_digest: str | None) -> str:
    wanted = {KIND: "trial", COMPLETE: "true"}
    wanted |= {SEARCH: search} if search is not None else {}
    wanted |= {DATA_DIGEST: data_digest} if data_digest is not None else {}
    return " AND ".join(f"tags.`{key}` = '{value}'" for key, value in wanted.items())


def _ranked(store: Store, experiment: str, chosen: str, k: int) -> Iterator[Run]:
    order = ["metrics.omega DESC", f"tags.`{TRIAL}` ASC"]
    token = None
    while True:
        with store.asking("looking for the best trials"):
            page = store.client.search_runs(
                [experiment], chosen, max_results=2 * k, order_by=order, page_token=token
            )
        yield from page
        token = page.token
        if not token:
            return


def _tracked(run: Run, dataset: str, machine: str) -> TrackedTrial:
    tags = run.data.tags
    return TrackedTrial(
        run_id=run.info.run_id,
        trial=tags[TRIAL],
        omega=run.data.metrics["omega"],
        dataset=dataset,
        machine=machine,
        number=int(tags[NUMBER]),
        search=tags[SEARCH],
        n_parameters=int(tags[N_PARAMETERS]),
        data_digest=tags[DATA_DIGEST],
        weights_sha256=tags[WEIGHTS],
        artifact_uri=run.info.artifact_uri,
        metrics=dict(run.data.metrics),
        params=dict(run.data.params),
    )


def _ensure_model(store: Store, name: str, dataset: str, machine: str) -> None:
    try:
        store.client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        about = f"Detectors of anomalous sounds of `{machine}`, found on the data set `{dataset}`."
        store.client.create_registered_model(name, description=about)


def _versions(store: Store, name: str) -> dict[tuple[str, str], ModelVersion]:
    """Every version of the model that we made, by trial and data digest."""
    found, token = {}, None
    while True:
        page = store.client.search_model_versions(f"name='{name}'", max_results=1000, page_token=token)
        for version in page:
            if TRIAL in version.tags:
                found[version.tags[TRIAL], version.tags[DATA_DIGEST]] = version
        token = page.token
        if not token:
            return found


def _place(
    store: Store,
    name: str,
    versions: dict[tuple[str, str], ModelVersion],
    trial: TrackedTrial,
    rank: int,
) -> RegisteredVersion:
    """The trial's version, made where there is none, with its rank and its description."""
    known = versions.get((trial.trial, trial.data_digest))
    about = described(
        trial.machine, rank, trial.omega, trial.metrics, trial.params, trial.search, trial.trial
    )
    if known is None:
        known = _create(store, name, trial, rank, about)
    elif known.tags.get(_RANK) != str(rank) or known.description != about:
        store.client.set_model_version_tag(name, str(known.version), _RANK, str(rank))
        store.client.update_model_version(name, str(known.version), about)
    return RegisteredVersion(name, int(known.version), rank, trial)


def _create(store: Store, name: str, trial: TrackedTrial, rank: int, about: str) -> ModelVersion:
    tags = {
        TRIAL: trial.trial,
        _OMEGA: repr(trial.omega),
        _RANK: str(rank),
        WEIGHTS: trial.weights_sha256,
        DATA_DIGEST: trial.data_digest,
        SEARCH: trial.search,
    }
    source = f"{trial.artifact_uri}/model"
    # 0: the model is there already, there is nothing to wait for.
    return store.client.create_model_version(
        name, source, trial.run_id, tags, description=about, await_creation_for=0
    )


def _move_aliases(store: Store, name: str, ranked: list[RegisteredVersion]) -> None:
    wanted = {f"top-{place.rank}": place.version for place in ranked} | {CHAMPION: ranked[0].version}
    present = {alias: int(v) for alias, v in store.client.get_registered_model(name).aliases.items()}
    for alias, version in wanted.items():
        if present.get(alias) != version:
            store.client.set_registered_model_alias(name, alias, str(version))
    for alias in present.keys() - wanted.keys():
        if alias.startswith("top-"):
            store.client.delete_registered_model_alias(name, alias)


def _displace(store: Store, versions: dict[tuple[str, str], ModelVersion], ranked: set[int]) -> None:
    """Take the rank from versions that have lost their place; they stay, as history."""
    for version in versions.values():
        if int(version.version) not in ranked and _RANK in version.tags:
            number = str(version.version)
            store.client.update_model_version(version.name, number, displaced(version.description or ""))
            store.client.delete_model_version_tag(version.name, number, _RANK)
