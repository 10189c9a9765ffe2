"""S1 to S4 and how sure they are: as `oddsound submit` has listed them, else built of the run's trials."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oddsound.ensemble.systems import TOP_K, MachineSystem, Member, build_systems
from oddsound.errors import OddsoundError
from oddsound.json_files import read_json
from oddsound.recipes import is_efficientnet
from oddsound.report.run_folder import MachineRun, Trial
from oddsound.scoring.bootstrap import N_RESAMPLES, Interval, bootstrap
from oddsound.scoring.table import Shared
from oddsound.search.record import RunRecord

MEAN = "mean"


@dataclass(frozen=True)
class Part:
    """A system's part of one machine type: its Ω as submitted, its fusion's own, members by trial; all
    figures are fractions."""

    omega: float | None
    omega_raw: float | None
    interval: Interval | None
    pinned: str = ""
    members: tuple[str, ...] = ()


@dataclass(frozen=True)
class SystemFigures:
    """`mean`: over the machine types; `corrected`: that without what the choice by labels adds."""

    name: str
    fusion: str
    machines: dict[str, Part]
    mean: Interval | None = None
    corrected: tuple[float, float] | None = None
    """The mean Ω where it wasn't chosen, and its standard deviation over splits."""


@dataclass(frozen=True)
class Systems:
    """`source` says where the figures are from; `lacking` what there is none of, and why."""

    systems: tuple[SystemFigures, ...] = ()
    source: str = ""
    lacking: tuple[str, ...] = field(default_factory=tuple)


def pinned_of(record: RunRecord) -> list[str]:
    """The machine types whose systems all have S1's scores, as the run was asked for them."""
    options = record.command.get("options")
    pinned = options.get("pinned") if isinstance(options, Mapping) else None
    return [str(name) for name in pinned] if isinstance(pinned, list) else []


def read_systems(run: Path, machines: Sequence[MachineRun], pinned: Sequence[str] = ()) -> Systems:
    """From submission/systems.json where it is and can be read; else from the trials, without MLflow."""
    listing = run / "submission" / "systems.json"
    lacking: tuple[str, ...] = ()
    if listing.is_file():
        try:
            found = tuple(_listed(each, machines) for each in read_json(listing)["systems"])
            return Systems(found, "listed", _late(found, machines))
        except (OddsoundError, KeyError, TypeError, ValueError, AttributeError) as error:
            lacking = (f"submission/systems.json can't be read ({type(error).__name__}: {error})",)
    computed = _computed(machines, pinned)
    return Systems(computed.systems, computed.source, (*lacking, *computed.lacking))


def _listed(system: Mapping[str, Any], machines: Sequence[MachineRun]) -> SystemFigures:
    chosen = [m.machine for m in machines if m.machine in system["machines"]]
    estimates = system.get("estimates") or {}
    parts = {machine: _part(system["machines"][machine], estimates.get(machine)) for machine in chosen}
    whole = estimates.get(MEAN) or {} if len(chosen) == len(system["machines"]) else {}
    optimism = whole.get("optimism")
    fusions = {str(system["machines"][machine]["fusion"]) for machine in chosen}
    return SystemFigures(
        f"S{int(system['number'])}",
        " ".join(sorted(fusions)),
        parts,
        _interval(whole.get("interval")),
        (_fraction(optimism["corrected"]), float(optimism["spread"])) if optimism else None,
    )


def _part(of: Mapping[str, Any], estimates: Mapping[str, Any] | None) -> Part:
    return Part(
        None if of["omega"] is None else _fraction(of["omega"]),
        None if of["omega_of_the_fusion"] is None else _fraction(of["omega_of_the_fusion"]),
        _interval((estimates or {}).get("interval")),
        str(of["pinned_to_s1"]),
        tuple(str(member["trial"]) for member in of["members"]),
    )


def _interval(given: Mapping[str, Any] | None) -> Interval | None:
    if not given:
        return None
    return Interval(*(_fraction(given[name]) for name in ("estimate", "lower", "upper")))


def _fraction(value: Any) -> float:
    number = float(value)
    if not (math.isfinite(number) and 0 <= number <= 1):
        raise ValueError(f"{number} is no fraction")
    return number


def _late(found: Sequence[SystemFigures], machines: Sequence[MachineRun]) -> tuple[str, ...]:
    """Machine types whose best trial isn't in any listed system: they were searched on, or failed to be."""
    known = {machine: set(part.members) for each in found for machine, part in each.machines.items()}
    for each in found:
        for machine, part in each.machines.items():
            known[machine] |= set(part.members)
    return tuple(
        f"{of.machine}: its best trial is in no system of submission/systems.json; `oddsound submit` builds "
        "them anew"
        for of in machines
        if of.best is not None and of.best.identity not in known.get(of.machine, set())
    )


def _computed(machines: Sequence[MachineRun], pinned: Sequence[str]) -> Systems:
    built: dict[str, dict[str, MachineSystem]] = {}
    lacking: list[str] = []
    for of in machines:
        try:
            members = _members(of, lacking)
            systems = build_systems({of.machine: members}, [of.machine] if of.machine in pinned else [])
        except OddsoundError as error:
            lacking.append(str(error))
            continue
        for system in systems:
            built.setdefault(f"S{system.number}", {})[of.machine] = system.machines[of.machine]
    found = tuple(_figures(name, parts) for name, parts in built.items())
    return Systems(found, "computed" if found else "", tuple(lacking))


def _members(of: MachineRun, lacking: list[str]) -> list[Member]:
    """The trials that may be fused with the best one: of Table 1's rows the EfficientNets, where there is
    one, and what scores as the best one does and tells the same classes apart."""
    rows = [trial for trial in of.done if of.begun.get("rows") and _recipe(trial).startswith("effnet")]
    ranked = sorted(rows or of.done, key=lambda trial: (-(trial.omega or 0.0), trial.identity))
    alike = [trial for trial in ranked if _kind(trial) == _kind(ranked[0])]
    found: list[Member] = []
    shared: Shared = {}
    for trial in alike:
        if len(found) == TOP_K:
            break
        try:
            found.append(_member(trial, shared))
        except OddsoundError as error:
            lacking.append(f"{of.machine}: {trial.title} is left out of the systems: {error}")
    return found


def _recipe(trial: Trial) -> str:
    recipe = trial.config.recipe if trial.config else ""
    return recipe if is_efficientnet(recipe) else ""


def _kind(trial: Trial) -> tuple[bool, str, str] | None:
    config = trial.config
    if config is None:
        return None
    return config.model.architecture == "autoencoder", config.training.labels, config.training.anomaly_score


def _member(trial: Trial, shared: Shared) -> Member:
    assert trial.config is not None and trial.result is not None and trial.omega is not None
    return Member(
        trial.identity,
        trial.omega,
        trial.result.n_parameters,
        trial.config.model_dump(),
        trial.bundle.scores(shared),
        trial.result.weights_sha256,
    )


def _figures(name: str, machines: Mapping[str, MachineSystem]) -> SystemFigures:
    labelled = {machine: of.table for machine, of in machines.items() if of.omega is not None}
    intervals = bootstrap(labelled, N_RESAMPLES) if labelled else None
    parts = {
        machine: Part(
            of.omega,
            of.omega_raw,
            intervals.machines.get(machine) if intervals else None,
            of.pinned_to_s1,
            tuple(member.trial for member in of.members),
        )
        for machine, of in machines.items()
    }
    fusion = next(iter(machines.values())).fusion
    return SystemFigures(name, fusion, parts, intervals.mean if intervals else None)
