"""The systems that are submitted: S1 to S4 of the paper (§4), or one to four of any fusions.

The paper puts S1's model for Valve into S2 to S4, because their members are poor there. The rule
here is the general one: a machine type that is pinned by configuration, whose fusion has a lower
Ω than its best single model, or whose members (autoencoders) have no softmax to average, is
S1's. The fusion's own Ω is kept beside it. As the
paper's choice, this one looks at the labels of the development test clips.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from oddsound.ensemble.fusions import FUSIONS, Fitted, fit, fusion_of
from oddsound.errors import ConfigError, ScoreError
from oddsound.scoring.curves import omegas
from oddsound.scoring.omega import refuse_missing, terms
from oddsound.scoring.table import ScoreTable

Pinned = Literal["", "configured", "worse", "no softmax"]
PAPER_FUSIONS = ("best", "mean", "max", "mean_softmax")
"""The fusions of S1 to S4, in the order of Table 1."""
MAX_SYSTEMS = 4
"""What the challenge lets a team submit."""
TOP_K = 5


@dataclass(frozen=True, eq=False)
class Member:
    """One trial as an ensemble sees it. `config` is the trial's configuration as nested dicts;
    `ranked_by` the figure by which it is better than another, None: its Ω."""

    trial: str
    omega: float
    n_parameters: int
    config: dict[str, Any]
    table: ScoreTable
    weights_sha256: str
    ranked_by: float | None = None

    @property
    def rank(self) -> tuple[float, str]:
        """Sorts the best one first; ties go to the lower trial hash."""
        return -(self.omega if self.ranked_by is None else self.ranked_by), self.trial


@dataclass(frozen=True, eq=False)
class MachineSystem:
    """One machine type within one system.

    `table` is what is submitted and `members` are the trials that it is made of, by `fitted`: S1's alone
    where `pinned_to_s1` says why. `omega` is the table's; `omega_raw` is the fusion's of all its members,
    before the pin. Both are None where no test clip is labelled.
    """

    machine: str
    table: ScoreTable
    members: tuple[Member, ...]
    omega: float | None
    fusion: str
    pinned_to_s1: Pinned
    omega_raw: float | None
    fitted: Fitted


@dataclass(frozen=True, eq=False)
class System:
    """One column of a submission: `machines` by machine type, in the order in which they were given."""

    number: int
    name: str
    machines: dict[str, MachineSystem]


def build_systems(
    candidates_by_machine: Mapping[str, Sequence[Member]],
    pinned: Collection[str] = (),
    fallback: bool = True,
    *,
    top_k: int = TOP_K,
    fusions: Sequence[str] = PAPER_FUSIONS,
    strict: bool = False,
) -> tuple[System, ...]:
    """One system a fusion, in the order given, from each machine type's candidates.

    Candidates are ranked by `Member.ranked_by`, the highest first, then by trial. A fusion that chooses its
    members is given all of them, the others the first `top_k`. pinned: machine types that are the best
    single model in every system. fallback: also where the fusion's Ω is lower. strict: refuse a machine
    type with fewer than `top_k` candidates.

    Raises ScoreError where a machine type has no candidate or too few, or they can't be fused, ConfigError
    for unknown, repeated, no or more than four fusions, or a pinned machine type that isn't there.
    """
    check_fusions(fusions, top_k)
    _check_pinned(pinned, candidates_by_machine)
    ranked = {machine: ranked_members(machine, of) for machine, of in candidates_by_machine.items()}
    for machine, members in ranked.items() if strict else ():
        _refuse_few(machine, len(members), top_k)
    singles = {machine: _fused(machine, "best", members, top_k) for machine, members in ranked.items()}
    systems = []
    for number, fusion in enumerate(fusions, start=1):
        machines = {
            machine: _machine_system(singles[machine], fusion, members, top_k, machine in pinned, fallback)
            for machine, members in ranked.items()
        }
        systems.append(System(number, FUSIONS[fusion].title, machines))
    return tuple(systems)


def all_fusions(members: Sequence[Member], top_k: int = TOP_K) -> dict[str, MachineSystem]:
    """Every fusion of the registry for one machine type's candidates, none pinned, in the registry's order.

    Left out are those that can't be: without a softmax, or without labelled clips that they learn from.
    Raises ScoreError where there is no candidate or they can't be fused.
    """
    if not members:
        raise ScoreError("no finished trial to fuse; run the search to its end")
    machine = members[0].table.machine
    ranked = ranked_members(machine, members)
    first = ranked[0].table
    is_labelled = bool(len(first.labelled()))
    return {
        name: _fused(machine, name, ranked, top_k)
        for name, fusion in FUSIONS.items()
        if (first.classes or not fusion.needs_softmax) and (is_labelled or not fusion.uses_labels)
    }


def ranked_members(machine: str, members: Sequence[Member]) -> tuple[Member, ...]:
    """The best one first. Raises ScoreError where there is none, or one of another machine type."""
    if not members:
        raise ScoreError(f"{machine}: no finished trial to build a system of; run its search to the end")
    for member in members:
        if member.table.machine != machine:
            raise ScoreError(f"{machine}: trial {member.trial} is of {member.table.machine}")
    return tuple(sorted(members, key=lambda member: member.rank))


def _fused(machine: str, fusion: str, ranked: tuple[Member, ...], top_k: int) -> MachineSystem:
    given = ranked if FUSIONS[fusion].chooses else ranked[:top_k]
    tables = [member.table for member in given]
    fitted = fit(fusion, tables, top_k)
    table = fitted.apply(tables)
    found = _omega(table)
    used = tuple(given[i] for i in fitted.used)
    return MachineSystem(machine, table, used, found, fusion, "", found, fitted.alone())


def _omega(table: ScoreTable) -> float | None:
    """Of the labelled test clips, None where there are none. Raises ScoreError where a class is missing."""
    labelled = table.labelled()
    if not len(labelled):
        return None
    found = terms(labelled.section, labelled.domain, labelled.label, labelled.rules)
    refuse_missing(table.machine, found)
    return float(omegas(labelled.score[None], found)[0])


def _machine_system(
    single: MachineSystem,
    fusion: str,
    ranked: tuple[Member, ...],
    top_k: int,
    is_pinned: bool,
    fallback: bool,
) -> MachineSystem:
    if fusion == single.fusion:
        return single
    if FUSIONS[fusion].needs_softmax and not single.table.classes:
        return replace(single, fusion=fusion, pinned_to_s1="no softmax")
    raw = _fused(single.machine, fusion, ranked, top_k)
    worse = raw.omega is not None and single.omega is not None and raw.omega < single.omega
    why: Pinned = "configured" if is_pinned else "worse" if fallback and worse else ""
    return replace(single, fusion=fusion, pinned_to_s1=why, omega_raw=raw.omega_raw) if why else raw


def _refuse_few(machine: str, n_candidates: int, top_k: int) -> None:
    if n_candidates < top_k:
        raise ScoreError(
            f"{machine}: {n_candidates} finished trials, fewer than the {top_k} asked for; search on, ask "
            "for fewer, or build with what there is (not strict)"
        )


def check_fusions(fusions: Sequence[str], top_k: int = TOP_K) -> None:
    """Raises ConfigError for unknown, repeated, no or more than four fusions, or no members."""
    for name in fusions:
        fusion_of(name)
    if not 1 <= len(fusions) <= MAX_SYSTEMS or len(set(fusions)) < len(fusions):
        raise ConfigError(
            f"fusions {', '.join(fusions) or '(none)'}: one to {MAX_SYSTEMS} different ones make the systems"
        )
    if top_k < 1:
        raise ConfigError(f"top_k {top_k}; a system is made of one trial at least")


def _check_pinned(pinned: Collection[str], machines: Collection[str]) -> None:
    for name in sorted(set(pinned) - set(machines)):
        raise ConfigError(f"pinned: no machine type {name!r} here; there are {', '.join(machines)}")
