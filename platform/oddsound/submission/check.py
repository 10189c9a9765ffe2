"""What the organisers' evaluator doesn't look at: names, counts, numbers, meta.yaml.

It compares sorted order and length alone, so that a wrong file name or a swapped section passes it
silently and costs the rank. Every problem is found, not the first one only.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from oddsound.config import validated
from oddsound.errors import ConfigError
from oddsound.scoring.score_rows import (
    CellKey,
    Kind,
    Problem,
    ScoreFile,
    differences,
    gaps,
    inspect,
    parse_file_name,
)
from oddsound.scoring.years import Year, has_decisions
from oddsound.submission.authors import LABEL
from oddsound.submission.expected import Expected, evaluation_set, year_of_files
from oddsound.submission.meta import Meta
from oddsound.submission.reading import Package, read_package
from oddsound.yaml_files import parse_yaml

Files = dict[tuple[Kind, CellKey], ScoreFile]
MAX_SYSTEMS = 4
MAX_SHOWN = 5


def check_package(path: Path, expected: Expected | None = None, year: Year | None = None) -> list[Problem]:
    """All that is wrong with the package at `path`; [] for one that can be uploaded.

    path: a folder that holds task2/, the task2 folder, one system's folder, or a zip. expected: the
    names of each cell's recordings; without it the CSVs of the evaluation set of `year`, by default the
    one that the CSVs' names are likest, whose recordings must then be numbered without a gap. Raises
    SubmissionError where no package is there.
    """
    return check(read_package(path), expected, year)


def check(package: Package, expected: Expected | None = None, year: Year | None = None) -> list[Problem]:
    """As `check_package`, of a package that has been read."""
    year = year or year_of(package)
    cells = evaluation_set(year) if expected is None else expected
    problems = [*package.problems, *_labels(package)]
    first: tuple[str, Files] | None = None
    for label, contents in sorted(package.systems.items()):
        files, found = _system(label, contents, cells, year.first_number)
        problems += found
        if first is None:
            first = (label, files)
        else:
            problems += _unlike(files, *first, cells)
    return problems


def year_of(package: Package) -> Year:
    """The year whose evaluation set the package's CSVs are likest."""
    return year_of_files(name for contents in package.systems.values() for name in contents)


def _kinds(key: CellKey) -> tuple[Kind, ...]:
    return ("anomaly_score", "decision_result") if has_decisions(key.layout) else ("anomaly_score",)


def _labels(package: Package) -> list[Problem]:
    matches = {label: LABEL.fullmatch(label) for label in sorted(package.systems)}
    problems = [
        Problem(label, 1, "not a label; name the folder <Lastname>_<INST>_task2_<1-4>, plain letters")
        for label, match in matches.items()
        if match is None
    ]
    teams = {match["team"] for match in matches.values() if match}
    if len(teams) > 1:
        what = f"systems of {' and '.join(sorted(teams))}; a package is of one team, so name them alike"
        problems.append(Problem(max(matches), 1, what))
    if len(matches) > MAX_SYSTEMS:
        what = f"{len(matches)} systems; at most {MAX_SYSTEMS} are taken, so remove some"
        problems.append(Problem(max(matches), 1, what))
    return problems


def _system(
    label: str, contents: dict[str, bytes], cells: Expected, first_number: int | None
) -> tuple[Files, list[Problem]]:
    """The readable CSVs of one system and all that is wrong within it."""
    files: Files = {}
    problems = _meta(label, contents)
    for name, content in sorted(contents.items()):
        named, where = parse_file_name(name), f"{label}/{name}"
        if named is None or named[0] not in _kinds(named[1]) or named[1].file(named[0]) != name:
            if name != f"{label}.meta.yaml" and not name.endswith(".pdf"):
                problems.append(Problem(where, 1, "no file of a system has this name; remove or rename it"))
        elif named[1] not in cells:
            problems.append(
                Problem(where, 1, "this machine type, section or domain isn't asked for; remove it")
            )
        else:
            scores, found = inspect(content, where, *named)
            if not found:
                files[named] = scores
            problems += _first(found or _names(scores, cells[named[1]], first_number))
    return files, problems + _missing(label, contents, cells) + _undecided(files, cells)


def _first(problems: list[Problem]) -> list[Problem]:
    """The first few of one file's: a wrong column is wrong in each of 200 lines."""
    if len(problems) <= MAX_SHOWN:
        return problems
    last = problems[MAX_SHOWN - 1]
    more = f"{last.what} (and {len(problems) - MAX_SHOWN} more problems in this file)"
    return [*problems[: MAX_SHOWN - 1], last._replace(what=more)]


def _names(scores: ScoreFile, names: Iterable[str] | None, first_number: int | None) -> list[Problem]:
    """The names against those that are expected, or else against what the names of the year must be."""
    if names is not None:
        return differences(scores, names, "the expected recordings")
    hides_domain = scores.key.layout == "2022"
    for row in scores.rows:
        if row.name.label is not None or (hides_domain and row.name.domain):
            told = "label" if row.name.label else "domain"
            what = f"{row.file} says its {told}, which evaluation clips hide; give the package's --data"
            return [Problem(scores.where, row.line, what)]
    return gaps(scores, first_number)


def _missing(label: str, contents: dict[str, bytes], cells: Expected) -> list[Problem]:
    wanted = (f"{label}/{key.file(kind)}" for key in sorted(cells) for kind in _kinds(key))
    return [
        Problem(where, 1, "is missing; add it") for where in wanted if where.split("/", 1)[1] not in contents
    ]


def _undecided(files: Files, cells: Expected) -> list[Problem]:
    """Score and decision file of a cell must name the same recordings."""
    problems = []
    for (kind, key), decisions in files.items():
        scores = files.get(("anomaly_score", key))
        if kind == "decision_result" and scores is not None and cells[key] is None:
            problems += differences(decisions, scores.files, "its score file")
    return problems


def _unlike(files: Files, label: str, first: Files, cells: Expected) -> list[Problem]:
    """All systems must score the same recordings."""
    return [
        problem
        for (kind, key), scores in files.items()
        if kind == "anomaly_score" and (kind, key) in first and cells[key] is None
        for problem in differences(scores, first[kind, key].files, label)
    ]


def _meta(label: str, contents: dict[str, bytes]) -> list[Problem]:
    where = f"{label}/{label}.meta.yaml"
    content = contents.get(f"{label}.meta.yaml")
    if content is None:
        return [Problem(where, 1, "is missing; add it")]
    try:
        document = parse_yaml(content.decode("utf-8"), "")
        meta = validated(Meta, document if isinstance(document, dict) else {}, "")
    except UnicodeDecodeError as error:
        return [Problem(where, 1, f"not UTF-8 ({error.reason}); save it as UTF-8")]
    except ConfigError as error:
        return [_at_line(where, str(error))]
    if meta.submission.label != label:
        line = _line_of(content, b"label:")
        return [
            Problem(where, line, f"label {meta.submission.label}, but the folder is {label}; make them one")
        ]
    return []


def _at_line(where: str, message: str) -> Problem:
    """parse_yaml says `:line:column: what`, a model `: key: what`."""
    _, line, rest = message.split(":", 2) if message.count(":") > 1 else ("", "1", message)
    if line.isdigit():
        return Problem(where, int(line), f"{rest.split(':', 1)[-1].strip()}; mend the YAML")
    what = message.removeprefix(": ")
    return Problem(where, 1, f"{what[:200]}{'…' * (len(what) > 200)}; see the challenge's example")


def _line_of(content: bytes, key: bytes) -> int:
    return content[: max(content.find(key), 0)].count(b"\n") + 1
