"""`oddsound predict`: score new clips with a registered model, a packaged one, or a trial."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from oddsound.cli.out_file import refuse_unwritable
from oddsound.cli.talking import talk, warn
from oddsound.cli.verdict_files import writing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from oddsound.cli.new_recordings import Taking
    from oddsound.ensemble.opening import OpenModel
    from oddsound.recordings.new_clips import FoundClip
    from oddsound.tracking.store import Store
    from oddsound.training.verdicts import MachineModel, NewClip, Verdict

_BATCH = 16
"""As many clips are scored in parallel at most."""


@click.command()
@click.argument("clips", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="DIR_OR_WAV...")
@click.option("--model", required=True, help="models:/NAME@ALIAS, models:/NAME/VERSION, or a folder.")
@click.option("--tracking-uri", help="The MLflow server that has the model, or sqlite:///FILE.")
@click.option("--run", type=click.Path(path_type=Path), help="The run whose MLflow has the model.")
@click.option("--section", help="Of the files whose names say none, e.g. 00.")
@click.option("--machine", help="The machine type, where neither model nor folders tell.")
@click.option("--resample", is_flag=True, help="Convert recordings of other sample rates.")
@click.option(
    "--clip-seconds",
    type=click.FloatRange(0),
    metavar="S",
    help="Cut longer recordings into clips of that, a row each; 0: don't.  [default: as --run did, or 0]",
)
@click.option(
    "--batch-size",
    default=_BATCH,
    show_default=True,
    type=click.IntRange(1, 1024),
    help="Clips that are held in memory, and scored in parallel, at most. Changes no score.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON, with the probabilities of the sections.")
@click.option("--out", type=click.Path(path_type=Path), help="Write there, whole or not at all.")
def predict(
    clips: tuple[Path, ...],
    model: str,
    tracking_uri: str | None,
    run: Path | None,
    section: str | None,
    machine: str | None,
    resample: bool,
    clip_seconds: float | None,
    batch_size: int,
    as_json: bool,
    out: Path | None,
) -> None:
    """Score the clips DIR_OR_WAV with a model, and say which are anomalous.

    \b
      oddsound predict --model models:/dcase2021.fan@champion --run runs/first data/dcase2021/fan/source_test
      oddsound predict --model models:/dcase2021.fan/3 --tracking-uri http://lab:5000 --section 00 new.wav
      oddsound predict --model models:/dcase2021.S2@champion --run runs/first data/dcase2021 --out scores.csv
      oddsound predict --model runs/first/trials/fan/0123456789abcdef fan_clips/
      oddsound predict --model models:/own.press@champion --run runs/own my_machines/press --out scores.csv

    CSV columns: file, machine, section, anomaly_score (higher is odder), threshold (of the section: the 0.9
    quantile of a gamma fitted to the scores of its training clips) and decision (1 above it, else 0).

    Only configuration and weights are read, after their SHA-256 was found to be the registered one; no code
    that lies beside them is run. A clip's score doesn't depend on the clips that are scored with it, to the
    last digit. A folder is searched for .wav at any depth; within a data folder the model's own machine
    types are taken.

    With a --run of plain folders, recordings are converted and cut as that run did it. Where they are cut,
    a column start_s after file says where in the recording, in seconds, each clip begins.
    """
    from oddsound.cli.new_recordings import taking
    from oddsound.features.freed_memory import keep_freed_memory
    from oddsound.recordings.new_clips import find_clips
    from oddsound.training.verdicts import verdicts

    refuse_unwritable(out)
    taken = taking(run, resample, clip_seconds)
    keep_freed_memory()
    with _counting(out) as count:
        found = find_clips(clips)
        with _opened(model, tracking_uri, run) as opened:
            chosen = _by_machine(found, opened.machines, machine)
            with writing(out, as_json=as_json, is_cut=bool(taken.clip_seconds)) as write:
                for scorer, batch in _batches(opened, chosen, section, batch_size, taken):
                    found_out = verdicts(scorer, batch)
                    write(found_out)
                    count.add(scorer, batch, found_out)
    count.say()
    if taken.left_out_s:
        warn(f"{taken.left_out_s:.3g} s at the ends of recordings fill no clip and are left out")


@dataclass
class _Count:
    """Clips whose verdicts were written, and how many of those are above the threshold and too short."""

    scored: int = 0
    anomalous: int = 0
    short: int = 0

    def add(self, scorer: MachineModel, clips: Sequence[NewClip], verdicts: Sequence[Verdict]) -> None:
        self.scored += len(verdicts)
        self.anomalous += sum(verdict.decision for verdict in verdicts)
        self.short += sum(len(clip.samples) < scorer.full_samples for clip in clips)

    def say(self) -> None:
        plural = "s" if self.scored != 1 else ""
        talk(f"{self.scored} clip{plural}, {self.anomalous} above the threshold")
        if self.short:
            warn(
                f"{self.short} shorter than the clips that the model was trained on: they were padded with "
                "zeros, which their scores can show"
            )


@contextlib.contextmanager
def _counting(out: Path | None) -> Iterator[_Count]:
    """Ctrl-C says what was written: unlike a search, there is nothing that the same command goes on from."""
    from oddsound.errors import Interrupted

    count = _Count()
    try:
        yield count
    except KeyboardInterrupt as error:
        what = f"interrupted; nothing was written{f' to {out}' if out else ''}"
        if count.scored and not out:
            what = (
                f"interrupted after {count.scored} clips, whose verdicts were written; the same command "
                "begins anew"
            )
        raise Interrupted(what) from error


@contextlib.contextmanager
def _opened(model: str, tracking_uri: str | None, run: Path | None) -> Iterator[OpenModel]:
    """The model; what was fetched of it is removed at the end."""
    from tempfile import TemporaryDirectory

    from oddsound.ensemble.opening import open_folder, open_sealed

    if not model.startswith(("models:/", "runs:/")):
        yield open_folder(Path(model))
        return
    from oddsound.tracking.loading import locate, open_model

    store = _store(model, tracking_uri, run)
    with TemporaryDirectory(prefix="oddsound-") as folder:
        yield open_sealed(open_model(store, locate(store, model), Path(folder)))


def _store(model: str, tracking_uri: str | None, run: Path | None) -> Store:
    """The MLflow that was named. Raises ConfigError where none was, or a database that isn't there."""
    from oddsound.errors import ConfigError
    from oddsound.search.record import read_record
    from oddsound.tracking.store import canonical, open_store

    if (tracking_uri is None) == (run is None):
        raise ConfigError(f"{model}: say which MLflow has it, either by --run RUN or by --tracking-uri")
    uri = canonical(tracking_uri) if tracking_uri else read_record(run).tracking_uri if run else None
    folder = run / "mlflow" if run else Path()
    database = Path(uri.removeprefix("sqlite:///")) if uri else folder / "mlflow.db"
    if (uri is None or uri.startswith("sqlite:///")) and not database.is_file():
        raise ConfigError(f"{database}: no such database; `oddsound sync` makes a run's")
    return open_store(uri, folder)


