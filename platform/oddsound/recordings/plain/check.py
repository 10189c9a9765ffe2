"""Every recording of plain folders opened, before any clip is cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from oddsound.errors import DataError, RecordingError
from oddsound.recordings.index import BadFile
from oddsound.recordings.plain.cuts import Cuts, cut
from oddsound.recordings.plain.folders import PlainMachine, machine_in, notes, places
from oddsound.recordings.plain.layout import Preparing
from oddsound.recordings.plain.split import split
from oddsound.recordings.reader import check_clip, probe


@dataclass(frozen=True)
class PlainCount:
    """Recordings of one machine and label, of how many s in all and each, in how many clips."""

    machine: str
    label: str
    n_recordings: int
    n_clips: int
    seconds: float
    min_seconds: float
    max_seconds: float


@dataclass
class Checked:
    """The good recordings by machine and label; each bad one, and each machine's folder that can't be used,
    with its reason; what lies there and isn't read, a line each."""

    counts: list[PlainCount] = field(default_factory=list)
    bad: list[BadFile] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def check_plain(root: Path, preparing: Preparing) -> Checked:
    """What `prepare` would find below `root`, all of it: one bad folder or recording hides no other."""
    checked, machines = Checked(), []
    for name, folder in sorted(places(root).items()):
        try:
            machines.append(machine_in(folder, name))
        except DataError as error:
            checked.bad.append((folder, str(error)))
    for machine in machines:
        normal, bad = _opened(machine.normal, preparing)
        anomalous, wrong = _opened(machine.anomalous, preparing)
        checked.counts += [*_counted(machine, "normal", normal), *_counted(machine, "anomaly", anomalous)]
        checked.bad += [*bad, *wrong, *([] if bad else _too_little(machine, normal))]
    checked.bad.sort()
    checked.notes = notes(root, machines, of_all=True)
    return checked


def _opened(paths: Sequence[Path], preparing: Preparing) -> tuple[list[Cuts], list[BadFile]]:
    """How the good ones are cut, all of their samples read; and the bad ones."""

    def opened(path: Path) -> Cuts | str:
        try:
            cuts = cut(path, preparing.sample_rate, preparing.clip_seconds, resample=preparing.resample)
            check_clip(path, probe(path).sample_rate)
            return cuts
        except RecordingError as error:
            return str(error)

    with ThreadPoolExecutor() as pool:
        found = list(zip(paths, pool.map(opened, paths), strict=True))
    bad = [(path, said) for path, said in found if isinstance(said, str)]
    return [cuts for _, cuts in found if not isinstance(cuts, str)], bad


def _counted(machine: PlainMachine, label: str, recordings: Sequence[Cuts]) -> Iterator[PlainCount]:
    if recordings:
        seconds = [each.header.seconds for each in recordings]
        n_clips = sum(len(each.starts) for each in recordings)
        of_all = (sum(seconds), min(seconds), max(seconds))
        yield PlainCount(machine.name, label, len(recordings), n_clips, *of_all)


def _too_little(machine: PlainMachine, normal: Sequence[Cuts]) -> list[BadFile]:
    try:
        split(machine, normal)
    except DataError as error:
        return [(machine.folder, str(error))]
    return []
