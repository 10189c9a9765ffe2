"""The four systems S1 to S4 of the paper (§4), from each machine type's best trials.

The paper puts S1's model for Valve into S2 to S4, because their members are poor there. The rule
here is the general one: a machine type that is pinned by configuration, whose ensemble has a lower
Ω than its best single model, or whose members (autoencoders) have no softmax for S4 to average, is
S1's. The ensemble's own Ω is kept beside it. As the
paper's choice, this one looks at the labels of the development test clips.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from oddsound.ensemble.fusions import fuse
from oddsound.errors import ConfigError, ScoreError
from oddsound.scoring.omega import cells
from oddsound.scoring.omega import omega as omega_of
from oddsound.scoring.table import ScoreTable

Pinned = Literal["", "configured", "worse", "no softmax"]
RECIPES = (
    (1, "best single model", "best"),
    (2, "mean anomaly score", "mean"),
    (3, "maximum anomaly score", "max"),
    (4, "mean softmax", "mean_softmax"),
)
"""Number, name and fusion of each system, in the order of Table 1."""


@dataclass(frozen=True, eq=False)
class Member:
    """One trial as an ensemble sees it. `config` is the trial's configuration as nested dicts."""

    trial: str
    omega: float
    n_parameters: int
    config: dict[str, Any]
    table: ScoreTable
    weights_sha256: str


@dataclass(frozen=True, eq=False)
class MachineSystem:
    """One machine type within one system.

    `table` is what is submitted and `members` are the trials that it is made of: S1's alone where
    `pinned_to_s1` says why. `omega` is the table's; `omega_raw` is the fusion's of all members, before
    the pin. Both are None where no test clip is labelled.
    """

    machine: str
    table: ScoreTable
    members: tuple[Member, ...]
    omega: float | None
    fusion: str
    pinned_to_s1: Pinned
    omega_raw: float | None


@dataclass(frozen=True, eq=False)
class System:
    """One column of a submission: `machines` by machine type, in the order in which they were given."""

    number: int
    name: str
    machines: dict[str, MachineSystem]


def build_systems(
    members_by_machine: Mapping[str, Sequence[Member]], pinned: Collection[str] = (), fallback: bool = True
) -> tuple[System, ...]:
    """S1 to S4 from each machine type's chosen members (all that are given are used).

    Members are taken by Ω, the highest first, then by trial. pinned: machine types that are S1's in
    every system. fallback: also take S1's where the ensemble's Ω is lower. Raises ScoreError where a
    machine type has no member or its members can't be fused, ConfigError where a pinned one isn't there.
    """
    _check_pinned(pinned, members_by_machine)
    ranked = {machine: _ranked(machine, members) for machine, members in members_by_machine.items()}
    singles = {machine: _machine_system(machine, "best", members) for machine, members in ranked.items()}
    systems = [System(1, RECIPES[0][1], singles)]
    for number, name, fusion in RECIPES[1:]:
        machines = {
            machine: _ensemble(singles[machine], fusion, members, machine in pinned, fallback)
            for machine, members in ranked.items()
        }
        systems.append(System(number, name, machines))
    return tuple(systems)


def _ranked(machine: str, members: Sequence[Member]) -> tuple[Member, ...]:
    if not members:
        raise ScoreError(f"{machine}: no finished trial to build a system of; run its search to the end")
    for member in members:
        if member.table.machine != machine:
            raise ScoreError(f"{machine}: trial {member.trial} is of {member.table.machine}")
    return tuple(sorted(members, key=lambda member: (-member.omega, member.trial)))


def _machine_system(machine: str, fusion: str, members: tuple[Member, ...]) -> MachineSystem:
    table = fuse(fusion, [member.table for member in members])
    found = omega_of(cells(table)) if len(table.labelled()) else None
    used = members[:1] if fusion == "best" else members
    return MachineSystem(machine, table, used, found, fusion, "", found)


def _ensemble(
    single: MachineSystem, fusion: str, members: tuple[Member, ...], is_pinned: bool, fallback: bool
) -> MachineSystem:
    if fusion == "mean_softmax" and not single.table.classes:
        return replace(single, fusion=fusion, pinned_to_s1="no softmax")
    raw = _machine_system(single.machine, fusion, members)
    worse = raw.omega is not None and single.omega is not None and raw.omega < single.omega
    why: Pinned = "configured" if is_pinned else "worse" if fallback and worse else ""
    if not why:
        return raw
    return MachineSystem(
        single.machine, single.table, single.members, single.omega, fusion, why, raw.omega_raw
    )


def _check_pinned(pinned: Collection[str], machines: Collection[str]) -> None:
    for name in sorted(set(pinned) - set(machines)):
        raise ConfigError(f"pinned: no machine type {name!r} here; there are {', '.join(machines)}")
