"""A command's DATA: recordings in a layout of the challenge as they lie, those of plain folders prepared."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from oddsound.cli.talking import typed, warn

if TYPE_CHECKING:
    from oddsound.recordings.index import DataIndex
    from oddsound.recordings.plain import Preparing
    from oddsound.yaml_files import Placed

Command = Callable[..., Any]

RECORDINGS_OPTIONS = (
    click.option(
        "--resample",
        is_flag=True,
        help="Convert recordings of other sample rates; of plain folders alone.",
    ),
    click.option(
        "--clip-seconds",
        type=click.FloatRange(0),
        metavar="S",
        help="Cut longer recordings into clips of that; 0: don't; of plain folders alone.  [default: 10]",
    ),
)


_SAMPLE_RATE = click.option(
    "--sample-rate",
    type=click.IntRange(1000, 768_000),
    metavar="HZ",
    help="What recordings have, or are converted to; a run's features.sample_rate.  [default: 16000]",
)


def recordings_options(command: Command) -> Command:
    """--resample, --clip-seconds and --sample-rate, for commands without --set."""
    for option in reversed((*RECORDINGS_OPTIONS, _SAMPLE_RATE)):
        command = option(command)
    return command


def machines_words(machines: Collection[str] | None) -> list[str]:
    """--machines as it was given."""
    return ["--machines", ",".join(machines)] if machines else []


def settings_of(options: Mapping[str, Any]) -> list[str]:
    """What a run on recordings of --sample-rate is told of it: the rate, and bands up to half of it."""
    rate = options.get("sample_rate")
    return ["--set", f"features.sample_rate={rate}", "--set", f"features.f_max={rate / 2:g}"] if rate else []


def index_recordings(
    data: Path,
    machines: Collection[str] | None,
    prepared: Path,
    options: Mapping[str, Any],
    settings: Sequence[Mapping[str, Any]] = (),
) -> DataIndex:
    """What DATA holds; clips made of plain folders lie below `prepared`. `settings`: of all trials.

    Raises ConfigError where options of plain folders are given for others, DataError where DATA has both.
    """
    from oddsound.cli.clip_progress import ClipProgress
    from oddsound.recordings.index import index_folder
    from oddsound.recordings.plain import is_plain, prepare

    preparing = preparing_of(options, settings)
    if not is_plain(data, machines):
        refuse_plain_options(data, options)
        return index_folder(data, machines)
    with ClipProgress("clips") as told:
        made = prepare(
            data, prepared, preparing, machines, lambda _, done, total: told(done, total), keyed=True
        )
    for note in made.notes:
        warn(note)
    return replace(index_folder(made.folder, machines), root=data)


def refuse_inside(data: Path, out: Path, begun: str) -> None:
    """Raises ConfigError for a new folder `out` among the recordings: what lies in it would be taken for some
    of them the next time. One that has the file `begun` isn't new."""
    from oddsound.errors import ConfigError

    if out.resolve().is_relative_to(data.resolve()) and not (out / begun).is_file():
        raise ConfigError(f"{out}: lies inside the recordings, {data}; choose a folder beside them")


def prepared_in(index: DataIndex, run: Path) -> str:
    """The folder of clips that were made for the run in the folder `run`, seen from there; "" for recordings
    that are clips themselves."""
    for clip in index.clips:
        folder = clip.path.parents[2]
        return str(folder.relative_to(run)) if folder.is_relative_to(run / "recordings") else ""
    return ""


def of_one_section(index: DataIndex, settings: Sequence[Mapping[str, Any]]) -> list[Placed]:
    """What plain folders and clips prepared of them need, whose machines have one section each: a model that
    tells none apart."""
    from oddsound.config import flattened, overlay
    from oddsound.recordings.plain import PREPARED, is_plain
    from oddsound.yaml_files import Placed

    given = flattened(overlay({}, *settings))
    is_own = (index.root / PREPARED).is_file() or is_plain(index.root, index.machines)
    if not is_own or {"model.architecture", "recipe"} & given.keys():
        return []
    warn(
        "a machine in plain folders has one section, so there is nothing to tell apart: the autoencoder "
        "alone is trained (model.architecture)"
    )
    return [Placed({"model": {"architecture": "autoencoder"}}, "plain folders")]


def index_layout(
    data: Path, machines: Collection[str] | None, options: Mapping[str, Any] | None = None
) -> DataIndex:
    """What DATA holds, for commands that prepare nothing. Raises DataError for plain folders, ConfigError
    where options of theirs are given."""
    from oddsound.errors import DataError
    from oddsound.recordings.index import index_folder
    from oddsound.recordings.plain import is_plain

    if is_plain(data, machines):
        remedy = typed("data", "prepare", data, "DIR")
        raise DataError(f"{data}: plain folders; make clips of them by `{remedy}`")
    refuse_plain_options(data, options or {})
    return index_folder(data, machines)


def refuse_plain_options(data: Path, options: Mapping[str, Any]) -> None:
    """Raises ConfigError where an option is given that recordings in a layout don't have."""
    from oddsound.errors import ConfigError

    given = [f"--{name.replace('_', '-')}" for name in ("resample", "clip_seconds") if options.get(name)]
    if given:
        raise ConfigError(
            f"{given[0]}: is for plain folders, <machine>/normal and <machine>/anomaly, and {data} has none; "
            "clips in a layout of the challenge are taken as they are"
        )


def preparing_of(options: Mapping[str, Any], settings: Sequence[Mapping[str, Any]] = ()) -> Preparing:
    from oddsound.config import FeatureConfig, overlay
    from oddsound.recordings.plain import Preparing

    features = overlay({}, *settings).get("features", {})
    rate = options.get("sample_rate") or FeatureConfig().sample_rate
    rate = features.get("sample_rate", rate) if isinstance(features, Mapping) else 0
    seconds = options.get("clip_seconds")
    kept = Preparing() if seconds is None else Preparing(clip_seconds=seconds)
    return replace(kept, sample_rate=rate or kept.sample_rate, resample=bool(options.get("resample")))
