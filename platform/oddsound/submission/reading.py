"""A package as it lies on disk or in a zip, read into memory and never unpacked.

A zip is read member by member, each up to a size, whatever its directory claims; names that would
leave the folder, links, doubles and encrypted members are problems and are not read.
"""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from oddsound.errors import SubmissionError
from oddsound.recordings.names import shown
from oddsound.scoring.score_files import MAX_BYTES, read_bytes
from oddsound.scoring.score_rows import Problem
from oddsound.submission.authors import LABEL

MAX_FILES = 2_000
MAX_TOTAL_BYTES = 128 * 2**20
_DAMAGES = (zipfile.BadZipFile, zlib.error, struct.error, RuntimeError, EOFError, OSError, ValueError)
"""What `zipfile` raises for one that is damaged, encrypted (RuntimeError) or packed in an unknown way."""
Entry = tuple[tuple[str, ...], bytes]
"""The parts of a name below task2/, and the content."""


@dataclass(frozen=True)
class Package:
    """The files of each system by label, and what is wrong with the folder or zip itself."""

    systems: dict[str, dict[str, bytes]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def read_package(path: Path) -> Package:
    """Read a folder that holds task2/, the task2 folder, one system's folder, or a zip of any of them.

    Raises SubmissionError where there is no such thing, it can't be read, or it is larger than any
    package (2,000 files, 128 MiB).
    """
    package = Package()
    for parts, content in _entries(path, package.problems):
        if len(parts) == 2:
            package.systems.setdefault(parts[0], {})[parts[1]] = content
        elif not (len(parts) == 1 and parts[0].endswith(".pdf")):
            name = shown("/".join(parts))
            package.problems.append(Problem(name, 1, "not part of a package; remove it"))
    if not package.systems:
        why = f" ({package.problems[0]})" if package.problems else ""
        raise SubmissionError(
            f"{path}: no system in it; expected task2/<Lastname>_<INST>_task2_<1-4>/ with its CSVs{why}"
        )
    return package


def systems_at(path: Path) -> dict[str, dict[str, bytes]]:
    """The CSVs (content by file name) of each system at `path`, by the system's name.

    path: one score CSV, named by its stem; a folder of CSVs, named by itself; a package's folder or zip
    with a folder of CSVs for each system, named by the folder (CSVs at the top of a zip: by the zip).
    Folders without an anomaly_score_*.csv and other files are left alone. Raises SubmissionError where
    there is no score CSV, or one can't be read.
    """
    if path.is_file() and path.suffix == ".csv":
        return {path.stem: {path.name: read_bytes(path)}}
    if _is_plain(path):
        of_system = {csv.name: read_bytes(csv) for csv in sorted(path.glob("*.csv"))}
        return {path.resolve().name: of_system}
    systems: dict[str, dict[str, bytes]] = {}
    problems: list[Problem] = []
    for parts, content in _entries(path, problems):
        if parts[-1].endswith(".csv"):
            systems.setdefault("/".join(parts[:-1]) or path.stem, {})[parts[-1]] = content
    if unread := [problem for problem in problems if problem.file.endswith(".csv")]:
        raise SubmissionError(f"{path}: {unread[0]}")
    systems = {name: files for name, files in sorted(systems.items()) if any(map(_is_score_csv, files))}
    if not systems:
        raise SubmissionError(f"{path}: no anomaly_score_*.csv in it; give the folder or zip that has them")
    return systems


def place_of(path: Path, system: str) -> str:
    """Where the CSVs of this one of `systems_at(path)` are, as messages shall say it."""
    if path.is_file() and path.suffix == ".csv":
        return shown(path.parent)
    return shown(path) if _is_plain(path) else shown(f"{path}/{system}")


def _is_plain(path: Path) -> bool:
    return path.is_dir() and any(path.glob("anomaly_score_*.csv"))


def _is_score_csv(name: str) -> bool:
    return name.startswith("anomaly_score_") and name.endswith(".csv")


def _entries(path: Path, problems: list[Problem]) -> Iterator[Entry]:
    """Every file of the folder or zip that can be read, up to what a package may hold."""
    total = 0
    try:
        entries = _zip_entries(path, problems) if path.is_file() else _folder_entries(path, problems)
        for count, (parts, content) in enumerate(entries, start=1):
            total += len(content)
            if count > MAX_FILES or total > MAX_TOTAL_BYTES:
                raise SubmissionError(
                    f"more than {MAX_FILES} files or {MAX_TOTAL_BYTES} bytes; not a package"
                )
            yield parts, content
    except _DAMAGES as error:
        raise SubmissionError(f"{path}: can't be read ({shown(str(error))[:200]})") from error


def _folder_entries(path: Path, problems: list[Problem]) -> Iterator[Entry]:
    if not path.is_dir():
        raise SubmissionError(f"{path}: no such folder or zip")
    root = path / "task2" if (path / "task2").is_dir() else path
    label = root.resolve().name
    above = (label,) if LABEL.fullmatch(label) or _is_plain(root) else ()
    for file in sorted(file for file in root.rglob("*") if not file.is_dir()):
        parts = (*above, *file.relative_to(root).parts)
        if not file.is_file():  # opening a pipe would wait for ever
            problems.append(Problem(shown("/".join(parts)), 1, "not a plain file; remove it"))
            continue
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            problems.append(_too_large("/".join(parts)))
        else:
            yield parts, content


def _zip_entries(path: Path, problems: list[Problem]) -> Iterator[Entry]:
    with zipfile.ZipFile(path) as archive:
        infos = [info for info in archive.infolist() if not info.filename.endswith("/")]
        if len(infos) > MAX_FILES:
            raise SubmissionError(f"{path}: more than {MAX_FILES} files; not a package")
        seen: set[str] = set()
        places: set[tuple[str, ...]] = set()
        problems += _nested(infos)
        for info in infos:
            what = _unsafe(info, seen)
            if not what and (place := _below_task2(info.filename)) in places:
                what = f"a second {'/'.join(place)}, in another folder; remove one"
            seen.add(info.filename)
            places.add(_below_task2(info.filename))
            content = b"" if what else _member(archive, info)
            if what or content is None:
                broken = "damaged, encrypted, or packed in an unknown way; pack it again"
                problems.append(Problem(shown(info.filename), 1, what or broken))
            elif len(content) > MAX_BYTES:
                problems.append(_too_large(info.filename))
            else:
                yield _below_task2(info.filename), content


def _nested(infos: Sequence[zipfile.ZipInfo]) -> list[Problem]:
    """The organisers look for task2/ at the top of the zip."""
    for info in infos:
        parts = info.filename.split("/")
        if "task2" in parts[1:-1]:
            place = "/".join(parts[: parts.index("task2", 1) + 1])
            what = "task2 isn't at the top of the zip; pack the folder task2 itself"
            return [Problem(shown(place), 1, what)]
    return []


def _unsafe(info: zipfile.ZipInfo, seen: set[str]) -> str:
    """Why a member is not read at all, or ""."""
    parts = info.filename.split("/")
    if "\\" in info.orig_filename or ":" in parts[0] or any(part in ("", ".", "..") for part in parts):
        return "a name that leaves the folder; pack it again with relative names"
    if info.filename in seen:
        return "stands twice in the zip; remove one"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "a link; pack the file itself"
    return ""


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes | None:
    """Up to one byte more than a file may have; None where it can't be read."""
    try:
        with archive.open(info) as stream:
            return stream.read(MAX_BYTES + 1)
    except _DAMAGES:
        return None


def _below_task2(name: str) -> tuple[str, ...]:
    parts = tuple(name.split("/"))
    return parts[parts.index("task2") + 1 :] if "task2" in parts[:-1] else parts


def _too_large(name: str) -> Problem:
    return Problem(shown(name), 1, f"larger than {MAX_BYTES} bytes; no file of a package is")
