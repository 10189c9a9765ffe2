"""Where a run would write: room, and whether the file system is one for it; the recordings that it is of."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from oddsound.cli.checks._base import GIB, Finding, existing, failure, gib, ok, warning
from oddsound.errors import DataError

LITTLE_BYTES = 10 * GIB
NOTHING_BYTES = 1 * GIB
SHM_BYTES = 256 << 20
"""The object store of a local search (`search.cluster`)."""
_RAY_FULL = 0.95
"""Ray takes a disk for full that is used to this part."""
_CLIP_BYTES = 160_000
"""Features of a clip of 10 s, for one front end."""
_FRONT_ENDS = 4
"""That a shipped search space can ask for."""
_SHARED = re.compile(r"nfs.*|cifs|smb.*|fuse\.sshfs|glusterfs|lustre|ceph|afs|9p")


def run_folder(run: Path, *, tracked_elsewhere: bool = False) -> Iterator[Finding]:
    """Where RUN lies or would lie. Its MLflow is an sqlite file, unless it is `tracked_elsewhere`."""
    yield _room("disk of RUN", run)
    kind = file_system(existing(run))
    if _SHARED.fullmatch(kind) and not tracked_elsewhere:
        said = f"{kind}: its locks aren't what RUN/mlflow/mlflow.db needs"
        yield warning("disk of RUN", said, "give --tracking-uri of an MLflow server", file_system=kind)


def temporary() -> Iterator[Finding]:
    """Ray's sessions and everybody's temporary files."""
    folders = {Path(os.environ.get("RAY_TMPDIR") or "/tmp"), Path(tempfile.gettempdir())}
    for folder in sorted(folders):
        finding = _room(f"disk of {folder}", folder)
        used = shutil.disk_usage(existing(folder))
        if finding.state == "ok" and used.free < (1 - _RAY_FULL) * used.total:
            remedy = f"free some, or set RAY_TMPDIR to a roomier one: Ray stops at {_RAY_FULL:.0%}"
            finding = warning(finding.about, finding.said, remedy, **finding.facts)
        yield finding


def shared_memory(folder: Path = Path("/dev/shm")) -> Iterator[Finding]:
    """Ray's object store."""
    if not folder.is_dir():
        yield warning(str(folder), "is not there; Ray's object store is a file then", "mount a tmpfs there")
        return
    free, total = shutil.disk_usage(folder).free, shutil.disk_usage(folder).total
    said, facts = f"{gib(free)} free of {gib(total)}", {"free_bytes": free, "total_bytes": total}
    if free < SHM_BYTES:
        remedy = "start the container with --shm-size=2g, or free some: Ray's store is a slow file otherwise"
        yield warning(str(folder), f"{said}, Ray takes {gib(SHM_BYTES)}", remedy, **facts)
    else:
        yield ok(str(folder), said, **facts)


def recordings(data: Path, run: Path) -> Iterator[Finding]:
    """What is in DATA by its names, and whether its features have room in RUN. Nothing is opened."""
    from oddsound.recordings.index import index_folder
    from oddsound.recordings.plain import is_plain

    if is_plain(data):
        yield from _plain(data)
        return
    index = index_folder(data)
    n_clips, machines = len(index.clips), list(index.machines)
    said = f"{n_clips} recordings of {', '.join(machines)}; `oddsound data check` opens each"
    yield ok("DATA", said, clips=n_clips, machines=machines)
    needed, free = n_clips * _CLIP_BYTES * _FRONT_ENDS, shutil.disk_usage(existing(run)).free
    if needed > free:
        said = f"features of clips of 10 s take {gib(needed)}, the disk of RUN has {gib(free)}"
        remedy = "give --cache on another disk, or --set features.dtype=float16 for half of it"
        yield warning("DATA", said, remedy, needed_bytes=needed, free_bytes=free)


def _plain(data: Path) -> Iterator[Finding]:
    from oddsound.recordings.names import counted
    from oddsound.recordings.plain import find_plain, notes

    found = find_plain(data)
    n = sum(len(one.normal) + len(one.anomalous) for one in found)
    said = f"{counted(n, 'recording')} in plain folders; `oddsound data check` opens each"
    yield ok("DATA", said, recordings=n, machines=[one.name for one in found])
    for note in notes(data, found, of_all=True):
        said, _, remedy = note.partition("; ")
        yield warning("DATA", said, remedy)


def file_system(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """The type of the file system that `folder` is of; "" where that can't be told."""
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return ""
    found, longest = "", -1
    for _, point, kind, *_ in (line.split() for line in lines):
        where = Path(point.replace("\\040", " "))
        if folder.resolve().is_relative_to(where) and len(where.parts) >= longest:
            found, longest = kind, len(where.parts)
    return found


def _room(about: str, folder: Path) -> Finding:
    there = existing(folder)
    free = shutil.disk_usage(there).free
    facts: dict[str, Any] = {"folder": str(folder), "free_bytes": free, "file_system": file_system(there)}
    said = f"{gib(free)} free at {folder}"
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        return failure(about, f"{there} can't be written", "choose another folder", DataError, **facts)
    if free < NOTHING_BYTES:
        return failure(about, said, "free some, or choose another disk", DataError, **facts)
    if free < LITTLE_BYTES:
        remedy = "free some: a search with all its features and trials takes more"
        return warning(about, said, remedy, **facts)
    return ok(about, said, **facts)
