"""Which recordings of which machines a plain folder holds."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from oddsound.errors import DataError
from oddsound.recordings.index import LEFT_ALONE
from oddsound.recordings.names import FOLDERS, did_you_mean, shown
from oddsound.recordings.plain.unread import sounds_below, unread_notes

NORMAL = ("normal",)
ANOMALOUS = ("anomaly", "anomalies", "anomalous", "abnormal")
"""Words for a folder of either, in upper or lower case."""
_MACHINE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class PlainMachine:
    """One machine's recordings, in the order of their paths below `folder`. `unread`: what lies there in
    other folders than those that are read, or in other formats."""

    name: str
    folder: Path
    normal: tuple[Path, ...]
    anomalous: tuple[Path, ...]
    unread: tuple[Path, ...] = ()


def is_plain(root: Path, machines: Collection[str] | None = None) -> bool:
    """Whether `root` holds recordings in plain folders; False: in a layout of the challenge, or none.

    Raises DataError where it holds both, unless `machines` are of one kind alone: whichever were left out,
    nobody would notice.
    """
    if not root.is_dir() or _has_layout(root):
        return False
    plain, laid_out = places(root), _layouts(root)
    if not plain or not laid_out:
        return bool(plain)
    asked = set(machines or (*plain, *laid_out))
    if asked & plain.keys() and asked - plain.keys():
        raise DataError(
            f"{shown(root)}: {_listed(plain)} in plain folders beside {_listed(laid_out)} in a layout of the "
            "challenge; move the plain ones into a folder of their own, or choose by --machines those of one "
            "kind"
        )
    return bool(asked & plain.keys())


def places(root: Path) -> dict[str, Path]:
    """The folder of each machine in plain folders below `root`, by the machine's name.

    Raises DataError where recordings lie beside such folders.
    """
    laid_out = _layouts(root)
    inner = [f for f in _folders(root) if _is_machine(f) and f.name not in (*laid_out, *LEFT_ALONE)]
    if laid_out or not _is_machine(root):
        return {folder.name: folder for folder in inner}
    machines = [folder.name for folder in inner if _has_words(folder)]
    if machines and not _has_words(root):
        raise DataError(
            f"{shown(_loose(root)[0])}: lies beside the folders of machines ({_listed(machines)}); move it "
            "into the one that it belongs to"
        )
    return {root.name if root.name not in ("", "..") else root.resolve().name: root}


def find_plain(root: Path, machines: Collection[str] | None = None) -> tuple[PlainMachine, ...]:
    """The machines below `root`, all or these, by name.

    Raises DataError for a machine that isn't there, and where `machine_in` does for one that is wanted.
    """
    return tuple(machine_in(folder, name) for name, folder in sorted(chosen(root, machines).items()))


def chosen(root: Path, machines: Collection[str] | None) -> dict[str, Path]:
    """The folders of these machines below `root`, of all for None. Raises DataError for one that isn't
    there."""
    found = places(root)
    for name in machines or ():
        if name not in found:
            hint = did_you_mean(name, found)
            raise DataError(f"{shown(root)}: no machine {name!r}; {hint}there are: {_listed(found)}")
    return {name: folder for name, folder in found.items() if machines is None or name in machines}


def machine_in(folder: Path, name: str) -> PlainMachine:
    """The machine `name` in `folder`. Raises DataError for a name that can't be a machine type's, recordings
    beside normal/ or anomaly/, and where there is no normal recording."""
    if not _MACHINE.fullmatch(name):
        raise DataError(
            f"{shown(folder)}: no name for a machine; rename the folder to letters, digits, - and _ alone"
        )
    sounds = sounds_below(folder)
    wavs = [path for path in sounds if path.suffix.lower() == ".wav"]
    normal, anomalous = _below(wavs, folder, NORMAL), _below(wavs, folder, ANOMALOUS)
    loose = [path for path in wavs if path.parent == folder]
    if loose and (normal or anomalous):
        raise DataError(
            f"{shown(loose[0])}: lies beside {NORMAL[0]}/ or {ANOMALOUS[0]}/; move it into the one that it "
            "belongs to"
        )
    read = normal or loose
    unread = tuple(sorted({*sounds} - {*read, *anomalous}))
    if not read:
        there = "; ".join(unread_notes(folder, unread))
        put = there or f"put some into {shown(folder / NORMAL[0])}"
        raise DataError(f"{shown(folder)}: no normal recording; {put}")
    return PlainMachine(name, folder, tuple(read), tuple(anomalous), unread)


def notes(root: Path, machines: Collection[PlainMachine], *, of_all: bool) -> list[str]:
    """What lies below `root` and isn't read, a line for each of `machines` and folder; of_all: also what is
    in no machine's folder."""
    lines = [
        line
        for machine in machines
        for line in unread_notes(
            machine.folder, machine.unread, loose=machine.normal[0].parent == machine.folder
        )
    ]
    taken = set(places(root).values())
    if of_all and root not in taken:
        known = {*_layouts(root), *LEFT_ALONE}
        others = [folder for folder in _folders(root) if folder not in taken and folder.name not in known]
        lines += [line for folder in others for line in unread_notes(folder, sounds_below(folder))]
    return lines


def _is_machine(folder: Path) -> bool:
    return bool(_has_words(folder) or _loose(folder))


def _has_words(folder: Path) -> bool:
    """Whether `folder` has one of normal or of anomalous recordings."""
    return any(inner.name.lower() in (*NORMAL, *ANOMALOUS) for inner in _folders(folder))


def _has_layout(folder: Path) -> bool:
    return any((folder / name).is_dir() for name in FOLDERS)


def _layouts(root: Path) -> list[str]:
    """The folders in `root` that have a layout of the challenge, or in which one is."""
    return [
        folder.name
        for folder in _folders(root)
        if any(_has_layout(place) for place in (folder, *_folders(folder)))
    ]


def _folders(folder: Path) -> list[Path]:
    return [path for path, is_folder in _entries(folder) if is_folder]


def _loose(folder: Path) -> list[Path]:
    """The recordings that lie directly in `folder`."""
    return [path for path, is_dir in _entries(folder) if path.suffix.lower() == ".wav" and not is_dir]


def _entries(folder: Path) -> list[tuple[Path, bool]]:
    """What is in `folder` and not hidden, and whether it is a folder."""
    try:
        with os.scandir(folder) as entries:
            return sorted((folder / e.name, e.is_dir()) for e in entries if not e.name.startswith("."))
    except OSError as error:
        raise DataError(f"{shown(folder)}: can't be listed ({error.strerror}); check it") from error


def _below(paths: Collection[Path], folder: Path, words: Collection[str]) -> list[Path]:
    """Those in a folder of `folder` that is called by one of `words`, at any depth."""
    parts = {path: path.relative_to(folder).parts for path in paths}
    return [path for path in paths if len(parts[path]) > 1 and parts[path][0].lower() in words]


def _listed(names: Collection[str]) -> str:
    return ", ".join(shown(name) for name in names)
