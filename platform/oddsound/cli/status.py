"""`oddsound status`: how a run stands, also while it runs and from another shell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from oddsound.cli.talking import talk, typed, warn

if TYPE_CHECKING:
    from oddsound.search.record import RunRecord
    from oddsound.search.status import MachineStatus, RunStatus

Unsent = dict[str, set[str]] | None
"""By machine type what MLflow lacks; None where it can't be asked."""

_COUNTS = ("done", "running", "failed", "stopped", "interrupted", "damaged")
_ALWAYS = _COUNTS[:3]


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of a table.")
def status(run: Path, as_json: bool) -> None:
    """How the search in RUN stands, by machine type; also while it runs, from any shell that sees RUN.

    \b
      oddsound status runs/first
      oddsound status runs/first --json

    stopped: given up early by the search; interrupted: begun, goes on when the search does; unsynced:
    finished or stopped and not in MLflow, `?` where that can't be asked. The time left is of what the
    present search has done so far. Nothing in RUN or MLflow is changed.
    """
    from oddsound.search.record import read_record
    from oddsound.search.status import run_status

    found = run_status(run)
    unsynced, problem = _unsynced(run, read_record(run))
    click.echo(_json(run, found, unsynced, problem) if as_json else _table(found, unsynced))
    if problem:
        warn(f"unsynced is not known: {problem}")
    talk(_driver(found))
    if not found.is_driven and (following := _next(run, found, unsynced)):
        talk(f"next        {following}")


def _unsynced(run: Path, record: RunRecord) -> tuple[Unsent, str]:
    """What MLflow lacks, or why it can't be told."""
    from oddsound.errors import OddsoundError
    from oddsound.tracking.layout import Search
    from oddsound.tracking.unsent import unsent
    from oddsound.training.bundle import bundles

    found = {machine: bundles(run / "trials", machine) for machine in record.machines}
    try:
        search = Search(record.search, record.dataset)
        return unsent(record.tracking_uri, run / "mlflow", search, found), ""
    except OddsoundError as error:
        return None, str(error)


def _table(found: RunStatus, unsynced: Unsent) -> str:
    """One row a machine type and the total; a count that is nowhere more than 0 has no column."""
    from oddsound.cli.columns import columns

    shown = [name for name in _COUNTS if name in _ALWAYS or getattr(found.total, name)]
    rows = [["machine", *shown, "unsynced", "best omega", "time left"]]
    for machine, one in found.machines.items():
        rows.append([machine, *_cells(one, shown, _lacking(unsynced, machine))])
    return columns([*rows, ["total", *_cells(found.total, shown, _lacking(unsynced))]])


def _lacking(unsynced: Unsent, machine: str | None = None) -> int | None:
    """How many trials MLflow lacks, of one machine type or of all."""
    if unsynced is None:
        return None
    return sum(len(trials) for name, trials in unsynced.items() if machine in (None, name))


def _cells(one: MachineStatus, shown: list[str], n_unsynced: int | None) -> list[str]:
    counts = [str(getattr(one, name) or "-") for name in shown]
    counts[shown.index("done")] = f"{one.done}/{one.wanted}"
    best = "-" if one.best is None else f"{one.best:.2%}"
    return [*counts, "?" if n_unsynced is None else str(n_unsynced or "-"), best, _left(one)]


def _left(one: MachineStatus) -> str:
    from oddsound.cli.columns import duration

    if one.eta_s is None:
        return "?"
    return duration(one.eta_s) if one.eta_s else "-"


def _driver(found: RunStatus) -> str:
    if found.driver is None:
        return "driver      nobody drives it"
    if found.is_driven:
        return f"driver      {found.driver}"
    return f"driver      {found.driver}, died"


def _next(run: Path, found: RunStatus, unsynced: Unsent) -> str:
    """The stage that the run lacks; "" where it has all of them."""
    if found.total.missing:
        return typed("search", "--resume", run)
    if unsynced is None or any(unsynced.values()):
        return typed("sync", run)
    if not (run / "submission").is_dir():
        return typed("submit", run)
    return "" if (run / "report.html").is_file() else typed("report", run)


def _json(run: Path, found: RunStatus, unsynced: Unsent, problem: str) -> str:
    import json
    from dataclasses import asdict

    driver = None
    if found.driver is not None:
        driver = {name: getattr(found.driver, name) for name in ("pid", "host", "since", "beat")}
        driver["alive"] = found.is_driven
    machines = {
        machine: asdict(one) | {"missing": one.missing, "unsynced": _lacking(unsynced, machine)}
        for machine, one in found.machines.items()
    }
    total = asdict(found.total) | {"missing": found.total.missing, "unsynced": _lacking(unsynced)}
    document = {"run": str(run), "driver": driver, "machines": machines, "total": total}
    return json.dumps(document | {"tracking_problem": problem or None}, indent=1)
