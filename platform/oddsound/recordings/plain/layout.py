"""Plain folders made into a data folder of 2021's layout, with one section and one domain.

    <folder>/<machine>/train/section_00_source_train_normal_0000.wav
                       source_test/section_00_source_test_anomaly_0000.wav
             clips.csv      which clip is which second of which recording
             begun.json     the settings, and a hash of them and the recordings' contents
             prepared.json  the same, written last

What has been prepared is never changed: other recordings or settings need another folder.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from scipy.io import wavfile

from oddsound.errors import ConfigError, DataError
from oddsound.recordings.clip import Clip
from oddsound.recordings.names import counted, shown
from oddsound.recordings.plain.cuts import Cuts, cut
from oddsound.recordings.plain.folders import PlainMachine, find_plain, notes
from oddsound.recordings.plain.made_up import with_fault
from oddsound.recordings.plain.split import Start, split, starts_of
from oddsound.recordings.reader import MIN_SAMPLES, SAMPLE_RATE, content_digest

FORMAT = 1
"""Goes up whenever the same recordings and settings give other clips."""
PREPARED = "prepared.json"
_BEGUN, _LOCK, _CLIPS = "begun.json", ".lock", "clips.csv"
_TABLE = ("file", "recording", "start_s", "seconds", "label", "made_up")

Told = Callable[[str, int, int], None]
"""Is told of a machine how many of its clips are there, and of how many."""


def nobody(machine: str, done: int, total: int) -> None:
    """Told nothing."""


@dataclass(frozen=True)
class Preparing:
    """`clip_seconds`: longer recordings are cut into clips of that; 0 leaves them. `resample`: whether other
    rates than `sample_rate` (Hz) are converted or refused. Raises ConfigError where that can't be."""

    sample_rate: int = SAMPLE_RATE
    resample: bool = False
    clip_seconds: float = 10.0

    def __post_init__(self) -> None:
        shortest = MIN_SAMPLES / self.sample_rate
        if self.clip_seconds and not (math.isfinite(self.clip_seconds) and self.clip_seconds >= shortest):
            raise ConfigError(
                f"{self.clip_seconds:g} s a clip: give {shortest:.3g} at least, or 0 to cut nothing"
            )


@dataclass(frozen=True)
class _Piece:
    """A clip to be written: of `cuts` from the sample `start` on; `made_up`: with a fault laid over it."""

    file: str
    cuts: Cuts
    start: int
    label: str
    made_up: bool = False

    def samples(self) -> NDArray[np.float32] | NDArray[np.int16]:
        clip = self.cuts.clip(self.start)
        if self.made_up:
            seed = int.from_bytes(hashlib.sha256(self.file.encode()).digest()[:8])
            return with_fault(clip, np.random.default_rng(seed))[0]
        return np.round(clip * 2**15).astype(np.int16) if self.cuts.is_exact else clip

    def row(self, root: Path) -> tuple[object, ...]:
        recording, rate = self.cuts.path.relative_to(root).as_posix(), self.cuts.sample_rate
        start, seconds = self.start / rate, self.cuts.length / rate
        return self.file, recording, f"{start:g}", f"{seconds:g}", self.label, int(self.made_up)


@dataclass(frozen=True)
class Prepared:
    """A data folder made of plain ones, and what is worth saying of it, a line each."""

    folder: Path
    notes: tuple[str, ...]


def prepare(
    root: Path,
    folder: Path,
    preparing: Preparing | None = None,
    machines: Collection[str] | None = None,
    told: Told = nobody,
    *,
    keyed: bool = False,
) -> Prepared:
    """Lay out the plain recordings below `root` in `folder`, unless they are there already; keyed: in a
    folder within it that is named for the recordings and the settings.

    A call that was cut short is gone on with by the same call; the same recordings give the same bytes.
    Raises DataError or RecordingError for recordings that can't be used, DataError where `folder` can't be
    written to or holds something else.
    """
    preparing = preparing or Preparing()
    found = find_plain(root, machines)
    pieces = {machine.name: _pieces(machine, preparing) for machine in found}
    key = _key(found, preparing)
    path = folder / key if keyed else folder
    try:
        path.mkdir(parents=True, exist_ok=True)
        with FileLock(path / _LOCK):
            if not _is_begun(path, key) or not (path / PREPARED).is_file():
                _write(root, path, pieces, {"key": key, **asdict(preparing)}, told)
    except OSError as error:
        where = shown(error.filename or folder)
        raise DataError(
            f"{where}: clips can't be written there ({error.strerror}); make room and run again"
        ) from error
    unread = notes(root, found, of_all=machines is None)
    return Prepared(path, (*_notes(found, pieces), *unread))


