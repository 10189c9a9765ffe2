"""What systems are made of and how sure their figures are, as tables and as systems.json."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from oddsound.cli.columns import columns
from oddsound.cli.estimates import Estimates
from oddsound.ensemble.systems import MachineSystem, System
from oddsound.training.bundle import write_atomically
from oddsound.training.sealed import as_json

LISTING = "systems.json"


def members_table(systems: Sequence[System]) -> list[str]:
    """Every trial that the systems are made of: its place, omega, hash, its weights' SHA-256, and in which
    systems it is."""
    rows = [["member", "trial", "weights' SHA-256", "in", "omega [%]"]]
    for machine in systems[0].machines:
        members = {m.trial: m for system in systems for m in system.machines[machine].members}
        for member in sorted(members.values(), key=lambda member: member.rank):
            own = [f"S{s.number}" for s in systems if member.trial in _trials(s.machines[machine])]
            omega = f"{100 * member.omega:.2f}"
            rows.append([machine, member.trial, member.weights_sha256, " ".join(own), omega])
    return columns(rows, n_words=4).splitlines()


def _trials(of: MachineSystem) -> set[str]:
    return {member.trial for member in of.members}


def write_listing(systems: Sequence[System], estimates: Estimates, folder: Path) -> Path:
    """`folder`/systems.json: of each system and machine type fusion, omegas, members and estimates."""
    path = folder / LISTING
    write_atomically(path, as_json({"systems": [_system(system, estimates) for system in systems]}))
    return path


def _system(system: System, estimates: Estimates) -> dict[str, Any]:
    machines = {machine: _machine(of) for machine, of in system.machines.items()}
    return {
        "number": system.number,
        "name": system.name,
        "machines": machines,
        "estimates": estimates.document(f"S{system.number}"),
    }


def _machine(of: MachineSystem) -> dict[str, Any]:
    return {
        "fusion": of.fusion,
        "pinned_to_s1": of.pinned_to_s1,
        "omega": of.omega,
        "omega_of_the_fusion": of.omega_raw,
        "members": [
            {"trial": m.trial, "omega": m.omega, "weights_sha256": m.weights_sha256} for m in of.members
        ],
    }
