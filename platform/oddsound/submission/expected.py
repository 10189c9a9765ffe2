"""Which cells and recordings a package must hold: a year's, a ground truth's, or a data folder's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from oddsound.recordings.index import DataIndex
from oddsound.recordings.names import layout_of
from oddsound.scoring.ground_truth import GroundTruth
from oddsound.scoring.score_rows import CellKey, parse_file_name
from oddsound.scoring.years import YEARS, Year, year_of

Expected = Mapping[CellKey, frozenset[str] | None]
"""The names of each cell's recordings, or None where only the cell is known."""


def evaluation_set(year: Year) -> Expected:
    """The cells of a year's evaluation set; of 2021: 7 machine types × sections 03–05 × 2 domains."""
    domains = ("source", "target") if year.layout == "2021" else ("source",)
    return {
        CellKey.of(machine, section, domain, year.layout): None
        for machine, sections in year.sections.items()
        for section in sections
        for domain in domains
    }


def year_of_files(names: Iterable[str]) -> Year:
    """The year that CSVs of these names are likest; 2021 where no name is of any."""
    keys = [named[1] for name in names if (named := parse_file_name(name)) is not None]
    if not keys:
        return YEARS["2021"]
    layouts = [key.layout for key in keys]
    layout = max(sorted(set(layouts)), key=layouts.count)
    return year_of(layout, {(key.machine, key.section) for key in keys})


def of_ground_truth(truth: GroundTruth) -> Expected:
    """Every cell of the ground truth with the names that it has."""
    return {key: file.files for key, file in sorted(truth.labels.items())}


def of_data(index: DataIndex) -> Expected:
    """Every cell of the index's evaluation clips where it has any, else of its development test clips."""
    test = [clip for clip in index.clips if clip.split == "test"]
    clips = [clip for clip in test if clip.label is None] or test
    layouts = {machine: layout_of(index.of(machine)) for machine in index.machines}
    names: dict[CellKey, set[str]] = {}
    for clip in clips:
        key = CellKey.of(clip.machine, clip.section, clip.domain, layouts[clip.machine])
        names.setdefault(key, set()).add(clip.file)
    return {key: frozenset(files) for key, files in sorted(names.items())}
