"""Unpack one archive into a data folder: all of it or nothing, and nothing that is there is changed."""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from oddsound.errors import ArchiveError, DataError
from oddsound.recordings.archives.download import Progress
from oddsound.recordings.archives.listing import Archive
from oddsound.recordings.archives.members import LEFT_OUT, contents_of, place_of_table
from oddsound.recordings.names import shown

_PIECE = 2**20
_DAMAGES = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, ValueError)


@dataclass(frozen=True)
class Unpacked:
    """`files`: size in bytes of each, by its path in the data folder. `n_new` of them were not there
    before; `n_left` members belong in no data folder."""

    files: dict[str, int]
    n_new: int
    n_left: int


def unpack(path: Path, archive: Archive, root: Path, scratch: Path, progress: Progress) -> Unpacked:
    """Unpack the archive at `path` into the data folder `root`, by way of the new folder `scratch`.

    Files come into their places by renaming, after the last one has been read and its CRC seen to be right.
    A file that is there with the same content stays; attributes_*.csv that is there with other content is
    joined by one that bears the archive's name. Raises ArchiveError where the archive is damaged or
    hostile, DataError where another file is there with other content; both before anything is in its place.
    """
    if not archive.key.lower().endswith(".zip"):
        return _unpack_table(path, archive, root, scratch)
    with path.open("rb") as stream:
        try:
            opened = zipfile.ZipFile(stream)
            contents = contents_of(opened, archive)
            done, places = 0, []
            total = sum(member.file_size for member, _ in contents.files)
            for member, place in contents.files:
                with opened.open(member) as content:
                    places.append(_bring(cast(BinaryIO, content), place, archive, root, scratch))
                done += member.file_size
                progress(f"unpacking {archive.key}", done, total)
        except _DAMAGES as error:
            raise ArchiveError(
                f"{archive.key}: damaged at its source ({shown(str(error))[:99]}), as its checksum is right; "
                f"{LEFT_OUT}"
            ) from error
    sizes = {place: member.file_size for (member, _), (place, _) in zip(contents.files, places, strict=True)}
    new = [place for place, is_new in places if is_new]
    _settle(new, root, scratch)
    return Unpacked(sizes, len(new), contents.n_left)


def _unpack_table(path: Path, archive: Archive, root: Path, scratch: Path) -> Unpacked:
    place = place_of_table(archive)
    if not place:
        return Unpacked({}, 0, 1)
    with path.open("rb") as content:
        place, is_new = _bring(content, place, archive, root, scratch)
    _settle([place] if is_new else [], root, scratch)
    return Unpacked({place: archive.size}, int(is_new), 0)


def _bring(content: BinaryIO, place: str, archive: Archive, root: Path, scratch: Path) -> tuple[str, bool]:
    """Write `content` to its place below `scratch`, or see that it is below `root` already.

    Its place, and whether it was written. Raises DataError.
    """
    written = scratch / place
    written.parent.mkdir(parents=True, exist_ok=True)
    with written.open("xb") as out:
        while piece := content.read(_PIECE):
            out.write(piece)
        out.flush()
        os.fsync(out.fileno())  # a name that outlives a power cut has its content; 1.2 ms a clip
    for candidate in (place, *_beside(place, archive)):
        there = root / candidate
        if not os.path.lexists(there):
            return _as(candidate, place, scratch), True
        if there.is_file() and _same(there, written):
            written.unlink()
            return candidate, False
    raise DataError(
        f"{shown(root / place)}: is there with other content than in {archive.key}; move it away, and the "
        "same command goes on"
    )


def _as(candidate: str, place: str, scratch: Path) -> str:
    if candidate != place:
        (scratch / place).rename(scratch / candidate)
    return candidate


def _beside(place: str, archive: Archive) -> Iterable[str]:
    """Training and evaluation archives have an attributes_00.csv each: both are read by the index."""
    folder, _, name = place.rpartition("/")
    if name.startswith("attributes_"):
        yield f"{folder}/{name.removesuffix('.csv')}_{archive.key.rpartition('.')[0]}.csv"


def _same(one: Path, other: Path) -> bool:
    if one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as a, other.open("rb") as b:
        while piece := a.read(_PIECE):
            if piece != b.read(_PIECE):
                return False
    return True


def _settle(places: list[str], root: Path, scratch: Path) -> None:
    """Rename what was written into its place."""
    for place in places:
        there = root / place
        there.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(there):
            raise DataError(f"{shown(there)}: has come meanwhile; move it away, and the same command goes on")
        (scratch / place).rename(there)
