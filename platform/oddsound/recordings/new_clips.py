"""Clips to be scored: single files, or all WAVs below a folder, of a known layout or of none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from oddsound.errors import RecordingError
from oddsound.recordings.names import FOLDERS, section_in, shown


@dataclass(frozen=True, slots=True)
class FoundClip:
    """A WAV and what its place and name say; "" where they say nothing.

    `is_sorted`: its machine type's folder lies within the folder that was asked for.
    """

    path: Path
    machine: str
    section: str
    is_sorted: bool


def find_clips(places: Iterable[Path]) -> list[FoundClip]:
    """The files among `places` and the WAVs below its folders, each once, in the order of their paths.

    Raises RecordingError for a place that isn't there or has no WAV.
    """
    found: dict[Path, FoundClip] = {}
    for place in places:
        for path in _wavs(place):
            found.setdefault(path, _found(path, place))
    return list(found.values())


def _wavs(place: Path) -> list[Path]:
    if not place.is_dir():
        if not place.exists():
            raise RecordingError(f"{shown(place)}: no such file or folder; give WAVs or a folder of them")
        return [place]
    hidden = (path for path in place.rglob("*") if path.suffix.lower() == ".wav" and path.is_file())
    wavs = sorted(p for p in hidden if not any(part.startswith(".") for part in p.relative_to(place).parts))
    if not wavs:
        raise RecordingError(f"{shown(place)}: no .wav in it or below it; give a folder that has some")
    return wavs


def _found(path: Path, place: Path) -> FoundClip:
    folder = path.absolute().parent
    in_layout = folder.name in FOLDERS
    machine = folder.parent.name if in_layout else ""
    is_sorted = in_layout and place.absolute() in folder.parent.parents
    return FoundClip(path, machine, section_in(path.name), is_sorted)
