"""`oddsound report`: a run as one HTML page."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from oddsound.cli.options import machines_option
from oddsound.cli.talking import console, talk, typed, warn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from oddsound.search.record import RunRecord


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="The page.  [default: RUN/report.html]")
@machines_option("all of RUN")
@click.option("--no-audio", is_flag=True, help="Put no recordings in: a page of a fraction of the size.")
def report(run: Path, out: Path | None, machines: list[str] | None, no_audio: bool) -> None:
    """One HTML page of the search in RUN, finished or not: what was found, and how sure it is.

    \b
      oddsound report runs/first
      oddsound report runs/first --machines fan --out fan.html --no-audio

    The systems with intervals beside the paper's Table 1; by machine type how the search went, the best
    trial's AUC and pAUC, score distributions, ROC and losses, its most and least anomalous clips to see
    and hear; what failed and why. The page needs no network and no script. Its path goes to stdout.
    """
    from oddsound.cli.out_file import refuse_unwritable
    from oddsound.search.record import read_record

    record = read_record(run)
    refuse_unwritable(out)
    path = out or run / "report.html"
    size = _write(run, record, _among(machines, record, run), path, audio=not no_audio)
    talk(f"{size / 1e6:.1f} MB")
    click.echo(path)


def report_at_end(run: Path) -> None:
    """The page of a run that has just ended. It is no reason for a run to fail: what goes wrong is said."""
    from oddsound.search.record import read_record

    path = run / "report.html"
    try:
        record = read_record(run)  # as it was written, which is what `oddsound report` will read
        _write(run, record, list(record.machines), path, audio=True)
    except Exception as error:  # a plotting library has as many errors as plots
        warn(f"no report: {type(error).__name__}: {error}; `{typed('report', run)}` tries again")
        return
    talk(f"report      {path}")


def _write(run: Path, record: RunRecord, machines: list[str], path: Path, *, audio: bool) -> int:
    from oddsound.cli.resume import command_line
    from oddsound.report.run_page import Asked, write_report

    asked = Asked(machines, command_line(record), audio)
    with _progress(len(machines) + 1) as told:
        return write_report(run, record, asked, path, told)


def _among(machines: list[str] | None, record: RunRecord, run: Path) -> list[str]:
    from oddsound.errors import ConfigError
    from oddsound.recordings.names import did_you_mean

    for name in machines or ():
        if name not in record.machines:
            raise ConfigError(
                f"--machines {name}: {run} has no such machine type; {did_you_mean(name, record.machines)}"
                f"it has {', '.join(record.machines)}"
            )
    return [name for name in record.machines if machines is None or name in machines]


@contextmanager
def _progress(n_steps: int) -> Iterator[Callable[[str], None]]:
    """Told what comes next: a bar on a terminal, a line each elsewhere; everything goes to stderr."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    stderr = console()
    if not stderr.is_terminal:
        yield lambda what: talk(f"report of {what}")
        return
    shown = TextColumn("{task.description}", markup=False)
    with Progress(shown, BarColumn(), MofNCompleteColumn(), console=stderr, transient=True) as bar:
        task = bar.add_task("report", total=n_steps, completed=-1)
        yield lambda what: bar.update(task, advance=1, description=f"report of {what}")
