"""Ω (eq. 7): from the AUC and pAUC of each section and domain to one number.

Everything here is a fraction from 0 to 1; the paper's tables show per cent.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from oddsound.errors import ScoreError
from oddsound.scoring.metrics import Definition, auc, pauc
from oddsound.scoring.table import ANOMALY, NORMAL, Rules, ScoreTable


@dataclass(frozen=True, slots=True)
class Term:
    """One value under eq. 7's harmonic mean: which clips are told apart, and whether by AUC or pAUC.

    `domain` is that of the normal clips, "" where they are of all; normal, anomaly: (i,), (j,) rows.
    """

    metric: Literal["auc", "pauc"]
    section: str
    domain: str
    normal: NDArray[np.intp]
    anomaly: NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Cell:
    """AUC and pAUC of one machine type, section and domain, and of how many clips.

    By the rules of 2022 and later a cell of a domain has an AUC alone, its anomalies being those of all
    domains, and a cell of domain "" the pAUC over all; what a cell doesn't have is None.
    """

    machine: str
    section: str
    domain: str
    auc: float | None
    pauc: float | None
    n_normal: int
    n_anomaly: int

    @property
    def name(self) -> str:
        """`section_00/source`, or `section_00` where it is of all domains."""
        return f"section_{self.section}" + (f"/{self.domain}" if self.domain else "")

    @property
    def values(self) -> tuple[float, ...]:
        """Those of AUC and pAUC that it has."""
        return tuple(value for value in (self.auc, self.pauc) if value is not None)


def terms(
    section: NDArray[np.str_], domain: NDArray[np.str_], label: NDArray[np.int8], rules: Rules = "2021"
) -> tuple[Term, ...]:
    """What Ω of one machine type is the harmonic mean of, by section and domain; all (n,), labels 0 or 1.

    2021: AUC and pAUC of each section and domain. 2022: in each section the AUC of each domain's normal
    clips against the anomalies of all domains, and the pAUC over all. Where a class is missing its rows
    are empty.
    """
    found: list[Term] = []
    for name in sorted({str(s) for s in section}):
        of_section = section == name
        anomalies = of_section & (label == ANOMALY)
        for d in sorted({str(d) for d in domain[of_section]}):
            normal = np.flatnonzero(of_section & (domain == d) & (label == NORMAL))
            anomaly = np.flatnonzero(anomalies if rules == "2022" else anomalies & (domain == d))
            if len(normal) or rules == "2021":
                found.append(Term("auc", name, d, normal, anomaly))
            if rules == "2021":
                found.append(Term("pauc", name, d, normal, anomaly))
        if rules == "2022":
            normal = np.flatnonzero(of_section & (label == NORMAL))
            found.append(Term("pauc", name, "", normal, np.flatnonzero(anomalies)))
    return tuple(found)


def refuse_missing(machine: str, terms: Iterable[Term]) -> None:
    """Raises ScoreError, naming the cell, where a term lacks normal or anomalous clips."""
    for term in terms:
        for rows, name in ((term.normal, "normal"), (term.anomaly, "anomalous")):
            if not len(rows):
                where = ", ".join(filter(None, (machine, f"section {term.section}", term.domain)))
                raise ScoreError(f"{where}: no {name} clip; AUC needs both classes")


def cells(table: ScoreTable, definition: Definition = "official") -> tuple[Cell, ...]:
    """The cells of the table's labelled test clips by its rules, sorted by section.

    Raises ScoreError where there are none, and names the cell where a class is missing.
    """
    labelled = table.labelled()
    if not len(labelled):
        raise ScoreError(f"{table.machine}: no labelled test clips, so there is no AUC to compute")
    found = terms(labelled.section, labelled.domain, labelled.label, table.rules)
    return cells_of(table.machine, found, labelled.score, definition)


def cells_of(
    machine: str, terms: Iterable[Term], score: NDArray[np.float64], definition: Definition = "official"
) -> tuple[Cell, ...]:
    """The cells of these terms. score: (n,), what the terms' rows are of. ScoreError names the cell."""
    made: dict[tuple[str, str], Cell] = {}
    for term in terms:
        key = term.section, term.domain
        empty = Cell(machine, *key, None, None, len(term.normal), len(term.anomaly))
        value = {term.metric: _value(machine, term, score, definition)}
        made[key] = replace(made.get(key, empty), **value)  # type: ignore[arg-type]
    return tuple(made.values())


def _value(machine: str, term: Term, score: NDArray[np.float64], definition: Definition) -> float:
    label = np.repeat((NORMAL, ANOMALY), (len(term.normal), len(term.anomaly)))
    of_term = score[np.concatenate((term.normal, term.anomaly))]
    try:
        return auc(label, of_term) if term.metric == "auc" else pauc(label, of_term, definition)
    except ScoreError as error:
        where = ", ".join(filter(None, (machine, f"section {term.section}", term.domain)))
        raise ScoreError(f"{where}: {error}") from error


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
    return harmonic_mean(value for c in cells for value in c.values)


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
    return harmonic_mean(value for c in cells for value in c.values)


def metrics_dict(cells: Sequence[Cell]) -> dict[str, float]:
    """One machine type's metrics under names that never change: `omega`, and for each cell
    `auc/section_00/source` and `pauc/section_00/source`; by the rules of 2022 `pauc/section_00`."""
    named = {"omega": omega(cells)}
    for c in cells:
        both = {f"auc/{c.name}": c.auc, f"pauc/{c.name}": c.pauc}
        named |= {name: value for name, value in both.items() if value is not None}
    return named