def has_made_up(clips: Collection[Clip]) -> bool:
    """Whether any of a machine type's clips has a fault laid over it, by the table that `prepare` left in
    their data folder."""
    anomalous = [clip for clip in clips if clip.label == "anomaly"]
    made_up = set[tuple[str, str]]().union(*map(_made_up, {clip.path.parents[2] for clip in anomalous}))
    return any((clip.machine, clip.path.name) in made_up for clip in anomalous)


def _made_up(folder: Path) -> set[tuple[str, str]]:
    """Machine type and name of the clips; none where there is no table, or somebody else's."""
    try:
        with (folder / _CLIPS).open(newline="") as stream:
            files = [Path(row["file"]) for row in csv.DictReader(stream) if row["made_up"] == "1"]
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return set()
    return {(file.parts[0], file.name) for file in files}


def _is_begun(path: Path, key: str) -> bool:
    """Whether these clips are there, whole or in part. Raises DataError where anything else is."""
    if all(child.name == _LOCK for child in path.iterdir()):
        return False
    try:
        there = json.loads((path / _BEGUN).read_bytes())["key"]
    except (OSError, ValueError, KeyError, TypeError):
        there = None
    if there != key:
        what = "clips of other recordings or settings" if there else "something else"
        raise DataError(f"{shown(path)}: holds {what}; choose another folder")
    return True


def _key(machines: Sequence[PlainMachine], preparing: Preparing) -> str:
    paths = [(machine, path) for machine in machines for path in machine.normal + machine.anomalous]
    with ThreadPoolExecutor() as pool:
        contents = pool.map(content_digest, (path for _, path in paths))
        lines = [
            f"{machine.name}/{path.relative_to(machine.folder).as_posix()} {content}"
            for (machine, path), content in zip(paths, contents, strict=True)
        ]
    identity = json.dumps([FORMAT, asdict(preparing), lines])
    return hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _pieces(machine: PlainMachine, preparing: Preparing) -> list[_Piece]:
    """Raises DataError where there is too little to train on and to test with."""

    def cuts(paths: Sequence[Path]) -> list[Cuts]:
        rate, seconds = preparing.sample_rate, preparing.clip_seconds
        return [cut(path, rate, seconds, resample=preparing.resample) for path in paths]

    train, test = split(machine, cuts(machine.normal))
    anomalous = starts_of(cuts(machine.anomalous))
    made_up = not anomalous
    return [
        *_named(machine, "train", "normal", train),
        *_named(machine, "test", "normal", test),
        *_named(machine, "test", "anomaly", anomalous or test, made_up),
    ]


def _named(
    machine: PlainMachine, split: str, label: str, clips: Sequence[Start], made_up: bool = False
) -> Iterator[_Piece]:
    place = "train" if split == "train" else "source_test"
    for number, (cuts, start) in enumerate(clips):
        file = f"{machine.name}/{place}/section_00_source_{split}_{label}_{number:04d}.wav"
        yield _Piece(file, cuts, start, label, made_up)


def _write(
    root: Path, path: Path, pieces: dict[str, list[_Piece]], settings: dict[str, object], told: Told
) -> None:
    identity = (json.dumps(settings, indent=1) + "\n").encode()
    _whole(path / _BEGUN, identity)
    for machine, of in pieces.items():
        for place in {(path / piece.file).parent for piece in of}:
            place.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor() as pool:
            for done, _ in enumerate(pool.map(lambda piece: _write_clip(path, piece), of), start=1):
                told(machine, done, len(of))
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(_TABLE)
    rows.writerows(piece.row(root) for of in pieces.values() for piece in of)
    _whole(path / _CLIPS, table.getvalue().encode("utf-8", "surrogateescape"))
    _whole(path / PREPARED, identity)


def _write_clip(path: Path, piece: _Piece) -> None:
    target = path / piece.file
    if not target.is_file():
        content = io.BytesIO()
        wavfile.write(content, piece.cuts.sample_rate, piece.samples())
        _whole(target, content.getvalue())


def _whole(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)


def _notes(machines: Sequence[PlainMachine], pieces: dict[str, list[_Piece]]) -> Iterator[str]:
    for machine in machines:
        of = pieces[machine.name]
        counts = [
            sum(f"_{kind}_" in piece.file for piece in of)
            for kind in ("train_normal", "test_normal", "test_anomaly")
        ]
        recordings = counted(len(machine.normal) + len(machine.anomalous), "recording")
        yield (
            f"{machine.name}: {recordings}, {counted(counts[0], 'clip')} to train on, {counts[1]} normal and "
            f"{counts[2]} anomalous ones to test with"
        )
        if rest := sum(c.rest / c.sample_rate for c in {p.cuts.path: p.cuts for p in of}.values()):
            yield f"{machine.name}: {rest:.3g} s at the ends of recordings fill no clip and are left out"
        if any(piece.made_up for piece in of):
            yield (
                f"{machine.name}: no anomalous recording, so faults are laid over the normal test clips to "
                "measure with; omega says how well those are heard, not yours"
            )