def _by_machine(
    found: Sequence[FoundClip], known: Sequence[str], asked: str | None
) -> dict[str, list[FoundClip]]:
    """The clips by the machine type that they are taken for; those of others are left out and named."""
    from oddsound.errors import ConfigError, RecordingError

    if asked is not None and asked not in known:
        raise ConfigError(f"--machine {asked}: unknown to the model; it knows {', '.join(known)}")
    wanted = [asked] if asked is not None else list(known)
    chosen: dict[str, list[FoundClip]] = {}
    others: dict[str, int] = {}
    taken: set[str] = set()
    for clip in found:
        if clip.machine in wanted:
            chosen.setdefault(clip.machine, []).append(clip)
        elif clip.is_sorted:
            others[clip.machine] = others.get(clip.machine, 0) + 1
        elif len(wanted) == 1:
            chosen.setdefault(wanted[0], []).append(clip)
            taken |= {clip.machine} if clip.machine else set()
        else:
            raise ConfigError(
                f"{clip.path}: of which machine type is it? Give --machine, one of {', '.join(wanted)}"
            )
    left = ", ".join(f"{count} of {machine}" for machine, count in others.items())
    if not chosen:
        raise RecordingError(f"no clips of {', '.join(wanted)} there, but {left}; or give --machine")
    if left:
        warn(f"left out: {left}; the model is of {', '.join(known)}")
    if taken:
        warn(f"clips in the folder of {', '.join(sorted(taken))} are taken for {wanted[0]}")
    return chosen


def _sections(scorer: MachineModel, clips: Sequence[FoundClip], asked: str | None) -> dict[Path, str]:
    """The section of each clip. Raises, before any clip is read, where one's is unknown."""
    from oddsound.errors import ConfigError, RecordingError

    known = list(scorer.sections)
    if asked is not None and asked not in known:
        raise ConfigError(f"--section {asked}: the model of {scorer.machine} knows {', '.join(known)}")
    usual = asked or (known[0] if len(known) == 1 else "")
    sections = {clip.path: clip.section or usual for clip in clips}
    for path, section in sections.items():
        if section not in known:
            says = f"section {section} is unknown to the model" if section else "its name says no section"
            remedy = "" if section else "give --section; "
            raise RecordingError(f"{path}: {says}; {remedy}it knows {', '.join(known)}")
    return sections


def _batches(
    opened: OpenModel, chosen: dict[str, list[FoundClip]], section: str | None, size: int, taken: Taking
) -> Iterator[tuple[MachineModel, list[NewClip]]]:
    """The clips read, `size` at once, each with what scores it; one machine type after the other."""
    from oddsound.training.verdicts import batches

    for machine, clips in chosen.items():
        scorer = opened.of(machine)
        for batch in batches(_read(scorer, clips, section, taken), size):
            yield scorer, batch


def _read(
    scorer: MachineModel, clips: Sequence[FoundClip], section: str | None, taken: Taking
) -> Iterator[NewClip]:
    from oddsound.recordings.names import shown
    from oddsound.recordings.reader import probe
    from oddsound.training.verdicts import refuse_much_longer

    sections = _sections(scorer, clips, section)
    is_said = False
    for clip in clips:
        header = probe(clip.path)
        if header.n_channels == 2 and not is_said:
            warn(f"{shown(clip.path)} has two channels; of such the first one is used")
            is_said = True
        if header.sample_rate == scorer.sample_rate and not taken.clip_seconds:
            refuse_much_longer(scorer, str(clip.path), header.n_samples)
        yield from taken.clips(clip.path, sections[clip.path], scorer, header.sample_rate)
