"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from oddsound.cli.completion import machines
from oddsound.cli.recordings import RECORDINGS_OPTIONS

Command = TypeVar("Command", bound=Callable[..., Any])


def machines_option(otherwise: str) -> Callable[[Command], Command]:
    """`--machines A,B`, a list or None; `otherwise`: which are meant without it."""
    return click.option(
        "--machines",
        callback=_names,
        shell_complete=machines,
        metavar="A,B",
        help=f"Only these machine types.  [default: {otherwise}]",
    )


def _names(_context: click.Context, _option: click.Parameter, value: str | None) -> list[str] | None:
    if value is None:
        return None
    names = [name.strip() for name in value.split(",") if name.strip()]
    if not names:
        raise click.BadParameter("names no machine type")
    return names


def _memory(_context: click.Context, _option: click.Parameter, value: str | None) -> int | str | None:
    """GiB as bytes, or `auto`."""
    if value is None or value == "auto":
        return value
    try:
        given = float(value)
    except ValueError:
        given = 0.0
    if not 0 < given < 1e6:
        raise click.BadParameter(f"{value}: give GiB, e.g. 4, or auto")
    return round(given * 2**30)


_EPOCHS = click.option("--epochs", type=click.IntRange(1), help="Short for --set training.epochs=N.")
_CONFIG = click.option(
    "--config",
    "configs",
    multiple=True,
    metavar="FILE",
    help="YAML of trial settings laid over every search space's base; `smoke` is a shipped one.",
)
_SET = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="A.B=V",
    help="One setting, e.g. loss.rho=0.1; comes before all else that gives it.",
)
_SPACES = click.option(
    "--spaces",
    type=click.Path(path_type=Path),
    help="Folder of <machine>.yaml or default.yaml (table1: of table1.yaml).  [default: shipped]",
)


def settings_options(command: Command) -> Command:
    """--spaces, --config, --epochs and --set: what the trials of a search are."""
    for option in (_SET, _EPOCHS, _CONFIG, _SPACES):
        command = option(command)
    return command


_OPTIONS = (
    _EPOCHS,
    _CONFIG,
    click.option(
        "--weights",
        multiple=True,
        metavar="NAME=FILE",
        help="The checkpoint that model.pretrained NAME means, e.g. audioset=cnn.pth.",
    ),
    _SET,
    click.option(
        "--seed",
        default=0,
        show_default=True,
        type=click.IntRange(0),
        help="Of the search's draws, and of every trial's training.",
    ),
    click.option(
        "--tracking-uri", help="An MLflow server or sqlite:///FILE.  [default: OUT/mlflow/mlflow.db]"
    ),
    click.option(
        "--max-concurrent",
        default=0,
        type=click.IntRange(0),
        help="Trials at once.  [default: as many as fit]",
    ),
    click.option(
        "--memory-per-trial",
        callback=_memory,
        metavar="GIB|auto",
        help="Memory in GiB that a trial is given room for; auto measures it.  [default: not looked at]",
    ),
    click.option(
        "--cpus-per-trial",
        default=1.0,
        show_default=True,
        type=click.FloatRange(0, min_open=True),
        help="CPUs that Ray counts for a trial, and its threads.",
    ),
    click.option(
        "--gpus-per-trial",
        type=click.FloatRange(0),
        help="GPUs of a trial; a fraction shares one.  [default: by measured memory, where there are any]",
    ),
    click.option(
        "--retries",
        default=3,
        show_default=True,
        type=click.IntRange(0),
        help="How often a trial whose worker died is started again, counted from its last epoch.",
    ),
    click.option(
        "--hang-s",
        default=1800.0,
        show_default=True,
        type=click.FloatRange(10),
        help="Seconds without a batch trained or scored after which a trial is taken for hung and ended.",
    ),
    click.option(
        "--stage",
        type=click.Path(path_type=Path),
        help="Folder on each node's own disk that features are copied to.  [default: read where they lie]",
    ),
    click.option(
        "--ray-address", default="local", show_default=True, help="HOST:PORT of a running Ray cluster."
    ),
    click.option("--insecure", is_flag=True, help="Use a Ray cluster that has no token authentication."),
    click.option(
        "--accept-change",
        is_flag=True,
        help="Go on though settings, recordings or code are not those that OUT was begun with.",
    ),
    click.option(
        "--cache",
        type=click.Path(path_type=Path),
        help="Folder of the feature caches.  [default: OUT/features]",
    ),
)

_SEARCH_OPTIONS = (
    _SPACES,
    click.option(
        "--asha", is_flag=True, help="Stop trials early that are worse than most at the same epoch (ASHA)."
    ),
    click.option("--asha-grace", type=click.IntRange(1), help="Epochs before the first cut.  [default: 30]"),
    click.option(
        "--asha-reduction",
        type=click.FloatRange(1, min_open=True),
        help="One in so many goes on at each cut.  [default: 3]",
    ),
    click.option(
        "--warm-start",
        metavar="SEARCH",
        help="Begin with the best trials of an earlier search: its name in MLflow, or its run's folder.",
    ),
)

_SUBMISSION_OPTIONS = (
    click.option(
        "--authors",
        type=click.Path(path_type=Path),
        help="YAML of the submission's authors; see docs/submit.md.",
    ),
    click.option(
        "--pin", "pinned", multiple=True, metavar="MACHINE", help="Take S1's model for it in S2-S4."
    ),
)


def run_options(
    n_trials: int | None, *, searches: bool = True, submits: bool = True
) -> Callable[[Command], Command]:
    """The options of whatever trains; `n_trials` is the default of --trials, None for what knows its trials.

    searches: those of a search space; else their parameters are what no search has. submits: those of a
    submission.
    """
    trials = click.option(
        "--trials",
        default=n_trials,
        show_default=True,
        type=click.IntRange(1),
        help="Trials of each machine type.",
    )
    options = [
        *([trials] if n_trials is not None else []),
        *((*RECORDINGS_OPTIONS, *_SEARCH_OPTIONS) if searches else []),
        *_OPTIONS,
        *(_SUBMISSION_OPTIONS if submits else []),
    ]

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add
