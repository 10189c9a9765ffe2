"""`oddsound submit`: S1-S4 of a run as the challenge's package."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import click

from oddsound.cli.talking import typed, warn
from oddsound.cli.wanted import Choice, Effort, Wanted, choice_options, effort_options, system_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oddsound.cli.estimates import Estimates
    from oddsound.ensemble.systems import MachineSystem, System
    from oddsound.scoring.threshold import Method
    from oddsound.search.record import RunRecord
    from oddsound.submission.authors import Authors
    from oddsound.submission.package import Submission


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--authors", type=click.Path(path_type=Path), help="YAML of the authors; see docs/submit.md.")
@click.option("--tracking-uri", help="Another MLflow than the run's own, that a sync has sent the run to.")
@click.option("--pin", "pinned", multiple=True, metavar="MACHINE", help="Take S1's model for it in S2-S4.")
@choice_options
@system_options
@effort_options
def submit(
    run: Path,
    authors: Path | None,
    tracking_uri: str | None,
    pinned: tuple[str, ...],
    top_k: int,
    metric: str,
    searches: tuple[str, ...],
    strict: bool,
    fusions: tuple[str, ...] | None,
    threshold: Method,
    resamples: int,
    splits: int,
) -> None:
    """Fuse the five best trials of each machine type of RUN into S1-S4 and write the package.

    \b
      oddsound submit runs/first --authors authors.yaml
      oddsound submit runs/first --pin valve --threshold empirical
      oddsound submit runs/first --from runs/second --from runs/third --top-k 3
      oddsound submit runs/first --fusions best,mean_rank,greedy,mean_softmax

    Where a fusion is worse than the best single model, S1's, that one is submitted. Omegas are printed
    with 95 % bootstrap intervals and without what choosing on the labelled clips adds to them.
    """
    from oddsound.chatter import kept_in
    from oddsound.search.driver import sole_driver
    from oddsound.search.record import read_record
    from oddsound.submission.authors import read_authors
    from oddsound.tracking.store import canonical

    record = read_record(run)
    if tracking_uri:
        record.tracking_uri = canonical(tracking_uri)
    wanted = Wanted(
        Choice(top_k, metric, searches, strict),
        fusions,
        threshold,
        Effort(resamples, splits),
    )
    with sole_driver(run), kept_in(run):
        submit_run(run, record, read_authors(authors), pinned, wanted)


def submit_run(
    run: Path, record: RunRecord, authors: Authors, pinned: Sequence[str], wanted: Wanted | None = None
) -> None:
    """Register the best, fuse S1-S4, write the package to RUN/submission, print what is known of them."""
    from oddsound.cli import stages
    from oddsound.cli.choosing import build, checked
    from oddsound.cli.estimates import caveats, estimate_systems
    from oddsound.cli.listing import write_listing
    from oddsound.cli.systems import register
    from oddsound.ensemble.systems import TOP_K
    from oddsound.errors import BundleError
    from oddsound.submission.package import write_submission

    wanted = wanted or Wanted()
    machines = stages.searched(run, record)
    if not machines:
        raise BundleError(f"{run}: no finished trial yet; run the search to its end first")
    refuse_unknown(pinned, record)
    store = stages.tracking(run, record)
    stages.register(store, record, machines, TOP_K)
    choice = checked(wanted.choice, store)
    all_trials = wanted.effort.splits > 0
    systems, found = build(
        store, run, record, machines, choice, pinned, wanted.fusions, all_trials=all_trials
    )
    estimates = estimate_systems(systems, found, choice, wanted.effort, pinned)
    written = write_submission(systems, run / "submission", authors, method=wanted.threshold)
    listing = write_listing(systems, estimates, run / "submission")
    click.echo("\n".join(_report(systems, estimates)))
    for line in caveats({m: of.table for m, of in systems[0].machines.items()}, record.made_up()):
        warn(line)
    if any("configurations" in record.machines[machine] for machine in machines):
        warn("An earlier search chose these trials: what that choice adds is not in these figures.")
    stages.talk("")
    stages.talk("registering S1 to S4 as models")
    register(store, run, record, systems, found, written.archive, wanted.threshold)
    _say_where(run, record, written, listing, placeholder=authors.is_placeholder)


def _report(systems: Sequence[System], estimates: Estimates) -> list[str]:
    """The omega of each machine type and system, how sure the means are, and the systems' members."""
    from oddsound.cli.estimates import explained, table_of
    from oddsound.cli.listing import members_table

    names = {f"S{system.number}": f"S{system.number} {system.name}" for system in systems}
    lines = [*omega_table(systems), ""]
    if estimates:
        lines += [*table_of(estimates, names), *explained(estimates), ""]
    return lines + members_table(systems)


