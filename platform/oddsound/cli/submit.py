"""`oddsound submit`: S1-S4 of a run as the challenge's package."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oddsound.ensemble.systems import MachineSystem, System
    from oddsound.search.record import RunRecord
    from oddsound.submission.authors import Authors
    from oddsound.submission.package import Submission

TOP_K = 5


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--authors", type=click.Path(path_type=Path), help="YAML of the authors; see the README.")
@click.option("--tracking-uri", help="Another MLflow than the run's own, that a sync has sent the run to.")
@click.option("--pin", "pinned", multiple=True, metavar="MACHINE", help="Take S1's model for it in S2-S4.")
def submit(run: Path, authors: Path | None, tracking_uri: str | None, pinned: tuple[str, ...]) -> None:
    """Fuse the five best trials of each machine type of RUN into S1-S4 and write the package.

    \b
      oddsound submit runs/first --authors authors.yaml
    """
    from oddsound.search.driver import sole_driver
    from oddsound.search.record import read_record
    from oddsound.submission.authors import read_authors
    from oddsound.tracking.store import canonical

    record = read_record(run)
    if tracking_uri:
        record.tracking_uri = canonical(tracking_uri)
    with sole_driver(run):
        submit_run(run, record, read_authors(authors), pinned)


def submit_run(run: Path, record: RunRecord, authors: Authors, pinned: Sequence[str]) -> None:
    """Register the best, fuse S1-S4, write the package to RUN/submission, print the omega table."""
    from oddsound.cli import stages
    from oddsound.cli.systems import register
    from oddsound.errors import BundleError
    from oddsound.submission.package import write_submission

    machines = stages.searched(run, record)
    if not machines:
        raise BundleError(f"{run}: no finished trial yet; run the search to its end first")
    refuse_unknown(pinned, record)
    store = stages.tracking(run, record)
    stages.register(store, record, machines, TOP_K)
    systems = stages.build(store, record, machines, TOP_K, pinned)
    written = write_submission(systems, run / "submission", authors)
    click.echo("\n".join(omega_table(systems)))
    stages.talk("")
    stages.talk("registering S1 to S4 as models")
    register(store, run, record, systems, written.archive)
    _say_where(run, record, written, machines, placeholder=authors.is_placeholder)


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
    run: Path, record: RunRecord, written: Submission, machines: Sequence[str], *, placeholder: bool
) -> None:
    from oddsound.cli.stages import talk

    if written.clips == "development":
        talk("The data has no evaluation clips: the submission is of the development test clips.")
    if placeholder:
        talk("The authors are placeholders: `oddsound submit` with --authors FILE writes it with yours.")
    talk(f"trials      {run / 'trials'}")
    talk(f"submission  {written.folder} and {written.archive}")
    talk(f"MLflow      {record.tracking_uri or run / 'mlflow' / 'mlflow.db'} (see mlflow_server/)")
    talk(
        f"next        oddsound submission check {run / 'submission'} "
        f"--data {record.data} --machines {','.join(machines)}"
    )
