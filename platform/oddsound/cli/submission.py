"""`oddsound submission`: look at a challenge package before the organisers do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from oddsound.cli.options import machines_option

if TYPE_CHECKING:
    from oddsound.scoring.score_rows import Problem
    from oddsound.submission.reading import Package


@click.group()
def submission() -> None:
    """Check a submission package."""


@submission.command()
@click.argument("package", type=click.Path(path_type=Path))
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="The recordings that were scored: exactly their names must be there. Without it the evaluation "
    "set of 2021 is expected: 84 CSVs, numbered from 0 without a gap.",
)
@machines_option("all that --data has")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(package: Path, data: Path | None, machines: list[str] | None, as_json: bool) -> None:
    """Check PACKAGE: a folder that holds task2/, the task2 folder, one system's folder, or a zip.

    Prints each problem as file:line: what, and exits with 3; or prints one line for each system.
    """
    from oddsound.errors import SubmissionError
    from oddsound.recordings.index import index_folder
    from oddsound.submission.check import check as problems_of
    from oddsound.submission.expected import of_data
    from oddsound.submission.reading import read_package

    if machines and data is None:
        raise click.UsageError("--machines chooses among the machine types of --data; give --data too.")
    expected = None if data is None else of_data(index_folder(data, machines))
    read = read_package(package)
    problems = problems_of(read, expected)
    click.echo(_json(read, problems) if as_json else _text(read, problems))
    if problems:
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        raise SubmissionError(f"{package}: {count}, listed above; mend them before the upload")


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
