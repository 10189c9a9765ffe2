"""Systems S1-S4 and the packages made of them, in MLflow.

    experiment   <dataset>/submissions
    run          S2-<model[:8]>         one a system: the same models, fused alike, are the same run
    run          <archive's name>       one a package: the zip, and which systems it holds
    model        <dataset>.S2           a version a system's run; `newest`, and `champion` for the best

A version names its members. `champion` goes to another version only where that knows more machine types,
or as many and has a higher mean omega, and never where somebody moved it by hand.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from oddsound.tracking.describe import package_note, system_model_note, system_note
from oddsound.tracking.layout import COMPLETE, DATASET, KIND, MODEL, NOTE, experiment_name, registered_name
from oddsound.tracking.metrics import OMEGA as MEAN_OMEGA
from oddsound.tracking.metrics import PACKAGE_OMEGA, RAW_OMEGA, SUBMITTED_OMEGA
from oddsound.tracking.registry import CHAMPION, OMEGA, crown, is_own_choice
from oddsound.tracking.store import Store

NEWEST = "newest"
MACHINES, SYSTEM, ARCHIVE = "oddsound.machines", "oddsound.system", "oddsound.archive_sha256"
_MEMBERS = "oddsound.members."


@dataclass(frozen=True)
class SystemMember:
    """One trial within a system."""

    trial: str
    omega: float
    weights_sha256: str


@dataclass(frozen=True)
class SystemPart:
    """One machine type within a system; omegas are None where no test clip is labelled.

    `omega` is of what is submitted, `omega_raw` of the fusion before S1 stands in for it, `pinned` why it
    does, "" where it doesn't.
    """

    fusion: str
    pinned: str
    omega: float | None
    omega_raw: float | None
    members: tuple[SystemMember, ...]
    data_digest: str
    """Of the recordings that the omegas are of."""


@dataclass(frozen=True)
class TrackedSystem:
    """One of S1-S4: its parts by machine type, the folder that it is packaged in and the SHA-256 of that
    folder's manifest."""

    number: int
    name: str
    parts: Mapping[str, SystemPart]
    folder: Path
    model_sha256: str

    @property
    def omega(self) -> float | None:
        """The mean over machine types of what is submitted; None where one has none."""
        omegas = [part.omega for part in self.parts.values()]
        return fmean([o for o in omegas if o is not None]) if None not in omegas else None


@dataclass(frozen=True)
class SystemVersion:
    """One version of the registered model of a system."""

    name: str
    version: int
    run_id: str
    system: TrackedSystem


def register_systems(
    store: Store, dataset: str, systems: Iterable[TrackedSystem], archive: Path
) -> list[SystemVersion]:
    """Record the systems and their package, each once, and make each system a version of its model.

    A system's folder is read before the next one is asked for. Running it again changes nothing. Raises
    TrackingError.
    """
    experiment = store.experiment(experiment_name(dataset, "submissions"))
    with store.asking("recording the systems"):
        versions = [_register(store, experiment, dataset, system) for system in systems]
        _record_package(store, experiment, dataset, versions, archive)
    return versions


def _register(store: Store, experiment: str, dataset: str, system: TrackedSystem) -> SystemVersion:
    name = registered_name(dataset, f"S{system.number}")
    run = _once(store, experiment, {KIND: "system", SYSTEM: f"S{system.number}", MODEL: system.model_sha256})
    if run is None:
        run = _log(store, experiment, dataset, system)
    known = _versions(store, name, dataset)
    version = known.get(system.model_sha256) or _create(store, name, run, dataset, system)
    known[system.model_sha256] = version
    _move_aliases(store, name, version, list(known.values()))
    return SystemVersion(name, int(version.version), run.info.run_id, system)


def _once(store: Store, experiment: str, tags: Mapping[str, str]) -> Run | None:
    """The complete run of these tags, or None; half-written ones are deleted."""
    chosen = " AND ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
    whole = None
    for run in store.client.search_runs([experiment], chosen, order_by=["attributes.start_time ASC"]):
        if COMPLETE in run.data.tags and whole is None:
            whole = run
        else:
            store.client.delete_run(run.info.run_id)
    return whole


