"""The organisers' ground truths: labels of the evaluation recordings, and from 2022 on their domains.

2020        eval_data_list.csv: a line of a machine type alone, then `file, original name, label` lines
2021        ground_truth_<machine>_section_<NN>_<domain>_test.csv: `file,label` lines
2022 on     ground_truth_data/ground_truth_<machine>_section_<NN>_test.csv as in 2021, and the same names
            in ground_truth_domain/ with 0 for source and 1 for target
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from oddsound.errors import FileNameError, ScoreError
from oddsound.recordings.names import parse_score_name, shown
from oddsound.scoring.score_files import read_bytes, read_ground_truth_folder
from oddsound.scoring.score_rows import CellKey, Row, ScoreFile, differences

LIST_2020 = "eval_data_list.csv"
_DATA, _DOMAIN = "ground_truth_data", "ground_truth_domain"
_DOMAINS = ("source", "target")


@dataclass(frozen=True)
class GroundTruth:
    """`labels`: the label CSV of each cell. `domains`: source or target of each file of a cell of 2022
    and later, {} for other cells."""

    labels: dict[CellKey, ScoreFile]
    domains: dict[CellKey, dict[str, str]]


def read_ground_truth(folder: Path) -> GroundTruth:
    """The ground truth in `folder`: one of the three above; of 2022 on also ground_truth_data itself.

    Raises ScoreError, by file and line, where it is none of them, one is damaged, or the domains are
    missing or of other files than the labels.
    """
    if (folder / LIST_2020).is_file():
        return GroundTruth(_list_2020(folder / LIST_2020), {})
    data = folder / _DATA if (folder / _DATA).is_dir() else folder
    labels = read_ground_truth_folder(data)
    if all(key.layout != "2022" for key in labels):
        return GroundTruth(labels, {})
    return GroundTruth(labels, _domains(data.parent / _DOMAIN, labels))


def _domains(folder: Path, labels: dict[CellKey, ScoreFile]) -> dict[CellKey, dict[str, str]]:
    if not folder.is_dir():
        raise ScoreError(f"{shown(folder)}: no such folder; from 2022 on it says each recording's domain")
    read = read_ground_truth_folder(folder)
    found = {}
    for key, file in labels.items():
        if key not in read:
            raise ScoreError(f"{shown(folder)}: {key.file('ground_truth')} is missing; add it")
        if problems := differences(read[key], file.files, "the labels"):
            raise ScoreError(str(problems[0]))
        found[key] = {row.file: _DOMAINS[int(row.value)] for row in read[key].rows}
    return found


def _list_2020(path: Path) -> dict[CellKey, ScoreFile]:
    rows: dict[CellKey, list[Row]] = {}
    for machine, row in _rows_2020(path):
        key = CellKey(machine, row.name.section, row.name.domain, "2020")
        rows.setdefault(key, []).append(row)
    return {key: ScoreFile(shown(path), key, tuple(of_cell)) for key, of_cell in sorted(rows.items())}


def _rows_2020(path: Path) -> Iterator[tuple[str, Row]]:
    machine = ""
    text = read_bytes(path).decode("utf-8-sig", errors="backslashreplace")
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.strip().split(",")
        if len(fields) == 1 or not any(fields[1:]):
            machine = fields[0]
            continue
        if not machine or len(fields) != 3 or fields[2] not in ("0", "1"):
            raise ScoreError(f"{shown(path)}:{number}: not a machine type nor file,original name,0 or 1")
        try:
            name = parse_score_name(fields[0])
        except FileNameError as error:
            raise ScoreError(f"{shown(path)}:{number}: {error}") from error
        yield machine, Row(number, fields[0], float(fields[2]), name)
