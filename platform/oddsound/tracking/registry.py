"""The best trials of a machine type in MLflow's model registry.

A registered model `<dataset>.<machine>` has one version a run that was ever among the best. Who is so
now is said by aliases, `top-1` … `top-k`, `champion` and, for the second, `challenger`; and all at once by
the model's tag `oddsound.top`, which one call replaces, so that whoever reads it never sees an order half
changed. A displaced version stays, without a place.

A version is of its run for ever: of a trial that several searches recorded the earliest run is ranked, and
where that run was deleted, another one becomes a version of its own.

`champion` goes to another version only where that has a higher omega, and never where somebody moved it by
hand: the tag `oddsound.champion` has where it was put last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException

from oddsound.errors import TrackingError
from oddsound.tracking.describe import displaced, model_note, version_note
from oddsound.tracking.layout import (
    ANOMALIES,
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
PROMOTED = "oddsound.champion"
"""Tag of a registered model: the version that was made champion here; another champion is somebody's own."""
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
        _ensure_model(store, name, dataset, machine)
        versions = _versions(store, name)
        # The best one last: MLflow's list of models shows the aliases of the newest version.
        ranked = [_place(store, name, versions, best, rank) for rank in range(len(best), 0, -1)][::-1]
        champion = _promote(store, name, ranked, versions)
        for place in ranked:
            _say_place(store, name, versions, best, place.rank)
        _displace(store, versions, {v.version for v in ranked}, champion)
        _describe_model(store, name, best, champion)
    return ranked


def _ensure_model(store: Store, name: str, dataset: str, machine: str) -> None:
    try:
        store.client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        store.client.create_registered_model(name, {KIND: "detector", DATASET: dataset, MACHINE: machine})


def _describe_model(store: Store, name: str, best: Sequence[TrackedTrial], champion: int) -> None:
    version = store.client.get_model_version(name, str(champion))
    about = model_note(name, best, str(champion), version.tags)
    if store.client.get_registered_model(name).description != about:
        store.client.update_registered_model(name, about)


def _versions(store: Store, name: str) -> dict[str, ModelVersion]:
    """Every version of the model that we made, by its run."""
    found: dict[str, ModelVersion] = {}
    token = None
    while True:
        page = store.client.search_model_versions(f"name='{name}'", max_results=1000, page_token=token)
        found |= {str(version.run_id): version for version in page if TRIAL in version.tags}
        token = page.token
        if not token:
            return found


def _place(
    store: Store, name: str, versions: dict[str, ModelVersion], best: Sequence[TrackedTrial], rank: int
) -> RegisteredVersion:
    """The trial's version, made where its run has none."""
    trial = best[rank - 1]
    known = versions.get(trial.run_id)
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
    store: Store, name: str, versions: dict[str, ModelVersion], best: Sequence[TrackedTrial], rank: int
) -> None:
    """Bring tags and description of a version that was there before up to its place of today."""
    trial = best[rank - 1]
    known = versions.get(trial.run_id)
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
        **({ANOMALIES: trial.anomalies} if trial.anomalies else {}),
    }


def _promote(
    store: Store, name: str, ranked: list[RegisteredVersion], versions: dict[str, ModelVersion]
) -> int:
    """The order of today: all at once in the tag, then alias by alias; the champion's version."""
    model = store.client.get_registered_model(name)
    top = ",".join(str(place.version) for place in ranked)
    if model.tags.get(TOP) != top:
        store.client.set_registered_model_tag(name, TOP, top)
    present = {alias: int(v) for alias, v in model.aliases.items()}
    wanted = {f"top-{place.rank}": place.version for place in ranked}
    wanted |= {CHALLENGER: ranked[1].version} if len(ranked) > 1 else {}
    crowned = _champion(store, model, ranked[0], versions)
    if present.get(CHAMPION) != crowned:
        crown(store, name, present.get(CHAMPION), crowned)
    for alias, version in wanted.items():
        if present.get(alias) != version:
            store.client.set_registered_model_alias(name, alias, str(version))
    for alias in present.keys() - wanted.keys():
        if alias.startswith("top-") or alias == CHALLENGER:
            store.client.delete_registered_model_alias(name, alias)
    return crowned


def crown(store: Store, name: str, holder: int | None, version: int) -> None:
    """Make `version` champion. The tag names both while the alias moves: a death in between is nobody's
    own choice."""
    between = str(version) if holder is None else f"{holder},{version}"
    store.client.set_registered_model_tag(name, PROMOTED, between)
    store.client.set_registered_model_alias(name, CHAMPION, str(version))
    store.client.set_registered_model_tag(name, PROMOTED, str(version))


def is_own_choice(model: RegisteredModel) -> bool:
    """Whether somebody else than `crown` made the champion."""
    holder = model.aliases.get(CHAMPION)
    return holder is not None and str(holder) not in model.tags.get(PROMOTED, str(holder)).split(",")


def _champion(
    store: Store, model: RegisteredModel, first: RegisteredVersion, versions: dict[str, ModelVersion]
) -> int:
    """The version that is champion: the holder, unless the first of today is better or its run is gone."""
    holder = model.aliases.get(CHAMPION)
    if holder is None or int(holder) == first.version:
        return first.version
    if is_own_choice(model):
        return int(holder)
    version = next((each for each in versions.values() if int(each.version) == int(holder)), None)
    is_better = version is not None and float(version.tags.get(OMEGA, "nan")) >= first.trial.omega
    return int(holder) if version is not None and is_better and _is_there(store, version) else first.version


def _is_there(store: Store, version: ModelVersion) -> bool:
    """Whether the run that has the version's files was not deleted."""
    try:
        return bool(store.client.get_run(str(version.run_id)).info.lifecycle_stage == "active")
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return False


def _displace(store: Store, versions: dict[str, ModelVersion], ranked: set[int], champion: int) -> None:
    """Take the place from versions that have lost it; they stay, as history."""
    for version in versions.values():
        if int(version.version) in ranked:
            continue
        number = str(version.version)
        is_champion = int(version.version) == champion
        about = displaced(version.description or "", version.name, number, version.tags, is_champion)
        if version.description != about:
            store.client.update_model_version(version.name, number, about)
        if RANK in version.tags:
            store.client.delete_model_version_tag(version.name, number, RANK)
