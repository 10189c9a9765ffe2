"""`oddsound run`: every stage, from recordings to checked submissions."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from oddsound.cli.options import Command, machines_option

if TYPE_CHECKING:
    from oddsound.recordings.index import DataIndex
    from oddsound.search.record import RunRecord
    from oddsound.search.run import Outcome
    from oddsound.search.space import SearchSpace
    from oddsound.submission.authors import Authors

Finish = Callable[[Path, "RunRecord", "Authors", Sequence[str]], None]
"""What is done with a run's folder once its search is over; the last are the pinned machine types."""

_OPTIONS = (
    click.option("--epochs", type=click.IntRange(1), help="Short for --set training.epochs=N."),
    click.option(
        "--config",
        "configs",
        multiple=True,
        metavar="FILE",
        help="YAML of trial settings laid over every search space's base; `smoke` is a shipped one.",
    ),
    click.option(
        "--spaces",
        type=click.Path(path_type=Path),
        help="Folder of <machine>.yaml or default.yaml (table1: of table1.yaml).  [default: shipped]",
    ),
    click.option(
        "--weights",
        multiple=True,
        metavar="NAME=FILE",
        help="The checkpoint that model.pretrained NAME means, e.g. audioset=cnn.pth.",
    ),
    click.option("--set", "settings", multiple=True, metavar="A.B=V", help="One setting, e.g. loss.rho=0.1."),
    click.option("--seed", default=0, show_default=True, type=click.IntRange(0)),
    click.option(
        "--tracking-uri", help="An MLflow server or sqlite:///FILE.  [default: OUT/mlflow/mlflow.db]"
    ),
    click.option(
        "--max-concurrent",
        default=0,
        type=click.IntRange(0),
        help="Trials at once.  [default: as many as fit]",
    ),
    click.option("--cpus-per-trial", default=1.0, show_default=True, type=click.FloatRange(0, min_open=True)),
    click.option(
        "--gpus-per-trial",
        type=click.FloatRange(0),
        help="A fraction shares one.  [default: 1 where there are any]",
    ),
    click.option("--ray-address", default="local", show_default=True, help="Of a running Ray cluster."),
    click.option("--cache", type=click.Path(path_type=Path), help="Of features.  [default: OUT/features]"),
)

_SUBMISSION_OPTIONS = (
    click.option(
        "--authors", type=click.Path(path_type=Path), help="YAML of the submission's authors; see the README."
    ),
    click.option(
        "--pin", "pinned", multiple=True, metavar="MACHINE", help="Take S1's model for it in S2-S4."
    ),
)


def run_options(n_trials: int | None) -> Callable[[Command], Command]:
    """The options of whatever searches; `n_trials` is the default of --trials. None is for what writes
    no submission and knows its trials: neither --trials nor --authors and --pin."""
    trials = click.option(
        "--trials", default=n_trials, show_default=True, type=click.IntRange(1), help="For each machine type."
    )

    def add(command: Command) -> Command:
        for option in reversed(
            (trials, *_OPTIONS, *_SUBMISSION_OPTIONS) if n_trials is not None else _OPTIONS
        ):
            command = option(command)
        return command

    return add


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The run's folder.")
@machines_option("all that DATA has")
@run_options(n_trials=20)
def run(data: Path, out: Path, machines: list[str] | None, **options: Any) -> None:
    """Search, register, fuse and write the submission for the recordings in DATA.

    \b
      oddsound run data/dcase2021 --out runs/first
      oddsound run data/dcase2021 --out runs/fan --machines fan --trials 40 --epochs 100
      oddsound run data/dcase2021 --out runs/quick --config smoke --set training.epochs=3

    The same command again does only what is missing; more --trials extend the search.
    """
    from oddsound.cli.submit import submit_run

    run_all(data, out, machines, submit_run, **options)


