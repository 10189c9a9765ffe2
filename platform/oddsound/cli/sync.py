"""`oddsound sync`: bring MLflow up to what a run folder holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oddsound.tracking.runs import Status
    from oddsound.training.bundle import Bundle


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--tracking-uri", help="Another MLflow than the run's own.")
def sync(run: Path, tracking_uri: str | None) -> None:
    """Send MLflow the finished trials of RUN that it doesn't have, each exactly once.

    \b
      oddsound sync runs/first
      oddsound sync runs/first --tracking-uri http://127.0.0.1:5000
    """
    from oddsound.cli.stages import clip_counts, tracked_search, tracking
    from oddsound.errors import TrackingError
    from oddsound.search.driver import sole_driver
    from oddsound.search.record import read_record
    from oddsound.tracking import sync as tracked
    from oddsound.tracking.runs import close_search
    from oddsound.tracking.store import canonical, open_store
    from oddsound.training.bundle import bundles

    record = read_record(run)
    with sole_driver(run):
        store = open_store(canonical(tracking_uri), run) if tracking_uri else tracking(run, record)
        search = tracked_search(record)
        found = {machine: list(bundles(run / "trials", machine)) for machine in record.machines}
        found = {machine: present for machine, present in found.items() if present}
        report = tracked.sync(store, search, found, clip_counts(record))
        for machine, present in found.items():
            close_search(store, search, machine, present, _status(present))
    click.echo(str(report))
    for trial, reason in report.failed.items():
        click.echo(f"failed: {trial}: {reason}", err=True)
    if report.failed:
        raise TrackingError(f"{len(report.failed)} trial(s) could not be sent, named above")


def _status(present: Sequence[Bundle]) -> Status:
    """How the search stands, by its bundles: some failed, some were cut short, or all are finished."""
    unfinished = [bundle for bundle in present if not (bundle.is_whole or bundle.is_stopped)]
    if not unfinished:
        return "FINISHED"
    return "FAILED" if all(bundle.failure() for bundle in unfinished) else "KILLED"
