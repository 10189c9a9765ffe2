"""Whether members are of the same clips, in the same order, with the same classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from oddsound.errors import ScoreError
from oddsound.scoring.table import ScoreTable

_COLUMNS = ("file", "section", "domain", "split", "label")


def check_aligned(tables: Sequence[ScoreTable]) -> None:
    """Raises ScoreError that names the first member that differs from the first one, and in what."""
    for position, table in enumerate(tables[1:], start=2):
        _check(tables[0], table, position)


def _check(first: ScoreTable, other: ScoreTable, position: int) -> None:
    def differ(what: str) -> ScoreError:
        return ScoreError(f"{first.machine}: member {position} and member 1 differ in {what}; can't be fused")

    if other.machine != first.machine:
        raise differ(f"machine type ({other.machine}, {first.machine})")
    if other.classes != first.classes:
        raise differ(f"classes ({', '.join(other.classes)}; {', '.join(first.classes)})")
    if len(other) != len(first):
        raise differ(f"the number of clips ({len(other)}, {len(first)})")
    for name in _COLUMNS:
        if (column := getattr(other, name)) is getattr(first, name):
            continue
        unlike = np.flatnonzero(column != getattr(first, name))
        if unlike.size:
            row = int(unlike[0])
            raise differ(f"the {name} of row {row + 1} ({other.file[row]}, {first.file[row]})")
