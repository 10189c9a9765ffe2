"""`oddsound search`: the search alone, and going on with one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from oddsound.cli.file_command import FileCommand, file_option, has_file
from oddsound.cli.options import machines_option, run_options
from oddsound.cli.run import run_all
from oddsound.cli.talking import typed

if TYPE_CHECKING:
    from oddsound.search.record import RunRecord
    from oddsound.submission.authors import Authors


@click.command(cls=FileCommand)
@click.argument("data", type=click.Path(path_type=Path), required=False)
@file_option
@click.option("--out", type=click.Path(path_type=Path), help="The run's folder.")
@click.option("--resume", "resumed", metavar="RUN", type=click.Path(path_type=Path), help="Go on with RUN.")
@machines_option("all that DATA has")
@run_options(n_trials=20)
@click.pass_context
def search(
    context: click.Context,
    /,
    data: Path | None,
    out: Path | None,
    resumed: Path | None,
    machines: list[str] | None,
    **options: Any,
) -> None:
    """Search for the best detector of each machine type in DATA and register the best five.

    \b
      oddsound search data/dcase2021 --out runs/first
      oddsound search data/dcase2021 --out runs/first --asha --max-concurrent 8
      oddsound search --file run.yaml --trials 60
      oddsound search --resume runs/first
      oddsound search --resume runs/first --trials 60

    --resume, or the same command again, finishes exactly what is missing after whatever ended it, with
    the options that RUN was begun with but for those given; more --trials extend a finished search. It
    goes on with runs of `oddsound run` and `table1` too.
    """
    space = None
    if resumed is not None:
        if has_file(context):
            raise click.UsageError("--resume RUN goes on with what RUN was begun with; leave --file out")
        if data is not None or out is not None:
            raise click.UsageError("--resume RUN takes its recordings and its folder from RUN")
        out = resumed.absolute()
        given = {name: value for name, value in options.items() if _is_given(context, name)}
        data, machines, space, options = _asked_again(out, machines, options, given)
    if data is None or out is None:
        raise click.UsageError("give DATA and --out RUN, or --resume RUN")
    run_all(data, out, machines, show_best, space=space, **options)


def _is_given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) == ParameterSource.COMMANDLINE


def _asked_again(
    run: Path, machines: list[str] | None, options: dict[str, Any], given: dict[str, Any]
) -> tuple[Path, list[str] | None, str | None, dict[str, Any]]:
    """Recordings, machine types, the one search space and the options of RUN, `given` ones laid over."""
    from oddsound.cli.resume import asked_again
    from oddsound.search.record import read_record

    record = read_record(run)
    again = options | asked_again(record, run, given)
    space = again.pop("space", None)
    return Path(record.data), machines or list(record.machines), space, again


def show_best(run: Path, record: RunRecord, authors: Authors, pinned: Sequence[str]) -> None:
    """Register the best trials and print the very best of each machine type."""
    from oddsound.cli import stages
    from oddsound.cli.columns import columns
    from oddsound.ensemble.systems import TOP_K
    from oddsound.training.bundle import bundles, finished

    machines = stages.searched(run, record)
    stages.register(stages.tracking(run, record), record, machines, TOP_K)
    rows = [["machine", "finished", "stopped", "best omega [%]", "trial"]]
    for machine in machines:
        whole = finished(run / "trials", machine)
        best = max(whole, key=lambda bundle: bundle.result().omega)
        n_stopped = sum(bundle.is_stopped for bundle in bundles(run / "trials", machine))
        omega = f"{100 * best.result().omega:.2f}"
        rows.append([machine, str(len(whole)), str(n_stopped), omega, best.path.name])
    click.echo(columns(rows))
    stages.talk("")
    stages.talk(f"MLflow  {record.tracking_uri or run / 'mlflow' / 'mlflow.db'} (see mlflow_server/)")
    stages.talk(f"next    {typed('submit', run)}")
