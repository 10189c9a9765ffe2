"""From a year's records to a data folder: what is wanted, what is missing, and getting that."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from oddsound.errors import ArchiveError, ConfigError, DataError
from oddsound.recordings.archives.download import Download, Progress
from oddsound.recordings.archives.listing import Archive, list_archives, of_machines, require_parts
from oddsound.recordings.archives.records import SOURCE
from oddsound.recordings.archives.store import State, Store
from oddsound.recordings.archives.unpack import Unpacked, unpack
from oddsound.recordings.archives.web import Web
from oddsound.recordings.names import shown

UNPACKED_PER_PACKED = 1.3
"""An estimate: zips of WAVs of machines unpack to about so much."""


@dataclass(frozen=True)
class Found:
    """An archive, and what of it is in the data folder."""

    archive: Archive
    state: State
    n_fetched: int
    """Bytes that needn't be fetched."""


def look(
    web: Web,
    challenge: str,
    folder: Path,
    *,
    machines: Collection[str] | None = None,
    parts: Collection[str] | None = None,
    source: str = SOURCE,
) -> list[Found]:
    """The archives that are wanted, and how far `folder` has each; changes nothing.

    Raises ConfigError for a part or source that can't be, DataError for a machine type that no archive has,
    DownloadError where the listing can't be had.
    """
    wanted = require_parts(challenge, parts)
    listed = list_archives(web, _require_source(source), challenge, wanted)
    store = Store(folder, challenge)
    return [
        Found(archive, state, archive.size if state == "unpacked" else store.fetched_bytes(archive))
        for archive in of_machines(listed, machines)
        for state in (store.state(archive),)
    ]


def n_bytes_missing(found: Collection[Found], keep: bool) -> tuple[int, int]:
    """Bytes still to be fetched, and about how many more the disk needs for what they unpack to.

    Without `keep` an archive goes before the next one is fetched, so that only the largest counts.
    """
    todo = [one for one in found if one.state != "unpacked"]
    fetch = sum(one.archive.size - one.n_fetched for one in todo)
    unpacked = round(sum(one.archive.size for one in todo) * UNPACKED_PER_PACKED)
    held = fetch if keep else max((one.archive.size - one.n_fetched for one in todo), default=0)
    return fetch, unpacked + held


def get(
    web: Web,
    challenge: str,
    folder: Path,
    found: Collection[Found],
    *,
    keep: bool,
    progress: Progress,
    done: Callable[[Archive, Unpacked], None],
) -> None:
    """Fetch and unpack what `look` found missing, one archive after another; `done` is told each.

    Killed or interrupted at any time, the same call goes on. Raises DataError and its children
    DownloadError and ArchiveError; what was unpacked before stays.
    """
    todo = [one.archive for one in found if one.state != "unpacked"]
    if not todo:
        return
    store = Store(folder, challenge)
    try:
        with store.ours():
            _require_room(folder, found, keep)
            for archive in todo:
                done(archive, _get_one(web, store, archive, keep, progress))
    except OSError as error:
        where = shown(error.filename or folder)
        raise DataError(
            f"{where}: can't be read or written ({error.strerror or error}); make room or mend it, and the "
            "same command goes on"
        ) from error


def _get_one(web: Web, store: Store, archive: Archive, keep: bool, progress: Progress) -> Unpacked:
    path = Download(web, store, archive, progress).run()
    store.clear(archive)
    try:
        unpacked = unpack(path, archive, store.root, store.scratch(archive), progress)
    except ArchiveError:
        path.unlink()  # fetched again it would be the same; a corrected one has another checksum
        raise
    finally:
        store.clear(archive)
    store.note_unpacked(archive, unpacked.files)
    if not keep:
        path.unlink()
    return unpacked


def _require_room(folder: Path, found: Collection[Found], keep: bool) -> None:
    fetch, disk = n_bytes_missing(found, keep)
    free = shutil.disk_usage(folder).free
    if disk > free:
        raise DataError(
            f"{shown(folder)}: {gigabytes(free)} free, about {gigabytes(disk)} needed ({gigabytes(fetch)} to "
            f"fetch, zips of WAVs unpack to about {UNPACKED_PER_PACKED} times their size); free some, or "
            "take fewer: --machines, --parts"
        )


def gigabytes(n_bytes: int) -> str:
    """In the unit that suits it, e.g. "1.2 GB"."""
    size = float(n_bytes)
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def _require_source(source: str) -> str:
    try:
        parts = urlsplit(source)
        has_secret = bool(parts.username or parts.password)
        is_web = (
            parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.query or parts.fragment)
        )
    except ValueError:
        has_secret = is_web = False
    if has_secret:
        raise ConfigError("--source: credentials don't belong in an address; put them into ~/.netrc")
    if not is_web:
        raise ConfigError(f"--source {shown(source)}: give a web address, e.g. {SOURCE}")
    return source.rstrip("/")
