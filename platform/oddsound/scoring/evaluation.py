"""From score CSVs, with a ground truth or with labels in the names, to score tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from oddsound.errors import ScoreError
from oddsound.scoring.ground_truth import GroundTruth, read_ground_truth
from oddsound.scoring.score_files import check_grid, parse_scores
from oddsound.scoring.score_rows import Problem, ScoreFile, differences, last_line
from oddsound.scoring.table import ScoreTable
from oddsound.scoring.years import rules_of, year_named


def labelled_tables(
    files: Mapping[str, bytes],
    where: str,
    ground_truth: Path | None = None,
    year: str | None = None,
    complete: bool = True,
) -> dict[str, ScoreTable]:
    """The score table of each machine type, by name, of one system's CSVs (content by name).

    Tables hold test clips alone, labelled, without classes, under the rules of the year whose names the
    CSVs have. where: their folder, for messages. ground_truth: the organisers', as `read_ground_truth`
    takes it; without it labels and domains are those in the recordings' names, whose numbers must then run
    without a gap. year: refuse CSVs that are not named as in that year. complete: refuse sets that lack a
    cell. Raises ScoreError, by file and line, where a file is damaged or missing, names differ, or a class
    is missing; ConfigError for an unknown year.
    """
    found = parse_scores(files, where, gapless=ground_truth is None)
    _check_year(found[0], year)
    truth = read_ground_truth(ground_truth) if ground_truth is not None else None
    if complete:
        check_grid(where, [file.key for file in found])
        _check_all_scored(where, found, truth)
    machines = sorted({file.key.machine for file in found})
    return {machine: _table([f for f in found if f.key.machine == machine], truth) for machine in machines}


def _check_year(file: ScoreFile, year: str | None) -> None:
    if year is not None and (layout := year_named(year).layout) != file.key.layout:
        named = file.key._replace(layout=layout, domain=file.key.domain or "source").file("anomaly_score")
        raise ScoreError(f"{file.where}: CSVs of {year} are named like {named}; give another --year")


def _check_all_scored(where: str, files: Sequence[ScoreFile], truth: GroundTruth | None) -> None:
    """Of each machine type that is scored at all, all that the ground truth has must be."""
    scored = {file.key for file in files}
    machines = {key.machine for key in scored}
    for key in truth.labels if truth else ():
        if key.machine in machines and key not in scored:
            raise ScoreError(
                f"{where}: {key.file('anomaly_score')} is missing; the ground truth has its cell"
            )


def _table(files: Sequence[ScoreFile], truth: GroundTruth | None) -> ScoreTable:
    """Of the files of one machine type."""
    rows = [row for file in files for row in file.rows]
    return ScoreTable(
        machine=files[0].key.machine,
        classes=(),
        file=np.array([row.file for row in rows]),
        section=np.array([row.name.section for row in rows]),
        domain=np.array([domain for file in files for domain in _domains(file, truth)]),
        split=np.full(len(rows), "test"),
        label=np.array([label for file in files for label in labels(file, truth)], dtype=np.int8),
        score=np.array([row.value for row in rows], dtype=np.float64),
        probabilities=np.zeros((len(rows), 1, 0)),
        rules=rules_of(files[0].key.layout),
    )


def labels(scores: ScoreFile, truth: GroundTruth | None = None) -> list[int]:
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


def _domains(scores: ScoreFile, truth: GroundTruth | None) -> list[str]:
    known = truth.domains.get(scores.key, {}) if truth else {}
    for row in scores.rows:
        if row.name.domain and known.get(row.file, row.name.domain) != row.name.domain:
            what = f"{row.file}: its name and the ground truth disagree on its domain; use the right one"
            raise ScoreError(str(Problem(scores.where, row.line, what)))
    return [known.get(row.file, row.name.domain) for row in scores.rows]


def _labels_of_names(scores: ScoreFile) -> list[int]:
    for row in scores.rows:
        if row.name.label is None:
            what = f"{row.file} hides its label; give --ground-truth with the organisers' labels"
            raise ScoreError(str(Problem(scores.where, row.line, what)))
    return [int(row.name.label == "anomaly") for row in scores.rows]


def _labels_of_truth(scores: ScoreFile, truth: GroundTruth) -> list[int]:
    if scores.key not in truth.labels:
        raise ScoreError(f"{scores.where}: the ground truth has no {scores.key.file('ground_truth')}; add it")
    known = {row.file: int(row.value) for row in truth.labels[scores.key].rows}
    if problems := differences(scores, known, "the ground truth"):
        raise ScoreError(str(problems[0]))
    for row in scores.rows:
        if row.name.label is not None and known[row.file] != (row.name.label == "anomaly"):
            what = f"{row.file}: its name and the ground truth disagree; use the right ground truth"
            raise ScoreError(str(Problem(scores.where, row.line, what)))
    return [known[row.file] for row in scores.rows]