def refuse_unknown(pinned: Sequence[str], record: RunRecord) -> None:
    """Raises ConfigError for a pinned machine type that the run doesn't have."""
    from oddsound.errors import ConfigError

    for name in sorted(set(pinned) - record.machines.keys()):
        raise ConfigError(f"--pin {name}: no such machine type; the run has {', '.join(record.machines)}")


def omega_table(systems: Sequence[System]) -> list[str]:
    """Omega in % by machine type and system, and the mean over machine types; `*`: S1's is submitted."""
    machines = list(systems[0].machines)
    rows = [[machine, *(_shown(system.machines[machine]) for system in systems)] for machine in machines]
    rows.append(["mean", *_means(systems, "omega_raw")])
    header = ["omega [%]", *(f"S{system.number} " for system in systems)]
    width = max(len(row[0]) for row in [header, *rows])
    lines = [f"{row[0]:<{width}}" + "".join(f"{cell:>9}" for cell in row[1:]) for row in [header, *rows]]
    if any(of.pinned_to_s1 for system in systems for of in system.machines.values()):
        submitted = ", ".join(mean.strip() for mean in _means(systems, "omega"))
        lines.append(
            "* worse than S1, pinned or without a softmax: S1's scores are submitted there; "
            f"the means are then {submitted}"
        )
    return [line.rstrip() for line in lines]


def _means(systems: Sequence[System], which: str) -> list[str]:
    """The mean omega over machine types of each system in %: of the fusions, or of what is submitted."""
    known = [[o for of in s.machines.values() if (o := getattr(of, which)) is not None] for s in systems]
    return [f"{100 * fmean(omegas):.2f} " if omegas else "- " for omegas in known]


def _shown(of: MachineSystem) -> str:
    omega = "-" if of.omega_raw is None else f"{100 * of.omega_raw:.2f}"
    return omega + ("*" if of.pinned_to_s1 else " ")


def _say_where(
    run: Path, record: RunRecord, written: Submission, listing: Path, *, placeholder: bool
) -> None:
    from oddsound.cli.stages import talk

    if written.clips == "development":
        warn("The data has no evaluation clips: the submission is of the development test clips.")
    if placeholder:
        warn("The authors are placeholders: `oddsound submit` with --authors FILE writes it with yours.")
    talk(f"trials      {run / 'trials'}")
    talk(f"systems     {listing}")
    talk(f"submission  {written.folder} and {written.archive}")
    talk(f"MLflow      {record.tracking_uri or run / 'mlflow' / 'mlflow.db'} (see mlflow_server/)")
    talk(f"next        {_next(run, record, written.machines)}")


def _next(run: Path, record: RunRecord, machines: Sequence[str]) -> str:
    """Machines of one's own are to be listened to, the challenge's to be submitted."""
    from oddsound.recordings.plain import PREPARED
    from oddsound.tracking.layout import registered_name

    if (record.clips(run) / PREPARED).is_file():
        model = f"models:/{registered_name(record.dataset, machines[0])}@champion"
        return f"{typed('predict', '--model', model, '--run', run)} NEW_RECORDINGS > scores.csv"
    check = ("submission", "check", run / "submission", "--data", record.clips(run))
    return typed(*check, "--machines", ",".join(machines))
