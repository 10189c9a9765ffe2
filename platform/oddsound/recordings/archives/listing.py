"""What a record says it holds: its archives with sizes, checksums and machine types."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote, urlsplit

from oddsound.errors import ConfigError, DataError, DownloadError
from oddsound.recordings.archives.records import PARTS, RECORDS, Part
from oddsound.recordings.archives.web import Web
from oddsound.recordings.names import did_you_mean, shown

_MAX_LISTING = 16 * 2**20
_MAX_SIZE = 2**40
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ +-]{0,150}")
_DIGEST_LENGTHS = {"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}
_NO_MACHINE = re.compile("dev|eval|data|train|test|dcase[0-9]*|task2")
_REVISION = re.compile("[rv][0-9]{1,3}")
_MACHINE = re.compile("[A-Za-z0-9-]+")


@dataclass(frozen=True, slots=True)
class Archive:
    """A file of a record. `machine` is "" where it is of all machine types (labels)."""

    key: str
    part: Part
    machine: str
    size: int
    algorithm: str
    digest: str
    url: str

    @property
    def checksum(self) -> str:
        return f"{self.algorithm}:{self.digest}"


def machine_in(name: str) -> str:
    """The machine type that an archive's or folder's name says, "" where it says none or several.

    "eval_data_3DPrinter_train_r2" is of 3DPrinter, "dev_fan" and "fan" of fan.
    """
    words = [w for w in name.split("_") if not _NO_MACHINE.fullmatch(w) and not _REVISION.fullmatch(w)]
    return words[0] if len(words) == 1 and _MACHINE.fullmatch(words[0]) else ""


def require_parts(challenge: str, parts: Collection[str] | None) -> tuple[Part, ...]:
    """The parts asked for, all that the year has where `parts` is None. Raises ConfigError."""
    known = RECORDS[challenge]
    for part in parts or ():
        if part not in PARTS:
            raise ConfigError(f"no part {part!r}; {did_you_mean(part, PARTS)}there are: {', '.join(PARTS)}")
        if part not in known:
            raise ConfigError(
                f"{challenge} has no record of {part}; it has {', '.join(known)}. The organisers' evaluator "
                "of the year may have them"
            )
    return tuple(part for part in known if parts is None or part in parts)


def list_archives(web: Web, source: str, challenge: str, parts: Iterable[Part]) -> list[Archive]:
    """Every archive of these parts, by part and name; asks `source` once a part.

    Raises DownloadError where a listing can't be had or isn't one.
    """
    found: list[Archive] = []
    for part in parts:
        url = f"{source}/api/records/{RECORDS[challenge][part]}"
        files = web.patiently(url, partial(_files, web, url))
        found += archives_among(files, part, url)
    return found


def of_machines(archives: Iterable[Archive], machines: Collection[str] | None) -> list[Archive]:
    """Those of these machine types (all where None) and those of no machine type. Raises DataError for a
    machine type that has no archive."""
    archives = list(archives)
    known = {archive.machine for archive in archives} - {""}
    for machine in sorted(set(machines or ()) - known):
        raise DataError(
            f"no archive is of machine type {machine!r}; {did_you_mean(machine, known)}there are: "
            f"{', '.join(sorted(known)) or 'none'}"
        )
    return [a for a in archives if machines is None or not a.machine or a.machine in machines]


def _files(web: Web, url: str) -> list[Any]:
    with web.answer(url, {"Accept": "application/json"}) as answer:
        content = b""
        for piece in answer.iter_content(2**16):
            content += piece
            if len(content) > _MAX_LISTING:
                raise DownloadError(
                    f"{shown(url)}: far too long for a record's listing; use another --source"
                )
    return files_in(content, url)


def files_in(content: bytes, url: str) -> list[Any]:
    """What a record's listing says of its files. Raises DownloadError where it is none."""
    try:
        return list(json.loads(content)["files"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise DownloadError(
            f"{shown(url)}: no listing of a record (JSON with `files`); use another --source"
        ) from None


def archives_among(files: list[Any], part: Part, url: str) -> list[Archive]:
    """Of several revisions of an archive (`_r2`) the last one. Raises DownloadError where there is none, or
    one that can't be."""
    found: dict[str, Archive] = {}
    for entry in files:
        archive = _archive(entry, part, url)
        if archive is not None:
            words = re.split("[_.]", archive.key)
            name = "_".join(word for word in words if not _REVISION.fullmatch(word))
            if name not in found or _natural(found[name].key) < _natural(archive.key):
                found[name] = archive
    if not found:
        names = [entry.get("key") for entry in files if isinstance(entry, dict)]
        listed = f": it has {shown(repr(names)[:200])}" if names else ""
        raise DownloadError(
            f"{shown(url)}: lists no archive that is named for a machine type{listed}; see whether "
            "--source is right"
        )
    return [found[name] for name in sorted(found)]


def _archive(entry: Any, part: Part, url: str) -> Archive | None:
    """None for what is no archive of a machine type, and no labels."""
    try:
        key, size, link = entry["key"], entry["size"], entry["links"]["self"]
        algorithm, _, digest = entry["checksum"].lower().partition(":")
    except (KeyError, TypeError, AttributeError):
        raise DownloadError(
            f"{shown(url)}: a file without key, size, checksum or link; use another --source"
        ) from None
    stem, _, suffix = str(key).rpartition(".")
    machine = "" if part == "labels" else machine_in(stem)
    if suffix.lower() not in (("zip", "csv") if part == "labels" else ("zip",)):
        return None
    if part != "labels" and not machine:
        return None
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise DownloadError(
            f"{shown(url)}: {shown(repr(key)[:100])} can't be a file's name; use another --source"
        )
    if type(size) is not int or not 0 < size <= _MAX_SIZE:
        raise DownloadError(
            f"{shown(url)}: {key}: no size of a file: {shown(repr(size)[:40])}; use another --source"
        )
    if _DIGEST_LENGTHS.get(algorithm) != len(digest) or not re.fullmatch("[0-9a-f]+", digest):
        raise DownloadError(
            f"{shown(url)}: {key}: no checksum that is known ({', '.join(_DIGEST_LENGTHS)}): "
            f"{shown(repr(entry['checksum'])[:100])}; use another --source"
        )
    return Archive(key, part, machine, size, algorithm, digest, _address(url, key, link))


def _address(url: str, key: str, link: object) -> str:
    """Where the content is: what the listing says if that is on the listing's own host, which a mirror's
    copy of a listing doesn't say; otherwise the usual place on that host."""
    is_own = isinstance(link, str) and _host(link) == _host(url)
    return str(link) if is_own else f"{url}/files/{quote(key)}/content"


def _host(address: str) -> tuple[str, str] | None:
    """Scheme and host; None where it can't be parsed."""
    try:
        return urlsplit(address)[:2]
    except ValueError:
        return None


def _natural(name: str) -> list[tuple[int, str]]:
    """r10 after r9."""
    return [(int(word or 0), text) for text, word in re.findall(r"([^0-9]*)([0-9]{0,9})", name)]
