"""Ω (eq. 7): from the AUC and pAUC of each section and domain to one number.

Everything here is a fraction from 0 to 1; the paper's tables show per cent.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import ArrayLike

from oddsound.errors import ScoreError
from oddsound.scoring.metrics import Definition, auc, pauc
from oddsound.scoring.table import ScoreTable


@dataclass(frozen=True, slots=True)
class Cell:
    """AUC and pAUC of one machine type, section and domain, and of how many clips."""

    machine: str
    section: str
    domain: str
    auc: float
    pauc: float
    n_normal: int
    n_anomaly: int

    @property
    def name(self) -> str:
        """`section_00/source`."""
        return f"section_{self.section}/{self.domain}"


def cell(
    machine: str,
    section: str,
    domain: str,
    label: ArrayLike,
    score: ArrayLike,
    definition: Definition = "official",
) -> Cell:
    """The cell of these clips. label: (n,) 0 or 1; score: (n,). ScoreError names the cell."""
    labels = np.asarray(label)
    try:
        values = auc(labels, score), pauc(labels, score, definition)
    except ScoreError as error:
        raise ScoreError(f"{machine}, section {section}, {domain}: {error}") from error
    return Cell(machine, section, domain, *values, int((labels == 0).sum()), int((labels == 1).sum()))


def cells(table: ScoreTable, definition: Definition = "official") -> tuple[Cell, ...]:
    """One cell for each section and domain among the table's labelled test clips, sorted.

    Raises ScoreError where there are none, and names the cell where a class is missing.
    """
    labelled = table.labelled()
    if not len(labelled):
        raise ScoreError(f"{table.machine}: no labelled test clips, so there is no AUC to compute")
    keys = sorted({(str(s), str(d)) for s, d in zip(labelled.section, labelled.domain, strict=True)})
    made = []
    for section, domain in keys:
        of_cell = labelled.where((labelled.section == section) & (labelled.domain == domain))
        made.append(cell(table.machine, section, domain, of_cell.label, of_cell.score, definition))
    return tuple(made)


def harmonic_mean(values: Iterable[float]) -> float:
    """n / Σ 1/v, each v floored at float64's machine epsilon as the official evaluator does."""
    floored = [max(float(value), sys.float_info.epsilon) for value in values]
    if not floored or not np.isfinite(floored).all():
        raise ScoreError(f"no harmonic mean of {floored or 'nothing'}")
    return len(floored) / sum(1 / value for value in floored)


def omega(cells: Sequence[Cell]) -> float:
    """Ω of one machine type: the harmonic mean of its cells' AUC and pAUC values (eq. 7)."""
    machines = {c.machine for c in cells}
    if len(machines) != 1:
        raise ScoreError(f"omega is of one machine type, got {', '.join(sorted(machines)) or 'none'}")
    return harmonic_mean(value for c in cells for value in (c.auc, c.pauc))


def by_machine(cells: Iterable[Cell]) -> dict[str, tuple[Cell, ...]]:
    """The cells of each machine type, in the order in which machine types first appear."""
    groups: dict[str, list[Cell]] = {}
    for c in cells:
        groups.setdefault(c.machine, []).append(c)
    return {machine: tuple(group) for machine, group in groups.items()}


def mean_omega(cells: Mapping[str, Sequence[Cell]]) -> float:
    """The arithmetic mean of the machine types' Ω: "Avg." in Table 1."""
    if not cells:
        raise ScoreError("no mean omega of no machine type")
    return fmean(omega(of_machine) for of_machine in cells.values())


def official_score(cells: Iterable[Cell]) -> float:
    """The challenge's ranking score: the harmonic mean of all AUC and pAUC values of all machine types."""
    return harmonic_mean(value for c in cells for value in (c.auc, c.pauc))


def metrics_dict(cells: Sequence[Cell]) -> dict[str, float]:
    """One machine type's metrics under names that never change: `omega`, and for each cell
    `auc/section_00/source` and `pauc/section_00/source`."""
    named = {"omega": omega(cells)}
    for c in cells:
        named |= {f"auc/{c.name}": c.auc, f"pauc/{c.name}": c.pauc}
    return named
