"""Score CSVs and ground truths on disk: one file, or a folder of them; errors are `file:line: what`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from oddsound.errors import ScoreError
from oddsound.scoring.score_rows import CellKey, Kind, Row, ScoreFile, gaps, inspect, parse_file_name

MAX_BYTES = 16 * 2**20


def read_csv(path: Path) -> ScoreFile:
    """Read any of the three kinds of CSV; its name says which. ScoreError: `file:line: what`."""
    named = parse_file_name(path.name)
    if named is None:
        raise ScoreError(
            f"{path}: not a score file's name; expected e.g. anomaly_score_fan_section_00_source_test.csv"
        )
    kind, key = named
    scores, problems = inspect(read_bytes(path), str(path), kind, key)
    if kind != "ground_truth":
        problems = problems or gaps(scores)
    if problems:
        raise ScoreError(str(problems[0]))
    return scores


def read_bytes(path: Path) -> bytes:
    """The file's content. ScoreError where it can't be read or is larger than 16 MiB."""
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise ScoreError(f"{path}: can't be read ({error.strerror})") from error
    if len(content) > MAX_BYTES:
        raise ScoreError(f"{path}: larger than {MAX_BYTES} bytes; not a score file")
    return content


def read_scores(path: Path) -> tuple[Row, ...]:
    """The rows of one score CSV in its own order. Raises ScoreError: `file:line: what; what to do`."""
    return read_csv(path).rows


def read_score_folder(folder: Path) -> list[ScoreFile]:
    """Every `anomaly_score_*.csv` of `folder`, by machine type, section and domain; others are left alone.

    Raises ScoreError where there is none, one is damaged, a cell stands twice, or a machine type lacks
    a domain that it has in another section.
    """
    scores = _read_all(folder, "anomaly_score")
    _check_grid(folder, [file.key for file in scores])
    return scores


def read_ground_truth_folder(folder: Path) -> dict[CellKey, ScoreFile]:
    """Every `ground_truth_*.csv` of `folder`; values are 0 (normal) and 1 (anomaly). ScoreError as above."""
    return {file.key: file for file in _read_all(folder, "ground_truth")}


def _read_all(folder: Path, kind: Kind) -> list[ScoreFile]:
    paths = sorted(folder.glob(f"{kind}_*.csv")) if folder.is_dir() else []
    if not paths:
        missing = "has no" if folder.is_dir() else "is not a folder with"
        raise ScoreError(
            f"{folder}: {missing} {kind}_<machine>_section_<NN>_<domain>_test.csv; name the folder"
        )
    files: dict[CellKey, ScoreFile] = {}
    for path in paths:
        file = read_csv(path)
        if file.key in files:
            raise ScoreError(f"{path}: the same cell as {files[file.key].where}; remove one of them")
        files[file.key] = file
    return [files[key] for key in sorted(files)]


def _check_grid(folder: Path, keys: Sequence[CellKey]) -> None:
    """A machine type that lacks a CSV would get a mean over the rest, which looks like a result."""
    present = set(keys)
    for machine in sorted({key.machine for key in keys}):
        of_machine = [key for key in keys if key.machine == machine]
        for section in sorted({key.section for key in of_machine}):
            for domain in sorted({key.domain for key in of_machine}):
                if (key := CellKey(machine, section, domain)) not in present:
                    raise ScoreError(f"{folder}: {key.file('anomaly_score')} is missing; add it")
