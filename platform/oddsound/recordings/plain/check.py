"""Every recording of plain folders opened, before any clip is cut."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from oddsound.errors import RecordingError
from oddsound.recordings.plain.cuts import cut
from oddsound.recordings.plain.folders import find_plain
from oddsound.recordings.plain.layout import Preparing
from oddsound.recordings.reader import WaveHeader, check_clip, probe


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


def check_plain(root: Path, preparing: Preparing) -> tuple[list[PlainCount], list[tuple[Path, str]]]:
    """The good recordings below `root` by machine and label, and each bad one with its reason."""

    def opened(path: Path) -> tuple[WaveHeader, int] | str:
        try:
            cuts = cut(path, preparing.sample_rate, preparing.clip_seconds, resample=preparing.resample)
            return check_clip(path, probe(path).sample_rate), len(cuts.starts)
        except RecordingError as error:
            return str(error)

    counts, bad = [], []
    for machine in find_plain(root):
        for label, paths in (("normal", machine.normal), ("anomaly", machine.anomalous)):
            with ThreadPoolExecutor() as pool:
                found = list(zip(paths, pool.map(opened, paths), strict=True))
            bad += [(path, said) for path, said in found if isinstance(said, str)]
            good = [said for _, said in found if not isinstance(said, str)]
            if good:
                seconds = [header.seconds for header, _ in good]
                n_clips = sum(n for _, n in good)
                counts.append(
                    PlainCount(
                        machine.name, label, len(good), n_clips, sum(seconds), min(seconds), max(seconds)
                    )
                )
    return counts, sorted(bad)
