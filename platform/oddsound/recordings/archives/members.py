"""What a zip holds for a data folder, and where each file belongs; a zip that isn't harmless is refused."""

from __future__ import annotations

import re
import stat
import zipfile
from dataclasses import dataclass
from pathlib import PurePosixPath

from oddsound.errors import ArchiveError
from oddsound.recordings.archives.listing import Archive, machine_in
from oddsound.recordings.names import FOLDERS, shown

GROUND_TRUTH = "ground_truth"
MAX_MEMBERS = 100_000
MAX_BYTES = 64 * 2**30
MAX_RATIO = 30
"""Recordings pack to about four fifths; digital silence is rare in them."""
LEFT_OUT = "nothing of it was unpacked: --parts and --machines leave it out"
_ROOM = 2**20
"""Bytes that any archive may have, however small it is."""
_LABELS = re.compile(r"(ground_truth_[A-Za-z0-9_-]+|eval_data_list)\.csv")
_LABEL_FOLDERS = ("ground_truth_data", "ground_truth_domain")
_ATTRIBUTES = re.compile(r"attributes_[A-Za-z0-9_-]+\.csv")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1


@dataclass(frozen=True)
class Contents:
    """`files`: each wanted member and its path in the data folder. `n_left`: how many others there are."""

    files: list[tuple[zipfile.ZipInfo, str]]
    n_left: int


def contents_of(opened: zipfile.ZipFile, archive: Archive) -> Contents:
    """Raises ArchiveError where any member, wanted or not, is what an honest archive doesn't have."""
    members = opened.infolist()
    _require_small(members, archive)
    names: set[str] = set()
    files, n_left = [], 0
    for member in members:
        if flaw := _flaw(member, names, archive.size):
            raise ArchiveError(f"{archive.key}: {shown(member.orig_filename)[:200]}: {flaw}; {LEFT_OUT}")
        if member.is_dir():
            continue
        place = _place(PurePosixPath(member.filename), archive)
        if place:
            files.append((member, place))
        else:
            n_left += 1
    _require_places(files, archive)
    return Contents(files, n_left)


def place_of_table(archive: Archive) -> str:
    """Where labels that aren't packed belong, "" where it is no table of labels."""
    return f"{GROUND_TRUTH}/{archive.key}" if _LABELS.fullmatch(archive.key) else ""


def _require_small(members: list[zipfile.ZipInfo], archive: Archive) -> None:
    n_bytes = sum(member.file_size for member in members)
    if len(members) > MAX_MEMBERS:
        what = f"{len(members)} files, more than {MAX_MEMBERS}"
    elif n_bytes > MAX_BYTES:
        what = f"{n_bytes} bytes, more than {MAX_BYTES}"
    elif n_bytes > MAX_RATIO * archive.size + _ROOM:
        what = f"{n_bytes} bytes packed into {archive.size}, more than {MAX_RATIO} in one"
    else:
        return
    raise ArchiveError(f"{archive.key}: would unpack to {what}; {LEFT_OUT}")


def _flaw(member: zipfile.ZipInfo, names: set[str], size: int) -> str:
    """Why this member mustn't be unpacked, "" where it may. `names` gets its name; `size`: of the zip."""
    name, parts = member.orig_filename, member.orig_filename.split("/")
    key = name.rstrip("/").casefold()
    kind = stat.S_IFMT(member.external_attr >> 16)
    if not name or not name.isprintable() or "\\" in name or name != member.filename:
        return "a name with odd characters"
    if name.startswith("/") or ":" in parts[0]:
        return "an absolute name"
    if ".." in parts or "." in parts or "" in parts[:-1]:
        return "a name that leads elsewhere"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR) or (kind == stat.S_IFDIR and not member.is_dir()):
        return "a link or a device"
    if member.flag_bits & _ENCRYPTED:
        return "encrypted"
    if member.compress_type not in _METHODS:
        return f"packed by a method ({member.compress_type}) that isn't known here"
    if not 0 <= member.header_offset < size:
        return "outside of the archive"
    if key in names:
        return "a name that is there twice"
    names.add(key)
    return ""


def _place(path: PurePosixPath, archive: Archive) -> str:
    """Where the member belongs, "" for what no data folder has: readmes, licences, further sounds."""
    if any(part.startswith((".", "__MACOSX")) for part in path.parts):
        return ""
    if _LABELS.fullmatch(path.name):
        inner = path.parent.name
        return (
            f"{GROUND_TRUTH}/{inner}/{path.name}"
            if inner in _LABEL_FOLDERS
            else f"{GROUND_TRUTH}/{path.name}"
        )
    if not archive.machine:
        return ""
    if path.suffix.lower() == ".wav" and path.parent.name in FOLDERS:
        _require_machine(path.parent.parent, path, archive)
        return f"{archive.machine}/{path.parent.name}/{path.name}"
    if _ATTRIBUTES.fullmatch(path.name) and path.parent.name not in FOLDERS:
        _require_machine(path.parent, path, archive)
        return f"{archive.machine}/{path.name}"
    return ""


def _require_machine(folder: PurePosixPath, path: PurePosixPath, archive: Archive) -> None:
    said = machine_in(folder.name)
    if said and said.casefold() != archive.machine.casefold():
        raise ArchiveError(
            f"{archive.key}: {shown(str(path))[:200]}: of {shown(said)}, the archive's name says "
            f"{archive.machine}; {LEFT_OUT}"
        )


def _require_places(files: list[tuple[zipfile.ZipInfo, str]], archive: Archive) -> None:
    if not files:
        what = "labels (ground_truth_*.csv)" if archive.part == "labels" else "recordings in a known layout"
        raise ArchiveError(f"{archive.key}: holds no {what}; {LEFT_OUT}")
    places: set[str] = set()
    for member, place in files:
        if place.casefold() in places:
            raise ArchiveError(
                f"{archive.key}: {shown(member.filename)[:200]}: would be {place} a second time; {LEFT_OUT}"
            )
        places.add(place.casefold())
