"""Which recordings of which machines a plain folder holds."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from oddsound.errors import DataError
from oddsound.recordings.names import FOLDERS, did_you_mean, shown

NORMAL = "normal"
ANOMALOUS = ("anomaly", "abnormal")
_MACHINE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class PlainMachine:
    """One machine's recordings, in the order of their paths below `folder`."""

    name: str
    folder: Path
    normal: tuple[Path, ...]
    anomalous: tuple[Path, ...]


def is_plain(root: Path) -> bool:
    """Whether `root` holds recordings in plain folders, and none in a layout of the challenge."""
    if not root.is_dir() or any(_is_of_a_layout(folder) for folder in (root, *_folders(root))):
        return False
    return any(_is_machine(folder) for folder in (root, *_folders(root)))


def find_plain(root: Path, machines: Collection[str] | None = None) -> tuple[PlainMachine, ...]:
    """The machines below `root`, all or these, by name.

    Raises DataError for a machine that isn't there, one whose folder's name can't be a machine type's,
    and one without a normal recording.
    """
    places = [root] if _is_machine(root) else [folder for folder in _folders(root) if _is_machine(folder)]
    found = {machine.name: machine for machine in map(_machine, places)}
    for name in machines or ():
        if name not in found:
            hint = did_you_mean(name, found)
            raise DataError(f"{shown(root)}: no machine {name!r}; {hint}there are: {', '.join(found)}")
    return tuple(found[name] for name in sorted(found) if machines is None or name in machines)


def _machine(folder: Path) -> PlainMachine:
    name = folder.resolve().name
    if not _MACHINE.fullmatch(name):
        raise DataError(
            f"{shown(folder)}: no name for a machine; rename the folder to letters, digits, - and _ alone"
        )
    normal, anomalous = _wavs(folder / NORMAL), [wav for each in ANOMALOUS for wav in _wavs(folder / each)]
    loose = _loose(folder)
    if loose and (normal or anomalous):
        raise DataError(
            f"{shown(loose[0])}: lies beside {NORMAL}/ or {ANOMALOUS[0]}/; move it into the one that it "
            "belongs to"
        )
    if not normal and not loose:
        raise DataError(f"{shown(folder)}: no normal recording; put some into {shown(folder / NORMAL)}")
    return PlainMachine(name, folder, tuple(normal or loose), tuple(anomalous))


def _is_machine(folder: Path) -> bool:
    return bool(_loose(folder) or any((folder / name).is_dir() for name in (NORMAL, *ANOMALOUS)))


def _is_of_a_layout(folder: Path) -> bool:
    return any((place / name).is_dir() for place in (folder, *_folders(folder)) for name in FOLDERS)


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"{shown(folder)}: can't be listed ({error.strerror}); check it") from error


def _loose(folder: Path) -> list[Path]:
    """The recordings that lie directly in `folder`."""
    return sorted(path for path in folder.iterdir() if _is_recording(path, folder))


def _wavs(folder: Path) -> list[Path]:
    """The recordings at any depth below `folder`; none where there is no such folder."""
    return sorted(path for path in folder.rglob("*") if _is_recording(path, folder))


def _is_recording(path: Path, root: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
    return path.suffix.lower() == ".wav" and not hidden and path.is_file()
