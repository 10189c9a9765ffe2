"""`oddsound submit`: S1-S4 of a run as the challenge's package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oddsound.search.record import RunRecord

TOP_K = 5


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--authors", type=click.Path(path_type=Path), help="YAML of the authors; see the README.")
@click.option("--pin", "pinned", multiple=True, metavar="MACHINE", help="Submit S1's model for it in S2-S4 too.")
def submit(run: Path, authors: Path | None, pinned: tuple[str, ...]) -> None:
    """Fuse the five best trials of each machine type of RUN into S1-S4 and write the package.

    \b
      oddsound submit runs/first --authors authors.yaml
    """
    from oddsound.search.record import read_record, sole_driver

    record = read_record(run)
    with sole_driver(run):
        submit_run(run, record, read_authors(authors), pinned)


def submit_run(run: Path, record: RunRecord, authors: Any, pinned: Sequence[str]) -> None:
    """Register the best, build S1-S4, write the package below RUN/submission, print the omega table."""
