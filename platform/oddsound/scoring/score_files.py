"""Score CSVs by name and content, and how complete a set of them is; errors are `file:line: what`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from oddsound.errors import ScoreError
from oddsound.recordings.names import shown
from oddsound.scoring.score_rows import CellKey, Kind, Row, ScoreFile, gaps, inspect, parse_file_name

MAX_BYTES = 16 * 2**20


def parse_csv(name: str, content: bytes, where: str, gapless: bool = True) -> ScoreFile:
    """Read any of the three kinds of CSV; its `name` says which. ScoreError: `where:line: what`.

    gapless: the recordings of scores and decisions must be numbered as `gaps` has it.
    """
    named = parse_file_name(name)
    if named is None:
        raise ScoreError(
            f"{shown(where)}: not a score file's name; expected e.g. "
            "anomaly_score_fan_section_00_source_test.csv (2021), anomaly_score_fan_section_00_test.csv "
            "(2022 on) or anomaly_score_fan_id_00.csv (2020)"
        )
    kind, key = named
    scores, problems = inspect(content, shown(where), kind, key)
    if gapless and kind != "ground_truth":
        problems = problems or gaps(scores)
    if problems:
        raise ScoreError(str(problems[0]))
    return scores


def read_csv(path: Path) -> ScoreFile:
    """As `parse_csv`, of the file at `path`."""
    return parse_csv(path.name, read_bytes(path), str(path))


def read_bytes(path: Path) -> bytes:
    """The file's content. ScoreError where it can't be read or is larger than 16 MiB."""
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise ScoreError(f"{shown(path)}: can't be read ({error.strerror})") from error
    if len(content) > MAX_BYTES:
        raise ScoreError(f"{shown(path)}: larger than {MAX_BYTES} bytes; not a score file")
    return content


def read_scores(path: Path) -> tuple[Row, ...]:
    """The rows of one score CSV in its own order. Raises ScoreError: `file:line: what; what to do`."""
    return read_csv(path).rows


def parse_scores(files: Mapping[str, bytes], where: str, gapless: bool = True) -> list[ScoreFile]:
    """Every `anomaly_score_*.csv` of `files` (by name), in the order of machine type, section and domain.

    where: their folder, for messages. gapless: as `parse_csv` has it. Other files are left alone. Raises
    ScoreError where there is none, one is damaged, a cell stands twice, or they are named as in several
    years.
    """
    names = sorted(name for name in files if _is_of(name, "anomaly_score"))
    found = by_cell([parse_csv(name, files[name], f"{where}/{name}", gapless) for name in names])
    if not found:
        raise ScoreError(f"{shown(where)}: has no anomaly_score_*.csv; give the folder or zip that has them")
    layouts = {key.layout: file.where for key, file in found.items()}
    if len(layouts) > 1:
        one, other = list(layouts.values())[:2]
        raise ScoreError(f"{one} and {other}: named as in two years; give one year's at a time")
    return [found[key] for key in sorted(found)]


def by_cell(files: Iterable[ScoreFile]) -> dict[CellKey, ScoreFile]:
    """The files by their cells. Raises ScoreError where a cell stands twice."""
    found: dict[CellKey, ScoreFile] = {}
    for file in files:
        if file.key in found:
            raise ScoreError(f"{file.where}: the same cell as {found[file.key].where}; remove one of them")
        found[file.key] = file
    return found


def read_ground_truth_folder(folder: Path) -> dict[CellKey, ScoreFile]:
    """Every `ground_truth_*.csv` of `folder`; values are 0 and 1. ScoreError as above."""
    paths = (
        sorted(path for path in folder.iterdir() if _is_of(path.name, "ground_truth"))
        if (folder.is_dir())
        else []
    )
    if not paths:
        missing = "has no" if folder.is_dir() else "is not a folder with"
        raise ScoreError(
            f"{shown(folder)}: {missing} ground_truth_<machine>_section_<NN>_<domain>_test.csv (from 2022 on "
            "without the domain); name the folder"
        )
    return by_cell(read_csv(path) for path in paths)


def check_grid(where: str, keys: Sequence[CellKey]) -> None:
    """Raises ScoreError where a machine type lacks a domain that it has in another section.

    It would get a mean over the rest, which looks like a result.
    """
    present = set(keys)
    for key in sorted(
        {key._replace(domain=other.domain) for key in keys for other in keys if key.machine == other.machine}
    ):
        if key not in present:
            raise ScoreError(f"{shown(where)}: {key.file('anomaly_score')} is missing; add it")


def _is_of(name: str, kind: Kind) -> bool:
    return name.startswith(f"{kind}_") and name.endswith(".csv")
