"""Trained trials in a store, registered as a search leaves them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from oddsound.ensemble.packaged import package_system
from oddsound.ensemble.systems import Member, System, build_systems
from oddsound.tracking.layout import Search
from oddsound.tracking.packaged import package_trial
from oddsound.tracking.ranking import TrackedTrial, best_trials
from oddsound.tracking.reading import load_tracked
from oddsound.tracking.registry import register_best
from oddsound.tracking.store import Store
from oddsound.tracking.sync import sync
from oddsound.tracking.systems import SystemMember, SystemPart, TrackedSystem, register_systems
from oddsound.training.bundle import Bundle, bundles, finished

DATASET, MACHINES = "tiny", ("fan", "valve")


def register_trials(store: Store, trials: Path) -> None:
    """`tiny.fan` and `tiny.valve`."""
    sync(store, Search("s1", DATASET), {machine: bundles(trials, machine) for machine in MACHINES})
    for machine in MACHINES:
        register_best(store, DATASET, machine)


def systems_of(store: Store) -> tuple[System, ...]:
    """S1-S4 of all trials in the store, whatever is worse."""
    members = {m: [_member(store, t) for t in best_trials(store, DATASET, m)] for m in MACHINES}
    return build_systems(members, fallback=False)


def register_systems_of(store: Store, trials: Path, folder: Path, numbers: Sequence[int]) -> None:
    """`tiny.S1` … `tiny.S4`, those of `numbers`, packaged below `folder`."""
    systems = tuple(system for system in systems_of(store) if system.number in numbers)
    models = {
        (b.path.parent.name, b.path.name): folder / b.path.name for m in MACHINES for b in finished(trials, m)
    }
    for (machine, trial), place in models.items():
        package_trial(Bundle(trials / machine / trial), place)
    tracked = []
    for system in systems:
        place = folder / f"S{system.number}"
        tracked.append(_tracked(system, place, package_system(system, models, place)))
    archive = folder / "package.zip"
    archive.write_bytes(b"of these systems")
    register_systems(store, DATASET, tracked, archive)


def _member(store: Store, trial: TrackedTrial) -> Member:
    config, result, table = load_tracked(store, trial)
    return Member(
        result.trial, result.omega, result.n_parameters, config.model_dump(), table, result.weights_sha256
    )


def _tracked(system: System, folder: Path, sha256: str) -> TrackedSystem:
    parts = {
        machine: SystemPart(of.fusion, of.pinned_to_s1, of.omega, of.omega_raw, _parts(of.members), "d" * 64)
        for machine, of in system.machines.items()
    }
    return TrackedSystem(system.number, system.name, parts, folder, sha256)


def _parts(members: Sequence[Member]) -> tuple[SystemMember, ...]:
    return tuple(SystemMember(m.trial, m.omega, m.weights_sha256) for m in members)
