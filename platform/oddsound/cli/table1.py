"""`oddsound table1`: every system of the paper's Table 1, the paper's figures beside ours."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from oddsound.cli.options import machines_option, run_options
from oddsound.cli.run import run_all
from oddsound.cli.talking import typed

if TYPE_CHECKING:
    from oddsound.config import TrialConfig
    from oddsound.ensemble.systems import System
    from oddsound.report.table1 import Measured, Table1
    from oddsound.search.record import RunRecord
    from oddsound.submission.authors import Authors
    from oddsound.training.bundle import Bundle

_ROWS = (
    "augment.mixup_alpha",
    "features.median_frames",
    "model.architecture",
    "model.backbone",
    "model.pretrained",
)


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--out",
    default="table1_run",
    show_default=True,
    type=click.Path(path_type=Path),
    help="The run's folder.",
)
@machines_option("all that DATA has")
@click.option(
    "--profile",
    type=click.Choice(["paper", "authors"]),
    help="Read the method as the paper or as the authors' code has it.  [default: paper]",
)
@click.option(
    "--pretrained",
    metavar="W",
    help="Weights of the pretrained rows: imagenet, audioset, timm:TAG, models:/NAME/1 or a file."
    "  [default: imagenet]",
)
@click.option("--backbone", metavar="B", help="Of the pretrained rows.  [default: tf_efficientnet_b0]")
@run_options(n_trials=None, submits=False)
def table1(
    data: Path,
    out: Path,
    machines: list[str] | None,
    profile: str | None,
    pretrained: str | None,
    backbone: str | None,
    **options: Any,
) -> None:
    """Train every system of Table 1 on the recordings in DATA and set it beside the paper's figures.

    \b
      oddsound table1 data/dcase2021
      oddsound table1 data/dcase2021 --out runs/authors --profile authors
      oddsound table1 data/dcase2021 --pretrained audioset --weights audioset=cnn.pth
      oddsound table1 data/real --machines slider --epochs 3

    The eight recipes are trained once for each machine type, 300 epochs (the baselines 100 and 20), and
    S1-S4 are built of the five best EfficientNets. The table goes to stdout and, as CSV, Markdown and
    HTML, to OUT. The same command again does only what is missing.
    """
    _refuse_laid_over(options)
    reading = {"profile": profile, "pretrained": pretrained, "backbone": backbone}
    # Quoted as YAML has it, for what is given is a name or a path, whatever it looks like.
    settings = [f"recipes.{key}={json.dumps(value)}" for key, value in reading.items() if value is not None]
    options |= {"settings": (*settings, *options["settings"]), "trials": sys.maxsize}
    options |= {"authors": None, "pinned": ()}  # no submission is written
    run_all(data, out, machines, write_table, space="table1", **options)


def write_table(run: Path, record: RunRecord, authors: Authors, pinned: Sequence[str]) -> None:
    """Register the best, fuse S1-S4, write Table 1 to `run` and print it."""
    from oddsound.cli import stages
    from oddsound.ensemble.systems import TOP_K
    from oddsound.report.files import write_table1
    from oddsound.report.formats import to_text

    machines = stages.searched(run, record)
    store = stages.tracking(run, record)
    stages.register(store, record, machines, TOP_K)
    systems = _systems(run, record, machines)
    table = _table(run, record, machines, systems)
    notes = _notes(run, record, machines)
    files = write_table1(table, run, notes, f"oddsound {shlex.join(sys.argv[1:])}")
    in_color = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    click.echo(to_text(table, color=in_color, width=shutil.get_terminal_size((100, 24)).columns))
    stages.talk("")
    for file in files:
        stages.talk(f"table   {file}")
    stages.talk(f"MLflow  {record.tracking_uri or run / 'mlflow' / 'mlflow.db'} (see mlflow_server/)")
    stages.talk(f"next    {typed('submit', run)}")


def _table(run: Path, record: RunRecord, machines: Sequence[str], systems: Sequence[System]) -> Table1:
    from oddsound.report.table1 import build_table1

    measured: dict[str, dict[str, Measured]] = {}
    for machine in machines:
        _add_recipes(run, machine, measured)
    _add_systems(systems, measured)
    return build_table1(measured, list(record.machines))


def _add_recipes(run: Path, machine: str, measured: dict[str, dict[str, Measured]]) -> None:
    """The omega of each finished recipe, by both choices of the epoch."""
    from oddsound.report.table1 import Measured
    from oddsound.training.bundle import finished

    for bundle in finished(run / "trials", machine):
        metrics = bundle.result().metrics
        row = measured.setdefault(bundle.config().recipe, {})
        row[machine] = Measured(metrics["omega_last"], metrics["omega_best_dev"])


def _systems(run: Path, record: RunRecord, machines: Sequence[str]) -> Sequence[System]:
    """S1-S4 of the machine types that have an EfficientNet."""
    from oddsound.cli import stages
    from oddsound.cli.choosing import build
    from oddsound.cli.wanted import Choice
    from oddsound.training.bundle import finished

    with_effnet = [m for m in machines if any(map(_is_effnet, finished(run / "trials", m)))]
    if not with_effnet:
        return ()
    store = stages.tracking(run, record)
    return build(store, run, record, with_effnet, Choice(), all_trials=False)[0]


def _add_systems(systems: Sequence[System], measured: dict[str, dict[str, Measured]]) -> None:
    """The systems' own omega, before S1 stands in anywhere, of the epochs that count."""
    from oddsound.report.table1 import Measured

    for system in systems:
        row = measured.setdefault(f"S{system.number}", {})
        for machine, of in system.machines.items():
            by_labels = of.members[0].config["training"]["selection"] == "best_dev_omega"
            row[machine] = Measured(omega_best_dev=of.omega_raw) if by_labels else Measured(of.omega_raw)


