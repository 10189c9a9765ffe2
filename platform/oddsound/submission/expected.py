"""Which cells and recordings a package must hold: the challenge's of 2021, or a data folder's."""

from __future__ import annotations

from collections.abc import Mapping

from oddsound.recordings.index import DataIndex
from oddsound.scoring.score_rows import CellKey

Expected = Mapping[CellKey, frozenset[str] | None]
"""The names of each cell's recordings, or None where only the cell is known."""

MACHINES_2021 = ("fan", "gearbox", "pump", "slider", "ToyCar", "ToyTrain", "valve")


def official_2021() -> Expected:
    """The 42 cells of the evaluation set of 2021: 7 machine types × sections 03–05 × 2 domains."""
    return {
        CellKey(machine, section, domain): None
        for machine in MACHINES_2021
        for section in ("03", "04", "05")
        for domain in ("source", "target")
    }


def of_data(index: DataIndex) -> Expected:
    """Every cell of the index's evaluation clips where it has any, else of its development test clips."""
    test = [clip for clip in index.clips if clip.split == "test"]
    clips = [clip for clip in test if clip.label is None] or test
    names: dict[CellKey, set[str]] = {}
    for clip in clips:
        names.setdefault(CellKey(clip.machine, clip.section, clip.domain), set()).add(clip.file)
    return {key: frozenset(files) for key, files in sorted(names.items())}