def run_all(
    data: Path,
    out: Path,
    machines: list[str] | None,
    finish: Finish,
    space: str | None = None,
    **options: Any,
) -> None:
    """Every stage up to MLflow, then `finish` with what was searched.

    `space`: the one search space for all machine types; None takes each one's own. SIGTERM is
    taken as SIGINT: the search stops and can be gone on with.
    """
    if options["ray_address"] != "local":
        # Ray's clients send a cluster's token only when told so before ray is imported.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    from oddsound.cli import stages
    from oddsound.recordings.index import index_folder
    from oddsound.search.driver import sole_driver
    from oddsound.search.space import load_space, read_space, spaces_folder
    from oddsound.submission.authors import read_authors

    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    authors = read_authors(options["authors"])
    overlays = overrides(options)
    index = index_folder(data, machines)
    spaces = [
        read_space(machine, (options["spaces"] or spaces_folder()) / f"{space}.yaml", overlays)
        if space
        else load_space(machine, overlays, options["spaces"])
        for machine in index.machines
    ]
    stages.refuse_unusable(index, spaces)
    out = out.absolute()  # workers have a folder of their own
    with sole_driver(out):
        record, outcome = _search(index, spaces, out, options)
        if stages.searched(out, record):
            finish(out, record, authors, options["pinned"])
        stages.refuse_failures(outcome, out)


def _search(
    index: DataIndex, spaces: list[SearchSpace], out: Path, options: dict[str, Any]
) -> tuple[RunRecord, Outcome]:
    """The stages up to MLflow, which write below `out`."""
    from oddsound.cli import stages
    from oddsound.cli.submit import refuse_unknown
    from oddsound.cli.weights import prepare_weights
    from oddsound.errors import Interrupted, TrackingError
    from oddsound.search.record import agree, known_uri, write_record
    from oddsound.search.run import Resources
    from oddsound.tracking.store import canonical, open_store

    uri = canonical(options["tracking_uri"]) if options["tracking_uri"] else known_uri(out)
    # A wrong address ends the run here, before the first trial.
    store = open_store(uri, out / "mlflow")
    given = _given_weights(options["weights"])
    spaces, weights = prepare_weights(spaces, given, out / "weights", store)
    digests = {machine: index.digest(machine) for machine in index.machines}
    asked = {s.machine: stages.begun_with(s, index, digests[s.machine], options["seed"]) for s in spaces}
    record = agree(out, stages.dataset_name(index.root), index.root, uri, asked)
    refuse_unknown(options["pinned"], record)
    resources = Resources(options["cpus_per_trial"], options["gpus_per_trial"], options["max_concurrent"])
    ask = stages.Ask(options["trials"], options["seed"], resources, options["ray_address"])
    cache = (options["cache"] or out / "features").absolute()
    plans = stages.prepare_features(index, spaces, digests, cache, ask, weights)
    write_record(out, record)
    outcome, writer = stages.search(plans, out, record, ask)
    if outcome.interrupted:
        raise Interrupted("the search was interrupted; the same command goes on from here")
    if writer.problem:
        raise TrackingError(f"{writer.problem}; every trial is in {out}, the same command sends the rest")
    return record, outcome


def _given_weights(given: Sequence[str]) -> dict[str, Path]:
    """--weights NAME=FILE by name."""
    from oddsound.errors import ConfigError

    files = {}
    for each in given:
        name, equals, file = each.partition("=")
        if not (name and equals and file):
            raise ConfigError(f"--weights {each}: expected NAME=FILE, e.g. audioset=weights/cnn.pth")
        files[name] = Path(file)
    return files


def overrides(options: dict[str, Any]) -> list[dict[str, Any]]:
    """What --config, --set and --epochs say, in that order."""
    from oddsound.config import nested
    from oddsound.errors import ConfigError
    from oddsound.search.space import spaces_folder
    from oddsound.yaml_files import parse_yaml, read_mapping

    overlays = []
    for name in options["configs"]:
        shipped = spaces_folder() / f"{name}.yaml"
        overlays.append(read_mapping(shipped if "/" not in name and shipped.is_file() else Path(name)))
    for setting in options["settings"]:
        path, equals, value = setting.partition("=")
        if not equals or not path:
            raise ConfigError(f"--set {setting}: expected SETTING=VALUE, e.g. loss.rho=0.1")
        overlays.append(nested({path: parse_yaml(value, f"--set {path}")}))
    if options["epochs"]:
        overlays.append({"training": {"epochs": options["epochs"]}})
    return overlays
