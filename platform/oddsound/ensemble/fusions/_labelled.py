"""The labelled test clips that a fusion learns from, and Ω of many score vectors over them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oddsound.errors import ScoreError
from oddsound.scoring.curves import omegas
from oddsound.scoring.omega import Term, refuse_missing, terms
from oddsound.scoring.table import UNKNOWN, ScoreTable

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Labelled:
    """rows: (n,) those of the table whose Ω is meant; terms: of these n."""

    rows: NDArray[np.intp]
    terms: tuple[Term, ...]

    @classmethod
    def of(cls, table: ScoreTable, rows: NDArray[np.intp]) -> Labelled:
        """Raises ScoreError where a term lacks a class."""
        made = terms(table.section[rows], table.domain[rows], table.label[rows], table.rules)
        refuse_missing(table.machine, made)
        return cls(rows, made)

    def omegas(self, scores: Float) -> Float:
        """(m,) Ω. scores: (m, n)."""
        return omegas(scores, self.terms)


def labelled(fusion: str, table: ScoreTable) -> Labelled:
    """All labelled test clips, sorted by file name, lest what is learned depend on the order of the table's
    clips in the last bit. Raises ScoreError where there are none."""
    rows = np.flatnonzero((table.split == "test") & (table.label != UNKNOWN))
    rows = rows[np.argsort(table.file[rows], kind="stable")]
    if not rows.size:
        raise ScoreError(
            f"{table.machine}: fusion {fusion} learns from labelled test clips and there are none; take one "
            "that doesn't (mean_zscore, mean_rank), or fit it where the labels are known"
        )
    return Labelled.of(table, rows)
