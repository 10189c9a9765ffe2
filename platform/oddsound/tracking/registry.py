"""The best trials of a machine type in MLflow's model registry.

A registered model `<dataset>.<machine>` has one version a trial that was ever among the best. Who is so
now is said by aliases, `top-1` … `top-k`, `champion` and, for the second, `challenger`; and all at once by
the model's tag `oddsound.top`, which one call replaces, so that whoever reads it never sees an order half
changed. A displaced version stays, without an alias.

`champion` goes to another version only where that has a higher omega: neither a later, worse search nor
one on other recordings takes it away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from oddsound.errors import TrackingError
from oddsound.tracking.describe import displaced, model_note, version_note
from oddsound.tracking.layout import (
    CODE,
    DATA_DIGEST,
    DATASET,
    KIND,
    MACHINE,
    MODEL,
    N_PARAMETERS,
    NUMBER,
    RECIPE,
    SEARCH,
    SEED,
    TRIAL,
    WEIGHTS,
    experiment_name,
    registered_name,
)
from oddsound.tracking.ranking import TrackedTrial, best_trials
from oddsound.tracking.store import Store

CHAMPION, CHALLENGER = "champion", "challenger"
TOP = "oddsound.top"
"""Tag of a registered model: the versions of today's best, best first, e.g. `6,2,3,1,4`."""
RANK, OMEGA = "oddsound.rank", "oddsound.omega"


@dataclass(frozen=True)
class RegisteredVersion:
    """One version of a registered model and its place among the best, from 1."""

    name: str
    version: int
    rank: int
    trial: TrackedTrial


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

    New versions come first, whole and described; then the order, then what the others say of themselves.
    """
    best = best_trials(store, dataset, machine, k, search, data_digest)
    if not best:
        raise TrackingError(
            f"no complete trial of {experiment_name(dataset, machine)} in MLflow; run `oddsound sync` first"
        )
    name = registered_name(dataset, machine)
    with store.asking(f"registering the best of {machine}"):
        _ensure_model(store, name, model_note(dataset, machine, best, name), dataset, machine)
        versions = _versions(store, name)
        # The best one last: MLflow's list of models shows the aliases of the newest version.
        ranked = [_place(store, name, versions, best, rank) for rank in range(len(best), 0, -1)][::-1]
        _promote(store, name, ranked, versions)
        for place in ranked:
            _say_place(store, name, versions, best, place.rank)
        _displace(store, versions, {v.version for v in ranked})
    return ranked


def _ensure_model(store: Store, name: str, about: str, dataset: str, machine: str) -> None:
    try:
        known = store.client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        tags = {KIND: "detector", DATASET: dataset, MACHINE: machine}
        store.client.create_registered_model(name, tags, about)
        return
    if known.description != about:
        store.client.update_registered_model(name, about)


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
    best: Sequence[TrackedTrial],
    rank: int,
) -> RegisteredVersion:
    """The trial's version, made where there is none."""
    trial = best[rank - 1]
    known = versions.get((trial.trial, trial.data_digest))
    if known is None:
        known = store.client.create_model_version(
            name,
            f"{trial.artifact_uri}/model",
            trial.run_id,
            version_tags(trial, rank),
            description=version_note(name, best, rank),
            await_creation_for=0,  # the model is there already, there is nothing to wait for
        )
    return RegisteredVersion(name, int(known.version), rank, trial)


def _say_place(
    store: Store,
    name: str,
    versions: dict[tuple[str, str], ModelVersion],
    best: Sequence[TrackedTrial],
    rank: int,
) -> None:
    """Bring tags and description of a version that was there before up to its place of today."""
    trial = best[rank - 1]
    known = versions.get((trial.trial, trial.data_digest))
    if known is None:
        return
    number, about = str(known.version), version_note(name, best, rank)
    for key, value in version_tags(trial, rank).items():
        if known.tags.get(key) != value:
            store.client.set_model_version_tag(name, number, key, value)
    if known.description != about:
        store.client.update_model_version(name, number, about)


def version_tags(trial: TrackedTrial, rank: int) -> dict[str, str]:
    """What a version says of itself to programs; its description says it to people."""
    return {
        DATASET: trial.dataset,
        MACHINE: trial.machine,
        TRIAL: trial.trial,
        NUMBER: str(trial.number),
        OMEGA: repr(trial.omega),
        RANK: str(rank),
        RECIPE: trial.recipe,
        SEED: trial.seed,
        SEARCH: trial.search,
        CODE: trial.code,
        N_PARAMETERS: str(trial.n_parameters),
        WEIGHTS: trial.weights_sha256,
        MODEL: trial.model_sha256,
        DATA_DIGEST: trial.data_digest,
    }


def _promote(
    store: Store,
    name: str,
    ranked: list[RegisteredVersion],
    versions: dict[tuple[str, str], ModelVersion],
) -> None:
    """The order of today: all at once in the tag, then alias by alias, the champion's last."""
    model = store.client.get_registered_model(name)
    top = ",".join(str(place.version) for place in ranked)
    if model.tags.get(TOP) != top:
        store.client.set_registered_model_tag(name, TOP, top)
    present = {alias: int(v) for alias, v in model.aliases.items()}
    wanted = {f"top-{place.rank}": place.version for place in ranked}
    wanted |= {CHALLENGER: ranked[1].version} if len(ranked) > 1 else {}
    wanted[CHAMPION] = _champion(present.get(CHAMPION), ranked[0], versions)
    for alias, version in wanted.items():
        if present.get(alias) != version:
            store.client.set_registered_model_alias(name, alias, str(version))
    for alias in present.keys() - wanted.keys():
        if alias.startswith("top-") or alias == CHALLENGER:
            store.client.delete_registered_model_alias(name, alias)


def _champion(
    holder: int | None, first: RegisteredVersion, versions: dict[tuple[str, str], ModelVersion]
) -> int:
    """The version that is champion: the holder, unless the first of today is better."""
    omegas = {int(version.version): float(version.tags.get(OMEGA, "nan")) for version in versions.values()}
    keeps = holder is not None and omegas.get(holder, float("nan")) >= first.trial.omega
    return holder if keeps and holder is not None else first.version


def _displace(store: Store, versions: dict[tuple[str, str], ModelVersion], ranked: set[int]) -> None:
    """Take the rank from versions that have lost their place; they stay, as history."""
    for version in versions.values():
        if int(version.version) not in ranked and RANK in version.tags:
            number = str(version.version)
            about = displaced(version.description or "", version.name, number)
            store.client.update_model_version(version.name, number, about)
            store.client.delete_model_version_tag(version.name, number, RANK)
