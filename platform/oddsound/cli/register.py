"""`oddsound register`: the best trials as versions of MLflow's registered models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from oddsound.cli.talking import typed, warn

if TYPE_CHECKING:
    from oddsound.search.record import RunRecord
    from oddsound.tracking.store import Store


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--top-k", default=5, show_default=True, type=click.IntRange(1), help="Of each machine type, so many."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of a table.")
def register(run: Path, top_k: int, as_json: bool) -> None:
    """Register the best trials on RUN's recordings again, as `search` and `sync` do at their end.

    \b
    Examples:
      oddsound register runs/first
      oddsound register runs/first --top-k 10

    After trials or versions were deleted in MLflow, say, or for more of them. All searches on the same
    recordings compete; ranks and aliases move to the order of today, and a champion that was chosen by hand
    stays. Doing it again changes nothing.
    """
    from oddsound.chatter import kept_in
    from oddsound.cli import stages
    from oddsound.errors import DataError
    from oddsound.search.driver import sole_driver
    from oddsound.search.record import read_record

    record = read_record(run)
    with sole_driver(run), kept_in(run):
        machines = stages.searched(run, record)
        if not machines:
            raise DataError(f"{run}: no finished trial; `{typed('search', '--resume', run)}` goes on with it")
        store = stages.tracking(run, record)
        _say_what_is_not_there(store, run, record)
        versions = stages.register(store, record, machines, top_k)
    rows = [
        {
            "machine": machine,
            "rank": version.rank,
            "model": f"models:/{version.name}/{version.version}",
            "trial": version.trial.trial,
            "omega": version.trial.metrics["omega"],
        }
        for machine, of in versions.items()
        for version in of
    ]
    click.echo(_json(rows) if as_json else _table(rows))


def _say_what_is_not_there(store: Store, run: Path, record: RunRecord) -> None:
    """Trials that MLflow lacks can't be among the best."""
    from oddsound.cli.stages import tracked_search
    from oddsound.tracking.unsent import unsent
    from oddsound.training.bundle import finished

    found = {machine: finished(run / "trials", machine) for machine in record.machines}
    n = sum(map(len, unsent(record.tracking_uri, run / "mlflow", tracked_search(record), found).values()))
    if n:
        warn(
            f"{n} finished trials aren't in MLflow and can't be registered; `{typed('sync', run)}` sends them"
        )


def _table(rows: list[dict[str, Any]]) -> str:
    from oddsound.cli.columns import columns

    head = ["machine", "model", "trial", "rank", "omega [%]"]
    cells = [[str(row[n]) for n in ("machine", "model", "trial", "rank")] for row in rows]
    omegas = [[f"{100 * row['omega']:.2f}"] for row in rows]
    return columns([head, *map(list.__add__, cells, omegas)], n_words=3)


def _json(rows: list[dict[str, Any]]) -> str:
    import json

    return json.dumps({"versions": rows}, indent=1, allow_nan=False)
