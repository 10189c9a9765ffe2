"""`oddsound submission`: look at a challenge package before the organisers do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from oddsound.cli.options import machines_option
from oddsound.cli.talking import talk

if TYPE_CHECKING:
    from oddsound.scoring.score_rows import Problem
    from oddsound.submission.expected import Expected
    from oddsound.submission.reading import Package


@click.group()
def submission() -> None:
    """Check a submission package."""


@submission.command()
@click.argument("package", type=click.Path(path_type=Path))
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="The recordings that were scored: exactly their names must be there.",
)
@click.option(
    "--ground-truth",
    type=click.Path(path_type=Path),
    help="The organisers' labels, as `oddsound evaluate` takes them: exactly their names must be there.",
)
@click.option(
    "--year",
    help="Without --data and --ground-truth: the year whose evaluation set is expected, numbered without a "
    "gap (2021: 84 CSVs a system). By default the one that the CSVs' names are likest.",
)
@machines_option("all that --data has")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(
    package: Path,
    data: Path | None,
    ground_truth: Path | None,
    year: str | None,
    machines: list[str] | None,
    as_json: bool,
) -> None:
    """Check PACKAGE: a folder that holds task2/, the task2 folder, one system's folder, or a zip.

    \b
    Examples:
      oddsound submission check runs/first/submission --data data/dcase2021
      oddsound submission check Kim_EXU_task2.zip --ground-truth labels/
      oddsound submission check Kim_EXU_task2.zip --year 2022

    Prints each problem as file:line: what, and exits with 3; or prints one line for each system.
    """
    from oddsound.errors import SubmissionError
    from oddsound.scoring.years import year_named
    from oddsound.submission.check import check as problems_of
    from oddsound.submission.check import year_of
    from oddsound.submission.reading import read_package

    if machines and data is None:
        raise click.UsageError("--machines chooses among the machine types of --data; give --data too.")
    if sum(given is not None for given in (data, ground_truth, year)) > 1:
        raise click.UsageError(
            "--data, --ground-truth and --year each say what is expected; give one of them."
        )
    expected = _expected(data, ground_truth, machines)
    asked = year_named(year) if year else None
    read = read_package(package)
    if expected is None:
        asked = asked or year_of(read)
        talk(f"expected: the evaluation set of {asked.name}")
    problems = problems_of(read, expected, asked)
    click.echo(_json(read, problems) if as_json else _text(read, problems))
    if problems:
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        raise SubmissionError(f"{package}: {count}, listed above; mend them before the upload")


def _expected(data: Path | None, ground_truth: Path | None, machines: list[str] | None) -> Expected | None:
    from oddsound.cli.recordings import index_layout
    from oddsound.scoring.ground_truth import read_ground_truth
    from oddsound.submission.expected import of_data, of_ground_truth

    if data is not None:
        return of_data(index_layout(data, machines))
    return of_ground_truth(read_ground_truth(ground_truth)) if ground_truth is not None else None


def _text(package: Package, problems: list[Problem]) -> str:
    if problems:
        return "\n".join(str(problem) for problem in problems)
    return "\n".join(
        f"{label}: ok, {of['n_cells']} cells, {of['n_clips']} clips" for label, of in _counts(package).items()
    )


def _json(package: Package, problems: list[Problem]) -> str:
    import json

    listed = [problem._asdict() for problem in problems]
    return json.dumps({"ok": not problems, "systems": _counts(package), "problems": listed}, indent=1)


def _counts(package: Package) -> dict[str, dict[str, Any]]:
    counts = {}
    for label, files in sorted(package.systems.items()):
        scores = [content for name, content in files.items() if name.startswith("anomaly_score_")]
        counts[label] = {"n_cells": len(scores), "n_clips": sum(content.count(b"\n") for content in scores)}
    return counts
