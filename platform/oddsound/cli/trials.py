"""`oddsound trials`: a run's trials as a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from oddsound.cli.completion import machines
from oddsound.cli.talking import talk, typed

if TYPE_CHECKING:
    from oddsound.search.trials import TrialRow


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--machine", shell_complete=machines, help="Only of this machine type.  [default: all of RUN]")
@click.option(
    "--sort",
    default="omega",
    show_default=True,
    metavar="COLUMN",
    help="A column or a searched setting; omega, auc and pauc from the highest, others from the lowest.",
)
@click.option("--top", type=click.IntRange(1), help="Only so many of each machine type.  [default: all]")
@click.option("--json", "as_json", is_flag=True, help="JSON: fractions, at full precision.")
@click.option("--csv", "as_csv", is_flag=True, help="CSV, the same.")
def trials(run: Path, machine: str | None, sort: str, top: int | None, as_json: bool, as_csv: bool) -> None:
    """The trials of RUN, a row each: state, omega, AUC and pAUC, epochs, seconds, what was searched.

    \b
    Examples:
      oddsound trials runs/first
      oddsound trials runs/first --machine fan --top 5
      oddsound trials runs/first --sort loss.rho --csv > trials.csv

    AUC and pAUC are harmonic means over sections and domains. A trial that was stopped early has the omega
    of the epoch that it was judged by. `oddsound show RUN TRIAL` has everything of one.
    """
    from oddsound.search.trials import trial_rows

    if as_json and as_csv:
        raise click.UsageError("give --json or --csv, not both")
    found = trial_rows(run, machine)
    rows = _best(found, sort, top)
    searched = list(dict.fromkeys(path for row in found for path in row.params))
    if as_json or as_csv:
        click.echo(_json(rows) if as_json else _csv(rows, searched), nl=as_json)
    else:
        click.echo(_table(rows, searched))
        talk(f"next        {typed('show', run, rows[0].trial[:8] if rows else 'TRIAL')}")


def _best(rows: Sequence[TrialRow], column: str, top: int | None) -> list[TrialRow]:
    """Sorted within each machine type, those without a value last, cut to `top`."""
    _refuse_unknown(column, rows)
    kept: list[TrialRow] = []
    for machine in dict.fromkeys(row.machine for row in rows):
        of = [row for row in rows if row.machine == machine]
        kept += sorted(of, key=lambda row: _key(row, column))[:top]
    return kept


def _key(row: TrialRow, column: str) -> tuple[Any, ...]:
    """Numbers before words; of what is equal the lower number is first."""
    from oddsound.search.trials import METRICS

    value, order = row.value(column), (row.number is None, row.number or 0, row.trial)
    if value is None:
        return (2, 0, "", *order)
    if isinstance(value, str):
        return (1, 0, value, *order)
    return (0, -value if column in METRICS else value, "", *order)


def _refuse_unknown(column: str, rows: Sequence[TrialRow]) -> None:
    import difflib

    from oddsound.errors import ConfigError
    from oddsound.search.trials import COLUMNS

    known = list(dict.fromkeys([*COLUMNS, *(path for row in rows for path in row.params)]))
    if column not in known:
        near = difflib.get_close_matches(column, known, n=2) or known
        raise ConfigError(f"--sort {column}: no such column; did you mean {' or '.join(near)}?")


def _table(rows: Sequence[TrialRow], searched: Sequence[str]) -> str:
    from oddsound.cli.columns import columns

    heads = ["machine", "trial", "state", "number", "omega [%]", "AUC [%]", "pAUC [%]", "epochs", "seconds"]
    shown = [[*heads, *_headings(searched)]]
    for row in rows:
        metrics = (row.omega, row.auc, row.pauc)
        per_cent = ["-" if value is None else f"{100 * value:.2f}" for value in metrics]
        epochs = f"{row.epochs}/{row.of_epochs}" if row.of_epochs else "-"
        seconds = "-" if row.seconds is None else f"{row.seconds:.0f}"
        number = "-" if row.number is None else str(row.number)
        params = [_short(row.params.get(path)) for path in searched]
        shown.append([row.machine, row.trial, row.state, number, *per_cent, epochs, seconds, *params])
    return columns(shown, n_words=3)


def _headings(searched: Sequence[str]) -> list[str]:
    """The last word of each setting, where no other ends in it: a table is to fit a screen."""
    from oddsound.search.trials import COLUMNS

    last = [path.rpartition(".")[2] for path in searched]
    return [
        word if [*COLUMNS, *last].count(word) == 1 else path
        for word, path in zip(last, searched, strict=True)
    ]


def _short(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _json(rows: Sequence[TrialRow]) -> str:
    import json
    from dataclasses import asdict

    return json.dumps([asdict(row) for row in rows], indent=1, allow_nan=False)


def _csv(rows: Sequence[TrialRow], searched: Sequence[str]) -> str:
    import csv
    import io

    from oddsound.search.trials import COLUMNS

    names = [*COLUMNS, *searched]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names)
    # repr: a float's every digit.
    writer.writerows([_cell(row.value(name)) for name in names] for row in rows)
    return stream.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return repr(value) if isinstance(value, float) else str(value)
