"""`oddsound show`: everything of one trial."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from oddsound.cli.completion import trials

if TYPE_CHECKING:
    from oddsound.search.trial_sheet import TrialSheet

_WIDTH = 100
_N_EPOCHS = 10


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("trial", shell_complete=trials)
@click.option(
    "--log-lines", default=10, show_default=True, type=click.IntRange(0), help="Of the end of its log."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document: fractions, at full precision.")
def show(run: Path, trial: str, log_lines: int, as_json: bool) -> None:
    """Everything of one TRIAL of RUN: settings, metrics, history, files, and why it failed where it did.

    \b
    Examples:
      oddsound show runs/first 08b5
      oddsound show runs/first fan/08b5cc9f1494afbe --json

    TRIAL is its identity or the beginning of it; `oddsound trials RUN` names them all. Settings that aren't
    the default come first.
    """
    from oddsound.search.trial_sheet import trial_sheet

    sheet = trial_sheet(run, trial, log_lines)
    if as_json:
        import json

        click.echo(json.dumps(sheet.document(), indent=1, allow_nan=False))
        return
    parts = (_head, _failure, _settings, _metrics, _history, _files, _use)
    click.echo("\n\n".join("\n".join(lines) for part in parts if (lines := part(sheet))))


def _head(sheet: TrialSheet) -> list[str]:
    row, result = sheet.row, sheet.result
    number = "" if row.number is None else f", trial {row.number}"
    lines = [f"{row.machine} {row.trial}{number}: {row.state}" + (f" {result.finished}" if result else "")]
    if row.omega is not None:
        lines.append(f"omega {100 * row.omega:.2f} %" + _other_epochs(result.metrics if result else {}))
    trained = f"{row.epochs} of {row.of_epochs} epochs"
    if row.seconds is not None:
        from oddsound.cli.columns import duration

        trained += f" in {duration(row.seconds)}"
    if result:
        versions = ", ".join(f"{name} {version}" for name, version in sorted(result.versions.items()))
        trained += f", {result.n_parameters} parameters score a clip; {versions}"
    return [*lines, *textwrap.wrap(trained, _WIDTH)]


def _other_epochs(metrics: Mapping[str, float]) -> str:
    """The omegas of the last epoch and of the best by the labels, where they are known."""
    if "omega_last" not in metrics:
        return ""
    best = f"best {100 * metrics['omega_best_dev']:.2f} %"
    at = f" (epoch {metrics['best_epoch']:.0f})" if "best_epoch" in metrics else ""
    return f"; last epoch {100 * metrics['omega_last']:.2f} %, {best}{at} by the labels of the test clips"


def _failure(sheet: TrialSheet) -> list[str]:
    """Why it failed or what is damaged, and what it said last, where it didn't finish."""
    if sheet.row.state == "finished":
        return []
    kind = "damaged" if sheet.row.state == "damaged" else "failed"
    lines = [f"{kind}: {sheet.failure}"] if sheet.failure else []
    if sheet.log:
        lines += ["the end of trial.log:", *(f"  {line}" for line in sheet.log)]
    return lines


def _settings(sheet: TrialSheet) -> list[str]:
    from oddsound.cli.columns import columns

    if not (sheet.changed or sheet.unchanged):
        return ["config.json can't be read"]
    rows = [["setting", "value", "default"]]
    rows += [[path, _word(value), _word(default)] for path, (value, default) in sheet.changed.items()]
    rest = ", ".join(f"{path} {_word(value)}" for path, value in sheet.unchanged.items())
    head = columns(rows, n_words=3).splitlines() if sheet.changed else ["every setting is the default"]
    return [*head, *textwrap.wrap(f"as the default: {rest}", _WIDTH, break_on_hyphens=False)]


def _word(value: Any) -> str:
    from oddsound.yaml_files import scalar

    return scalar(value)


def _metrics(sheet: TrialSheet) -> list[str]:
    """AUC and pAUC of each section and domain, and their harmonic means."""
    from oddsound.cli.columns import columns

    metrics = sheet.result.metrics if sheet.result else {}
    cells = list(dict.fromkeys(name.partition("/")[2] for name in metrics if "/" in name))
    if not cells:
        return []
    rows = [["section", "domain", "AUC [%]", "pAUC [%]"]]
    for cell in cells:
        section, _, domain = cell.partition("/")
        both = [metrics.get(f"{metric}/{cell}") for metric in ("auc", "pauc")]
        rows.append([section.removeprefix("section_"), domain or "all", *map(_per_cent, both)])
    rows.append(["harmonic mean", "", _per_cent(sheet.row.auc), _per_cent(sheet.row.pauc)])
    return columns(rows, n_words=2).splitlines()


def _history(sheet: TrialSheet) -> list[str]:
    """Some of the evaluated epochs, evenly, with the last."""
    from oddsound.cli.columns import columns

    evaluated = [epoch for epoch in sheet.history if "omega" in epoch] or sheet.history
    if not evaluated:
        return []
    rows = [["epoch", "loss", "omega [%]", "seconds"]]
    for epoch in _some(evaluated, _N_EPOCHS):
        loss, seconds = (f"{epoch[name]:.4g}" if name in epoch else "-" for name in ("loss/total", "seconds"))
        rows.append([f"{epoch['epoch']:.0f}", loss, _per_cent(epoch.get("omega")), seconds])
    return columns(rows, n_words=0).splitlines()


def _some(epochs: Sequence[dict[str, Any]], n: int) -> list[dict[str, Any]]:
    last = len(epochs) - 1
    places = sorted({round(place * last / (n - 1)) for place in range(n)})
    return [epochs[place] for place in places]


def _per_cent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def _files(sheet: TrialSheet) -> list[str]:
    from oddsound.cli.columns import columns

    sizes = columns([[name, str(size)] for name, size in sheet.files.items()]).splitlines()
    return [f"{sheet.folder}, bytes:", *(f"  {line}" for line in sizes)]


def _use(sheet: TrialSheet) -> list[str]:
    """How to score clips with it; a trial that isn't finished has no model."""
    if sheet.row.state != "finished":
        return []
    folder = shlex.quote(str(sheet.folder))
    return [f"use         oddsound predict --model {folder} DIR_OR_WAV"]
