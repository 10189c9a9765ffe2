"""From a folder of score CSVs, with a ground truth or with labels in the names, to AUC and pAUC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from oddsound.errors import ScoreError
from oddsound.scoring.metrics import Definition
from oddsound.scoring.omega import Cell, cells_of, terms
from oddsound.scoring.score_files import read_ground_truth_folder, read_score_folder
from oddsound.scoring.score_rows import CellKey, Problem, ScoreFile, differences, last_line


def evaluate_folder(
    scores: Path, ground_truth: Path | None = None, definition: Definition = "official"
) -> tuple[Cell, ...]:
    """One cell for each score CSV of the folder `scores`, by machine type, section and domain.

    Without `ground_truth` the labels are those in the files' names. Raises ScoreError where a file is
    damaged or missing, the sets of names differ, or a class is missing.
    """
    files = read_score_folder(scores)
    truth = read_ground_truth_folder(ground_truth) if ground_truth is not None else None
    if truth is not None:
        _check_all_scored(scores, files, truth)
    return tuple(made for file in files for made in _cells(file, labels(file, truth), definition))


def _cells(file: ScoreFile, labels: Sequence[int], definition: Definition) -> tuple[Cell, ...]:
    section, domain = (np.full(len(labels), name) for name in (file.key.section, file.key.domain))
    found = terms(section, domain, np.array(labels, dtype=np.int8))
    return cells_of(file.key.machine, found, np.array([row.value for row in file.rows]), definition)


def _check_all_scored(folder: Path, files: Sequence[ScoreFile], truth: Mapping[CellKey, ScoreFile]) -> None:
    """Of each machine type that is scored at all, all that the ground truth has must be."""
    scored = {file.key for file in files}
    machines = {key.machine for key in scored}
    for key in truth:
        if key.machine in machines and key not in scored:
            raise ScoreError(
                f"{folder}: {key.file('anomaly_score')} is missing; the ground truth has its cell"
            )


def labels(scores: ScoreFile, truth: Mapping[CellKey, ScoreFile] | None = None) -> list[int]:
    """The label of each row, 0 or 1: from the ground truth, or without one from the names.

    Raises ScoreError, by file and line, where the two sets of files differ, a name hides its label or
    contradicts the truth, or a class is missing.
    """
    found = _labels_of_names(scores) if truth is None else _labels_of_truth(scores, truth)
    for value, name in ((0, "normal"), (1, "anomalous")):
        if value not in found:
            what = f"the file ends without {name} clip; AUC needs both classes"
            raise ScoreError(str(Problem(scores.where, last_line(scores), what)))
    return found


def _labels_of_names(scores: ScoreFile) -> list[int]:
    for row in scores.rows:
        if row.name.label is None:
            what = f"{row.file} hides its label; give --ground-truth with the organisers' labels"
            raise ScoreError(str(Problem(scores.where, row.line, what)))
    return [int(row.name.label == "anomaly") for row in scores.rows]


def _labels_of_truth(scores: ScoreFile, truth: Mapping[CellKey, ScoreFile]) -> list[int]:
    if scores.key not in truth:
        raise ScoreError(f"{scores.where}: the ground truth has no {scores.key.file('ground_truth')}; add it")
    known = {row.file: int(row.value) for row in truth[scores.key].rows}
    if problems := differences(scores, known, "the ground truth"):
        raise ScoreError(str(problems[0]))
    for row in scores.rows:
        if row.name.label is not None and known[row.file] != (row.name.label == "anomaly"):
            what = f"{row.file}: its name and the ground truth disagree; use the right ground truth"
            raise ScoreError(str(Problem(scores.where, row.line, what)))
    return [known[row.file] for row in scores.rows]
