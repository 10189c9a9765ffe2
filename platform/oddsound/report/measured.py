"""Our figures for Table 1: the recipes' by their trials, the systems' by what they are made of."""

from __future__ import annotations

from collections.abc import Sequence

from oddsound.recipes import is_efficientnet
from oddsound.report.paper_figures import PAPER
from oddsound.report.run_folder import MachineRun, Trial
from oddsound.report.systems import SystemFigures, Systems
from oddsound.report.table1 import Measured, Table1, build_table1


def table1_of(machines: Sequence[MachineRun], systems: Systems) -> Table1:
    """The EfficientNet rows and S1 to S4, with the baselines where they were trained."""
    measured: dict[str, dict[str, Measured]] = {}
    for of in machines:
        for recipe in {t.config.recipe for t in of.done if t.config} & PAPER.keys():
            measured.setdefault(recipe, {})[of.machine] = _recipe(of, recipe)
    for system in systems.systems:
        if system.name in PAPER:
            measured[system.name] = _system(system, machines)
    whole = build_table1(measured, [of.machine for of in machines])
    rows = (row for row in whole.rows if row.name in measured or _is_always_there(row.name))
    return Table1(tuple(rows), whole.machines)


def _is_always_there(row: str) -> bool:
    return is_efficientnet(row) or row in ("S1", "S2", "S3", "S4")


def _recipe(of: MachineRun, recipe: str) -> Measured:
    """Of its best trial, by the Ω that counts, where there are several."""
    trials = [t for t in of.done if t.config and t.config.recipe == recipe]
    best = min(trials, key=lambda t: (-(t.omega or 0.0), t.identity))
    metrics = best.result.metrics if best.result else {}
    return Measured(metrics.get("omega_last"), metrics.get("omega_best_dev"))


def _system(system: SystemFigures, machines: Sequence[MachineRun]) -> dict[str, Measured]:
    """Before S1 stands in anywhere, by the choice of the epoch that its members had."""
    known = {of.machine: {t.identity: t for t in of.trials} for of in machines}
    found = {}
    for machine, part in system.machines.items():
        members = [known.get(machine, {}).get(member) for member in part.members]
        by_labels = any(map(_is_by_labels, members))
        found[machine] = Measured(omega_best_dev=part.omega_raw) if by_labels else Measured(part.omega_raw)
    return found


def _is_by_labels(trial: Trial | None) -> bool:
    return bool(trial and trial.config and trial.config.training.selection == "best_dev_omega")
