"""Every recording of plain folders opened, before any clip is cut."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from oddsound.errors import DataError, RecordingError
from oddsound.recordings.index import BadFile
from oddsound.recordings.names import counted, shown
from oddsound.recordings.plain.cuts import Cuts, cut
from oddsound.recordings.plain.folders import PlainMachine, chosen, machine_in, notes
from oddsound.recordings.plain.layout import Preparing
from oddsound.recordings.plain.split import split
from oddsound.recordings.reader import read_clip


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


def check_plain(root: Path, preparing: Preparing, only: Collection[str] | None = None) -> Checked:
    """What `prepare` would find below `root`, all of it: one bad folder or recording hides no other.

    only: these machines. Raises DataError for one that isn't there.
    """
    checked, machines = Checked(), []
    for name, folder in sorted(chosen(root, only).items()):
        try:
            machines.append(machine_in(folder, name))
        except DataError as error:
            checked.bad.append((folder, str(error)))
    checked.notes = notes(root, machines, of_all=only is None)
    for machine in machines:
        normal, bad = _opened(machine.normal, preparing)
        anomalous, wrong = _opened(machine.anomalous, preparing)
        checked.counts += [*_counted(machine, "normal", normal), *_counted(machine, "anomaly", anomalous)]
        checked.bad += [*bad, *wrong, *([] if bad else _too_little(machine, normal))]
        checked.notes += _silent(machine, [*normal, *anomalous])
    checked.bad.sort()
    return checked


@dataclass(frozen=True)
class _Opened:
    cuts: Cuts
    is_flat: bool
    """Whether all of its samples are alike."""


def _opened(paths: Sequence[Path], preparing: Preparing) -> tuple[list[_Opened], list[BadFile]]:
    """The good ones, all of their samples read; and the bad ones."""

    def opened(path: Path) -> _Opened | str:
        try:
            cuts = cut(path, preparing.sample_rate, preparing.clip_seconds, resample=preparing.resample)
            samples = read_clip(path, cuts.header.sample_rate)
            return _Opened(cuts, bool(samples.min() == samples.max()))
        except RecordingError as error:
            return str(error)

    with ThreadPoolExecutor() as pool:
        found = list(zip(paths, pool.map(opened, paths), strict=True))
    bad = [(path, said) for path, said in found if isinstance(said, str)]
    return [said for _, said in found if not isinstance(said, str)], bad


def _counted(machine: PlainMachine, label: str, recordings: Sequence[_Opened]) -> Iterator[PlainCount]:
    if recordings:
        seconds = [each.cuts.header.seconds for each in recordings]
        n_clips = sum(len(each.cuts.starts) for each in recordings)
        of_all = (sum(seconds), min(seconds), max(seconds))
        yield PlainCount(machine.name, label, len(recordings), n_clips, *of_all)


def _too_little(machine: PlainMachine, normal: Sequence[_Opened]) -> list[BadFile]:
    try:
        split(machine, [each.cuts for each in normal])
    except DataError as error:
        return [(machine.folder, str(error))]
    return []


def _silent(machine: PlainMachine, recordings: Sequence[_Opened]) -> list[str]:
    flat = [each.cuts.path for each in recordings if each.is_flat]
    if not flat:
        return []
    some = ", ".join(map(shown, flat[:3])) + (" and more" if flat[3:] else "")
    return [
        f"{machine.name}: no sound in {counted(len(flat), 'recording')} ({some}); record again, or remove"
    ]
