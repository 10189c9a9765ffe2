"""`oddsound sync`: bring MLflow up to what a run folder holds."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--tracking-uri", help="Another MLflow than the run's own.")
def sync(run: Path, tracking_uri: str | None) -> None:
    """Send MLflow the finished trials of RUN that it doesn't have, each exactly once.

    \b
      oddsound sync runs/first
      oddsound sync runs/first --tracking-uri http://127.0.0.1:5000
    """
    from oddsound.cli.stages import tracking
    from oddsound.errors import TrackingError
    from oddsound.search.record import read_record, sole_driver
    from oddsound.tracking import sync as tracked
    from oddsound.tracking.layout import Search
    from oddsound.tracking.runs import close_search
    from oddsound.tracking.store import open_store
    from oddsound.training.bundle import bundles

    record = read_record(run)
    with sole_driver(run):
        store = open_store(tracking_uri, run) if tracking_uri else tracking(run, record)
        search = Search(record.search, record.dataset)
        found = {machine: list(bundles(run / "trials", machine)) for machine in record.machines}
        report = tracked.sync(store, search, found)
        for machine, present in found.items():
            close_search(store, search, machine, present, "FINISHED")
    click.echo(str(report))
    for trial, reason in report.failed.items():
        click.echo(f"failed: {trial}: {reason}", err=True)
    if report.failed:
        raise TrackingError(f"{len(report.failed)} trial(s) could not be sent, named above")