def _log(store: Store, experiment: str, dataset: str, system: TrackedSystem) -> Run:
    tags = {KIND: "system", **system_tags(dataset, system), NOTE: system_note(system)}
    label = f"S{system.number}-{system.model_sha256[:8]}"
    run = store.client.create_run(experiment, tags=tags, run_name=label)
    now = round(time.time() * 1000)
    metrics = [Metric(key, value, now, 0) for key, value in system_metrics(system).items()]
    params = [Param(f"fusion/{machine}", part.fusion) for machine, part in system.parts.items()]
    store.client.log_batch(run.info.run_id, metrics, params, synchronous=True)
    store.client.log_artifacts(run.info.run_id, str(system.folder), "model")
    store.client.set_terminated(run.info.run_id)
    store.client.set_tag(run.info.run_id, COMPLETE, "true")
    return run


def system_tags(dataset: str, system: TrackedSystem) -> dict[str, str]:
    """Of its run and of its version: what it is, and by machine type its members, the best first, each as
    `trial:omega:sha256 of its weights`."""
    tags = {
        DATASET: dataset,
        SYSTEM: f"S{system.number}",
        MODEL: system.model_sha256,
        MACHINES: ",".join(system.parts),
    }
    for machine, part in system.parts.items():
        members = [f"{m.trial}:{m.omega!r}:{m.weights_sha256}" for m in part.members]
        tags[_MEMBERS + machine] = ",".join(members)
    if system.omega is not None:
        tags[OMEGA] = repr(system.omega)
    return tags


def system_metrics(system: TrackedSystem) -> dict[str, float]:
    """`omega`, the mean over machine types, `omega/<machine>` of what is submitted, `omega_raw/<machine>`."""
    found = {MEAN_OMEGA.name: system.omega}
    for machine, part in system.parts.items():
        found |= {SUBMITTED_OMEGA.named(machine): part.omega, RAW_OMEGA.named(machine): part.omega_raw}
    return {name: value for name, value in found.items() if value is not None}


def _versions(store: Store, name: str, dataset: str) -> dict[str, ModelVersion]:
    """The versions that are there by their SHA-256; the model is made where there is none."""
    try:
        store.client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        tags, about = {KIND: "system", DATASET: dataset}, system_model_note(dataset, name)
        store.client.create_registered_model(name, tags, about)
    found = store.client.search_model_versions(f"name='{name}'", max_results=1000)
    return {version.tags[MODEL]: version for version in found if MODEL in version.tags}


def _create(store: Store, name: str, run: Run, dataset: str, system: TrackedSystem) -> ModelVersion:
    return store.client.create_model_version(
        name,
        f"{run.info.artifact_uri}/model",
        run.info.run_id,
        {KIND: "system", **system_tags(dataset, system)},
        description=system_note(system),
        await_creation_for=0,
    )


def _move_aliases(store: Store, name: str, version: ModelVersion, known: Sequence[ModelVersion]) -> None:
    model = store.client.get_registered_model(name)
    present = {alias: int(v) for alias, v in model.aliases.items()}
    if present.get(NEWEST) != int(version.version):
        store.client.set_registered_model_alias(name, NEWEST, str(version.version))
    holder = next((each for each in known if int(each.version) == present.get(CHAMPION)), None)
    is_better = holder is None or _merit(version) > _merit(holder)
    if is_better and not is_own_choice(model) and present.get(CHAMPION) != int(version.version):
        crown(store, name, present.get(CHAMPION), int(version.version))


def _merit(version: ModelVersion) -> tuple[int, float]:
    return len(version.tags[MACHINES].split(",")), float(version.tags.get(OMEGA, "-inf"))


def _record_package(
    store: Store, experiment: str, dataset: str, versions: Sequence[SystemVersion], archive: Path
) -> None:
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    tags = {KIND: "package", ARCHIVE: digest}
    if _once(store, experiment, tags) is not None:
        return
    note = package_note(dataset, experiment, versions)
    run = store.client.create_run(
        experiment, tags=tags | {DATASET: dataset, NOTE: note}, run_name=archive.stem
    ).info.run_id
    now = round(time.time() * 1000)
    omegas = [
        Metric(PACKAGE_OMEGA.named(of.system.number), of.system.omega, now, 0)
        for of in versions
        if of.system.omega is not None
    ]
    held = [RunTag(f"oddsound.{of.name}", str(of.version)) for of in versions]
    store.client.log_batch(run, omegas, tags=held, synchronous=True)
    store.client.log_artifact(run, str(archive))
    store.client.set_terminated(run)
    store.client.set_tag(run, COMPLETE, "true")
