"""A package as it lies on disk or in a zip, read into memory and never unpacked.

A zip is read member by member, each up to a size, whatever its directory claims; names that would
leave the folder, links, doubles and encrypted members are problems and are not read.
"""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from oddsound.errors import SubmissionError
from oddsound.recordings.names import shown
from oddsound.scoring.score_files import MAX_BYTES
from oddsound.scoring.score_rows import Problem
from oddsound.submission.authors import LABEL

MAX_FILES = 2_000
MAX_TOTAL_BYTES = 128 * 2**20
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
    try:
        entries = _zip_entries(path, package.problems) if path.is_file() else _folder_entries(path, package)
        _sort_in(entries, package)
    except (OSError, zipfile.BadZipFile) as error:
        raise SubmissionError(f"{path}: can't be read ({error})") from error
    if not package.systems:
        why = f" ({package.problems[0]})" if package.problems else ""
        raise SubmissionError(
            f"{path}: no system in it; expected task2/<Lastname>_<INST>_task2_<1-4>/ with its CSVs{why}"
        )
    return package


def _sort_in(entries: Iterator[Entry], package: Package) -> None:
    total = 0
    for count, (parts, content) in enumerate(entries, start=1):
        total += len(content)
        if count > MAX_FILES or total > MAX_TOTAL_BYTES:
            raise SubmissionError(f"more than {MAX_FILES} files or {MAX_TOTAL_BYTES} bytes; not a package")
        name = shown("/".join(parts))
        if len(parts) == 2:
            package.systems.setdefault(parts[0], {})[parts[1]] = content
        elif not (len(parts) == 1 and parts[0].endswith(".pdf")):
            package.problems.append(Problem(name, 1, "not part of a package; remove it"))


def _folder_entries(path: Path, package: Package) -> Iterator[Entry]:
    if not path.is_dir():
        raise SubmissionError(f"{path}: no such folder or zip")
    root = path / "task2" if (path / "task2").is_dir() else path
    label = root.resolve().name
    above = (label,) if LABEL.fullmatch(label) or any(root.glob("anomaly_score_*.csv")) else ()
    for file in sorted(file for file in root.rglob("*") if not file.is_dir()):
        parts = (*above, *file.relative_to(root).parts)
        if not file.is_file():  # opening a pipe would wait for ever
            package.problems.append(Problem(shown("/".join(parts)), 1, "not a plain file; remove it"))
            continue
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            package.problems.append(_too_large("/".join(parts)))
        else:
            yield parts, content


def _zip_entries(path: Path, problems: list[Problem]) -> Iterator[Entry]:
    with zipfile.ZipFile(path) as archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
        if len(infos) > MAX_FILES:
            raise SubmissionError(f"{path}: more than {MAX_FILES} files; not a package")
        seen: set[str] = set()
        for info in infos:
            what = _unsafe(info, seen)
            seen.add(info.filename)
            content = b"" if what else _member(archive, info)
            if what or content is None:
                broken = "damaged, encrypted, or packed in an unknown way; pack it again"
                problems.append(Problem(shown(info.filename), 1, what or broken))
            elif len(content) > MAX_BYTES:
                problems.append(_too_large(info.filename))
            else:
                yield _below_task2(info.filename), content


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
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError):
        return None


def _below_task2(name: str) -> tuple[str, ...]:
    parts = tuple(name.split("/"))
    return parts[parts.index("task2") + 1 :] if "task2" in parts[:-1] else parts


def _too_large(name: str) -> Problem:
    return Problem(shown(name), 1, f"larger than {MAX_BYTES} bytes; no file of a package is")
