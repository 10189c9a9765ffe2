"""The systems of a run as registered models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from oddsound.ensemble.packaged import package_system
from oddsound.ensemble.systems import MachineSystem, System
from oddsound.errors import TrackingError
from oddsound.search.record import RunRecord
from oddsound.tracking.packaged import package_trial
from oddsound.tracking.store import Store
from oddsound.tracking.systems import (
    SystemMember,
    SystemPart,
    SystemVersion,
    TrackedSystem,
    register_systems,
)
from oddsound.training.bundle import Bundle


def register(
    store: Store, run: Path, record: RunRecord, systems: Sequence[System], archive: Path
) -> list[SystemVersion]:
    """Make each system a version of its registered model and record their package.

    Each is packaged below RUN and gone again once it is sent. Raises TrackingError; the package is whole
    all the same.
    """
    try:
        return register_systems(store, record.dataset, _packaged(run, record, systems), archive)
    except TrackingError as error:
        raise TrackingError(
            f"{error}; the submission itself is whole ({archive}), `oddsound submit {run}` registers "
            "its systems"
        ) from error


def _packaged(run: Path, record: RunRecord, systems: Sequence[System]) -> Iterator[TrackedSystem]:
    """Each system in a folder that lasts until the next one is asked for."""
    with TemporaryDirectory(prefix=".systems-", dir=run) as folder:
        models: dict[tuple[str, str], Path] = {}
        for system in systems:
            for machine, of in system.machines.items():
                _package_members(run, machine, of, models, Path(folder) / "members")
            with TemporaryDirectory(dir=folder) as own:
                digest = package_system(system, models, Path(own) / "model")
                parts = {m: _part(of, record.machines[m]["data"]) for m, of in system.machines.items()}
                yield TrackedSystem(system.number, system.name, parts, Path(own) / "model", digest)


def _package_members(
    run: Path, machine: str, of: MachineSystem, models: dict[tuple[str, str], Path], folder: Path
) -> None:
    """Package those that aren't in `models` yet."""
    (folder / machine).mkdir(parents=True, exist_ok=True)
    for member in of.members:
        if (machine, member.trial) not in models:
            package_trial(Bundle(run / "trials" / machine / member.trial), folder / machine / member.trial)
            models[machine, member.trial] = folder / machine / member.trial


def _part(of: MachineSystem, data_digest: str) -> SystemPart:
    members = tuple(SystemMember(m.trial, m.omega, m.weights_sha256) for m in of.members)
    return SystemPart(of.fusion, of.pinned_to_s1, of.omega, of.omega_raw, members, data_digest)
