"""Table 1 with what was measured beside what the paper printed.

Two selections of the epoch stand beside each other: the last one, for which no label is looked at, and
the one of the highest Ω on the labelled test clips, as the paper's published code chooses. The means
are over all of the table's machine types or they are missing, and ours and the paper's are always of
the same ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from oddsound.errors import ScoreError
from oddsound.report.paper_figures import MACHINES, PAPER

Epoch = Literal["omega", "omega_best_dev"]
"""Which epoch's Ω: the last one's, or the best one's by the labels of the test clips."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Ω of one system and machine type as fractions from 0 to 1, None where there is none.

    omega: after the last epoch, no label looked at. omega_best_dev: of the epoch that is best on the
    labelled test clips. Raises ScoreError for what isn't a fraction.
    """

    omega: float | None = None
    omega_best_dev: float | None = None

    def __post_init__(self) -> None:
        for value in (self.omega, self.omega_best_dev):
            if value is not None and not (math.isfinite(value) and 0 <= value <= 1):
                raise ScoreError(f"omega must be a fraction from 0 to 1, got {value}")

    def of(self, epoch: Epoch) -> float | None:
        """The fraction for that choice of the epoch."""
        return self.omega if epoch == "omega" else self.omega_best_dev


@dataclass(frozen=True, slots=True)
class Figure:
    """What one place of the table shows: the paper's Ω and ours, in % to two decimals."""

    paper: float | None
    ours: float | None

    @property
    def difference(self) -> float | None:
        """Ours − paper in percentage points, of the figures as they are shown."""
        if self.paper is None or self.ours is None:
            return None
        return round(self.ours - self.paper, 2)


@dataclass(frozen=True, slots=True)
class Table1Row:
    """One system: `machines` has an entry for every machine type of the table, None where not measured."""

    name: str
    title: str
    machines: Mapping[str, Measured | None]

    @property
    def mean(self) -> Measured | None:
        """The arithmetic means over all machine types, each None where one of them is missing."""
        last, best = self._mean("omega"), self._mean("omega_best_dev")
        return None if last is None and best is None else Measured(last, best)

    def paper(self, machine: str) -> float | None:
        """The paper's Ω in %, None where it has none."""
        return PAPER[self.name].omega.get(machine) if self.name in PAPER else None

    @property
    def paper_mean(self) -> float | None:
        """The paper's mean Ω in % over the same machine types; None where it lacks one of them."""
        return PAPER[self.name].mean(self.machines.keys()) if self.name in PAPER else None

    def figure(self, machine: str, epoch: Epoch = "omega") -> Figure:
        """The paper's figure beside ours for one machine type."""
        return Figure(self.paper(machine), _percent(self.machines[machine], epoch))

    def mean_figure(self, epoch: Epoch = "omega") -> Figure:
        """The paper's mean beside ours."""
        return Figure(self.paper_mean, _percent(self.mean, epoch))

    def figures(self, epoch: Epoch = "omega") -> Iterator[Figure]:
        """The row from left to right: each machine type, then the mean."""
        yield from (self.figure(machine, epoch) for machine in self.machines)
        yield self.mean_figure(epoch)

    def _mean(self, epoch: Epoch) -> float | None:
        found = [None if measured is None else measured.of(epoch) for measured in self.machines.values()]
        known = [value for value in found if value is not None]
        return fmean(known) if known and len(known) == len(found) else None


@dataclass(frozen=True, slots=True)
class Table1:
    """`rows` in the paper's order and then those that it doesn't have; `machines` likewise."""

    rows: tuple[Table1Row, ...]
    machines: tuple[str, ...]

    @property
    def mean_title(self) -> str:
        """The heading of the means' columns; it says over how many machine types they are."""
        return "Avg." if set(self.machines) == set(MACHINES) else f"mean of {len(self.machines)}"

    @property
    def mean_note(self) -> str:
        """Over which machine types the means are, and where the paper's come from."""
        strangers = [machine for machine in self.machines if machine not in MACHINES]
        if strangers:
            return (
                f"Means are over {_listed(self.machines)}; the paper has no {_listed(strangers)}, so no mean."
            )
        if len(self.machines) == len(MACHINES):
            return "Avg. is the mean over the seven machine types, the paper's as printed."
        return (
            f"Means are over {_listed(self.machines)} alone, the paper's too: computed from its figures, "
            "for the Avg. that it prints is over seven machine types."
        )


def build_table1(measured: Mapping[str, Mapping[str, Measured]], machines: Sequence[str] = ()) -> Table1:
    """Table 1 from what was measured: row name -> machine type -> Measured.

    All twelve rows of the paper are there, measured or not; a row of another name follows them without
    figures of the paper. machines: the machine types that were meant to be measured, for one that
    failed in every row must not fall out of the means; without it, those that `measured` has. Raises
    ScoreError where there is no machine type, or a name isn't printable text.
    """
    rows = [*PAPER, *(name for name in measured if name not in PAPER)]
    columns = _ordered([*machines, *(machine for of_row in measured.values() for machine in of_row)])
    if not columns:
        raise ScoreError("Table 1 needs at least one machine type, got none")
    for name in (*rows, *columns):
        if not name.strip() or not name.isprintable():
            raise ScoreError(f"a row or machine type must be named in printable text, got {name!r}")
    return Table1(tuple(_row(name, columns, measured.get(name, {})) for name in rows), columns)


def _row(name: str, machines: Sequence[str], measured: Mapping[str, Measured]) -> Table1Row:
    title = PAPER[name].title if name in PAPER else name
    return Table1Row(name, title, {machine: measured.get(machine) for machine in machines})


def _ordered(machines: Sequence[str]) -> tuple[str, ...]:
    """Each machine type once, the paper's in its order before the others in theirs."""
    given = dict.fromkeys(machines)
    return (*(m for m in MACHINES if m in given), *(m for m in given if m not in MACHINES))


def _percent(measured: Measured | None, epoch: Epoch) -> float | None:
    value = None if measured is None else measured.of(epoch)
    return None if value is None else round(100 * value, 2)


def _listed(names: Sequence[str]) -> str:
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)
