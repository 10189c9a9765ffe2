"""`oddsound sync`: bring MLflow up to what a run folder holds."""

from __future__ import annotations

from pathlib import Path

import click

from oddsound.cli.talking import warn


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--tracking-uri", help="Another MLflow than the run's own.")
def sync(run: Path, tracking_uri: str | None) -> None:
    """Send MLflow the finished trials of RUN that it doesn't have, each exactly once.

    \b
      oddsound sync runs/first
      oddsound sync runs/first --tracking-uri http://127.0.0.1:5000

    It closes the run of a search that was killed and registers the best five of each machine type, too;
    `oddsound submit` registers S1-S4. What MLflow has already isn't sent again.
    """
    from oddsound.chatter import kept_in
    from oddsound.cli.stages import clip_counts, register, tracked_search, tracking
    from oddsound.ensemble.systems import TOP_K
    from oddsound.errors import TrackingError
    from oddsound.search.driver import sole_driver
    from oddsound.search.record import read_record
    from oddsound.tracking import sync as tracked
    from oddsound.tracking.store import canonical, open_store
    from oddsound.training.bundle import bundles

    record = read_record(run)
    with sole_driver(run), kept_in(run):
        store = open_store(canonical(tracking_uri), run) if tracking_uri else tracking(run, record)
        search = tracked_search(record)
        found = {machine: list(bundles(run / "trials", machine)) for machine in record.machines}
        report = tracked.sync(store, search, found, clip_counts(record))
        for machine, present in found.items():
            status = tracked.status_of(present, record.wanted.get(machine, 0))
            tracked.settle(store, search, machine, present, status, only_open=True)
        sent = report.uploaded.keys() | report.already
        whole = {m: [b for b in f if b.is_whole and b.path.name in sent] for m, f in found.items()}
        register(store, record, [machine for machine, there in whole.items() if there], TOP_K)
    click.echo(str(report))
    for trial, reason in report.failed.items():
        warn(f"failed: {trial}: {reason}")
    if report.failed:
        raise TrackingError(f"{len(report.failed)} trial(s) could not be sent, named above")
