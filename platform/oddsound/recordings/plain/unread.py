"""Sounds that lie among plain folders and aren't read: found, and said."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import NoReturn

from oddsound.errors import DataError
from oddsound.recordings.names import counted, shown

_OTHER_FORMATS = frozenset(
    (".aac", ".aif", ".aiff", ".au", ".caf", ".flac", ".m4a", ".mp3", ".ogg", ".opus", ".w64", ".wma")
)
_RUN = "run.json"
"""A run's folder beside the recordings has clips that were made of them."""


def sounds_below(folder: Path) -> list[Path]:
    """WAVs and files of other formats at any depth below `folder`, by path; nothing hidden.

    Links to folders are followed, each folder is seen once: a recording that is there by two ways would be
    in training and test. A link that leads nowhere is among them, whoever reads it is told.
    """
    found: list[Path] = []
    seen: set[str] = set()
    for here, folders, files in os.walk(folder, followlinks=True, onerror=_refuse):
        if os.path.realpath(here) in seen or _RUN in files:
            folders.clear()
            continue
        seen.add(os.path.realpath(here))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(here, name) for name in files if _is_sound(name)]
    return sorted(found)


def unread_notes(folder: Path, unread: Collection[Path], *, loose: bool = False) -> list[str]:
    """What of the machine in `folder` isn't read, a line for each folder in it and format. `loose`: what is
    read lies in `folder` itself."""
    places = f"{shown(folder / 'normal')} or {shown(folder / 'anomaly')}"
    to = f"{shown(folder)}, or everything into {places}" if loose else places
    where = [(_place(path, folder), path.suffix.lower()) for path in unread]
    lines = []
    for (place, suffix), n in sorted(Counter(where).items()):
        if suffix == ".wav":
            said = f"{counted(n, 'recording')} not used"
            remedy = f"move what is to be used into {to}"
        else:
            said = f"{counted(n, f'{suffix} file')} not read"
            remedy = f"convert what is to be used: ffmpeg -i OLD{suffix} NEW.wav"
        lines.append(f"{shown(place)}: {said}; {remedy}")
    return lines


def _place(path: Path, folder: Path) -> Path:
    """The folder in `folder` that `path` is in, at any depth."""
    parts = path.relative_to(folder).parts
    return folder / parts[0] if len(parts) > 1 else folder


def _is_sound(name: str) -> bool:
    suffix = Path(name).suffix.lower()
    return not name.startswith(".") and (suffix == ".wav" or suffix in _OTHER_FORMATS)


def _refuse(error: OSError) -> NoReturn:
    raise DataError(f"{shown(error.filename)}: can't be listed ({error.strerror}); check it") from error
