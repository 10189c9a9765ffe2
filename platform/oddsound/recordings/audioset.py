"""Corpora in the style of AudioSet: J. F. Gemmeke et al., "Audio Set: An ontology and human-labeled
dataset for audio events", ICASSP 2017."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from oddsound.errors import DataError
from oddsound.recordings.labelled import Corpus, LabelledClip
from oddsound.recordings.names import shown
from oddsound.recordings.sound import SUFFIXES, probe_sound
from oddsound.recordings.tables import bad_line, listed, number, read_lines

N_FOLDS = 5
_N_THREADS = 4
_LONGER_S = 1.0
"""A file that is longer than its segment by more than this is the whole recording, not the segment."""


@dataclass(frozen=True)
class _Segment:
    ytid: str
    start: float
    end: float
    labels: tuple[str, ...]
    fold: int


def read_audioset(root: Path, tables: list[Path]) -> Corpus:
    """The clips of all `tables` whose audio is there, sorted by YTID and start. Raises DataError."""
    segments = sorted(_segments(tables), key=lambda segment: (segment.ytid, segment.start))
    files = _files(root)
    found = [(segment, path) for segment in segments if (path := _audio_of(segment, files))]
    if not found:
        names = " or ".join(f"<YTID>{suffix}" for suffix in SUFFIXES)
        raise DataError(
            f"{shown(root)}: none of the {len(segments)} clips' audio is there, e.g. "
            f"{segments[0].ytid if segments else 'no line in the table'}; put {names} in it or its audio/"
        )
    with ThreadPoolExecutor(_N_THREADS) as pool:
        clips = tuple(pool.map(lambda pair: _clip(*pair), found))
    classes = tuple(sorted({label for clip in clips for label in clip.labels}))
    if len(classes) < 2:
        raise DataError(f"{shown(root)}: clips of {len(classes)} label(s); at least 2 are needed to learn")
    names_of = _names(root / "class_labels_indices.csv")
    return Corpus(root, clips, True, classes, names_of, len(segments) - len(found))


def _segments(tables: list[Path]) -> Iterator[_Segment]:
    held_out = any(_is_evaluation(table) for table in tables)
    seen: dict[tuple[str, float], str] = {}
    for table in tables:
        for line, fields in read_lines(table):
            if len(fields) != 4:
                wanted = 'YTID, start_seconds, end_seconds, "label,label"'
                raise bad_line(table, line, f"{len(fields)} fields; {wanted} are needed")
            ytid, labels = fields[0], tuple(label.strip() for label in fields[3].split(","))
            start, end = (number(text, "a time", table, line) for text in fields[1:3])
            if not re.fullmatch("[A-Za-z0-9_-]{1,64}", ytid):
                raise bad_line(table, line, f"YTID {ytid[:64]!r} holds more than letters, digits, _ and -")
            if start >= end:
                raise bad_line(table, line, f"starts at {start:g} s and ends at {end:g} s; correct it")
            if not all(labels) or len(set(labels)) < len(labels):
                raise bad_line(table, line, f"labels {fields[3]!r}: one is empty or stands twice; correct it")
            here = f"{table.name}:{line}"
            if (first := seen.setdefault((ytid, start), here)) != here:
                raise bad_line(table, line, f"{ytid} from {start:g} s stands in {first} already; remove one")
            yield _Segment(ytid, start, end, labels, _fold(ytid, table, held_out))


def _is_evaluation(table: Path) -> bool:
    return table.name.lower().startswith("eval")


def _fold(ytid: str, table: Path, held_out: bool) -> int:
    """All clips of a YTID are in one fold, so that none is trained on beside what is held out."""
    if held_out:
        return 1 if _is_evaluation(table) else 2
    return 1 + int.from_bytes(hashlib.sha256(ytid.encode()).digest()[:8], "big") % N_FOLDS


def _files(root: Path) -> dict[str, Path]:
    """Every sound file of the folder and its audio/ by its name without suffix."""
    found: dict[str, Path] = {}
    for place in (root / "audio", root):
        for path in sorted(place.iterdir()) if place.is_dir() else ():
            if path.suffix.lower() not in SUFFIXES or not path.is_file():
                continue
            if (other := found.setdefault(path.stem, path)) != path:
                raise DataError(f"{shown(path)}: the same name as {shown(other)}; remove one of them")
    return found


def _audio_of(segment: _Segment, files: dict[str, Path]) -> Path | None:
    """<YTID>_<start> with the start in seconds or whole milliseconds, else <YTID>."""
    seconds = segment.start
    starts = (f"{seconds:g}", f"{seconds:.1f}", f"{seconds:.3f}", f"{1000 * seconds:.0f}")
    names = [f"{segment.ytid}_{start}" for start in starts] + [segment.ytid]
    return next((files[name] for name in names if name in files), None)


def _clip(segment: _Segment, path: Path) -> LabelledClip:
    """A file that is clearly longer than the segment is the recording that the segment is cut from."""
    length, wanted = probe_sound(path).seconds, segment.end - segment.start
    whole = path.stem == segment.ytid and length > wanted + _LONGER_S
    if whole and length <= segment.start:
        raise DataError(
            f"{shown(path)}: {length:g} s long, and its clip starts at {segment.start:g} s; get it again"
        )
    start = segment.start if whole else 0.0
    return LabelledClip(path, segment.labels, segment.fold, start, min(wanted, length - start))


def _names(table: Path) -> dict[str, str]:
    """Name by mid. Raises DataError where the table isn't `index, mid, display_name`."""
    if not table.is_file():
        return {}
    lines = list(read_lines(table))
    if not lines or lines[0][1] != ["index", "mid", "display_name"]:
        raise DataError(f"{shown(table)}: its first line isn't index,mid,display_name; replace or remove it")
    wrong = [line for line, fields in lines if len(fields) != 3]
    if wrong:
        raise bad_line(
            table, wrong[0], f"not 3 fields (also lines {listed(map(str, wrong[1:]))}); correct it"
        )
    return {mid: name for _, (_, mid, name) in lines[1:]}