def _is_effnet(bundle: Bundle) -> bool:
    from oddsound.recipes import is_efficientnet

    return is_efficientnet(bundle.config().recipe)


def _notes(run: Path, record: RunRecord, machines: Sequence[str]) -> list[str]:
    """What the figures are of, in a few lines: of the trials themselves where they say it."""
    from oddsound.config import flattened
    from oddsound.training.bundle import finished

    trials = [bundle.config() for machine in machines for bundle in finished(run / "trials", machine)]
    begun = record.machines.values()
    weights = {trial.model.pretrained for trial in trials if "pretrain" in trial.recipe}
    laid_over = sorted({f"{k}={v}" for of in begun for k, v in flattened(of["fixed"]).items()})
    lines = [
        f"Recordings: {record.dataset}; search {record.search}.",
        f"Recipes read as: {_list({of['recipes']['profile'] for of in begun})}.",
        f"The pretrained rows begin with: {_list(weights) or 'nothing, for none is trained'}.",
        f"Epochs: {_list(str(n) for n in sorted({t.training.epochs for t in trials}))} (the paper: 300; "
        "its baselines 100 and 20).",
    ]
    lines += [f"Laid over every recipe: {', '.join(laid_over)}."] if laid_over else []
    return lines + _note_of_systems(trials)


def _note_of_systems(trials: Sequence[TrialConfig]) -> list[str]:
    from oddsound.ensemble.systems import TOP_K
    from oddsound.recipes import is_efficientnet

    counts = Counter(trial.machine for trial in trials if is_efficientnet(trial.recipe))
    if not counts:
        return []
    few = min(TOP_K, *counts.values())
    number = "five" if few == TOP_K else f"five or fewer (at least {few})"
    return [
        f"S1-S4: of the {number} best EfficientNets of each machine type, chosen by omega as the paper did, "
        f"with the weights of the {_epoch_that_counts(trials)}."
    ]


def _epoch_that_counts(trials: Sequence[TrialConfig]) -> str:
    by_labels = any(trial.training.selection == "best_dev_omega" for trial in trials)
    return "epoch that is best by the labels of the test clips" if by_labels else "last epoch"


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _refuse_laid_over(options: dict[str, Any]) -> None:
    """Raises ConfigError where --set or --config would take from the rows what tells them apart."""
    from oddsound.cli.settings import overrides
    from oddsound.config import flattened, overlay
    from oddsound.errors import ConfigError

    for name in flattened(overlay({}, *overrides(options))):
        if name in _ROWS:
            raise ConfigError(
                f"{name}: tells the rows of Table 1 apart, so it is the recipes' alone; --pretrained and "
                "--backbone are of the pretrained rows, `oddsound run --set recipe=NAME` is for others"
            )
