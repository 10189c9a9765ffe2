"""The systems of a run as registered models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from oddsound.cli.choosing import Candidate
from oddsound.cli.talking import typed
from oddsound.ensemble.packaged import package_system
from oddsound.ensemble.systems import MachineSystem, System
from oddsound.errors import TrackingError
from oddsound.scoring.threshold import Method
from oddsound.search.record import RunRecord
from oddsound.tracking.loading import locate, open_model
from oddsound.tracking.packaged import package_trial
from oddsound.tracking.store import Store
from oddsound.tracking.systems import (
    SystemMember,
    SystemPart,
    SystemVersion,
    TrackedSystem,
    register_systems,
)

Found = Mapping[str, Sequence[Candidate]]
"""By machine type what the systems were chosen from."""


def register(
    store: Store,
    run: Path,
    record: RunRecord,
    systems: Sequence[System],
    found: Found,
    archive: Path,
    threshold: Method = "gamma",
) -> list[SystemVersion]:
    """Make each system a version of its registered model and record their package.

    Each is packaged below RUN and gone again once it is sent; members that aren't in RUN come from MLflow.
    Raises TrackingError; the package is whole
    all the same.
    """
    try:
        return register_systems(
            store, record.dataset, _packaged(store, run, record, systems, found, threshold), archive
        )
    except TrackingError as error:
        raise TrackingError(
            f"{error}; the submission itself is whole ({archive}), `{typed('submit', run)}` registers "
            "its systems"
        ) from error


def _packaged(
    store: Store,
    run: Path,
    record: RunRecord,
    systems: Sequence[System],
    found: Found,
    threshold: Method,
) -> Iterator[TrackedSystem]:
    """Each system in a folder that lasts until the next one is asked for."""
    known = {(machine, c.member.trial): c for machine, of in found.items() for c in of}
    with TemporaryDirectory(prefix=".systems-", dir=run) as folder:
        models: dict[tuple[str, str], Path] = {}
        for system in systems:
            for machine, of in system.machines.items():
                for member in of.members:
                    if (key := (machine, member.trial)) not in models:
                        models[key] = Path(folder) / "members" / machine / member.trial
                        models[key].parent.mkdir(parents=True, exist_ok=True)
                        _package_member(store, known[key], models[key])
            with TemporaryDirectory(dir=folder) as own:
                digest = package_system(system, models, Path(own) / "model", threshold)
                parts = {m: _part(of, record.machines[m]["data"]) for m, of in system.machines.items()}
                yield TrackedSystem(system.number, system.name, parts, Path(own) / "model", digest)


def _package_member(store: Store, candidate: Candidate, folder: Path) -> None:
    """From its bundle, or the model that its run has."""
    if candidate.bundle is not None:
        package_trial(candidate.bundle, folder)
        return
    folder.mkdir()
    open_model(store, locate(store, f"runs:/{candidate.tracked.run_id}/model"), folder).check()


def _part(of: MachineSystem, data_digest: str) -> SystemPart:
    members = tuple(SystemMember(m.trial, m.omega, m.weights_sha256) for m in of.members)
    return SystemPart(of.fusion, of.pinned_to_s1, of.omega, of.omega_raw, members, data_digest)
