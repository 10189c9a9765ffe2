"""Fetch one archive: gone on with where it broke off, whole and right before anybody sees it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import requests

from oddsound.errors import DownloadError
from oddsound.recordings.archives.listing import Archive
from oddsound.recordings.archives.store import Store
from oddsound.recordings.archives.web import Fault, Web

Progress = Callable[[str, int, int], None]
"""Is told what is under way, how many bytes of it are done and how many there are."""

_PIECE = 2**15
"""Bytes that are lost at most where a connection breaks off."""
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)")


@dataclass(frozen=True)
class Download:
    """One archive on its way from `web` to `store`."""

    web: Web
    store: Store
    archive: Archive
    progress: Progress

    @property
    def part(self) -> Path:
        return self.store.part(self.archive)

    def run(self) -> Path:
        """The archive's path, its content right by size and checksum.

        Raises DownloadError where it can't be had; a part that is good so far stays, to be gone on with.
        """
        whole = self.store.archive(self.archive)
        if whole.is_file():
            if self._is_right(whole):
                return whole
            whole.unlink()
        in_pieces = self._fetch()
        if not self._is_right(self.part):
            self.store.forget_part(self.archive)
            if not in_pieces:
                raise self._wrong()
            self.web.say(f"{self.archive.key}: its pieces don't fit together; from the beginning")
            self._fetch()
            if not self._is_right(self.part):
                self.store.forget_part(self.archive)
                raise self._wrong()
        self.store.take_over(self.archive)
        return whole

    def _wrong(self) -> DownloadError:
        return DownloadError(
            f"{self.archive.key}: not what the listing's {self.archive.algorithm} says; nothing was kept: "
            "try later, or another --source"
        )

    def _fetch(self) -> bool:
        """Until the part has the listing's size. Whether it came in pieces, of one time or several."""
        return self.web.patiently(self.archive.key, self._attempt, self._reached)

    def _reached(self) -> int:
        return self.store.fetched_bytes(self.archive)

    def _attempt(self) -> bool:
        """Whether it went on with what was there."""
        begin = self._reached()
        if begin == self.archive.size:
            return True
        etag = str(self.store.part_note(self.archive).get("etag") or "")
        with self.web.answer(self.archive.url, _range(begin, etag)) as answer:
            if not self._goes_on(answer, begin):
                begin = 0
                _require_whole(answer, self.archive)
                self.store.forget_part(self.archive)
                self.store.note_part(self.archive, _strong_etag(answer))
            self._write(answer, begin)
        if self._reached() < self.archive.size:
            raise Fault("the connection broke off")
        return begin > 0

    def _goes_on(self, answer: requests.Response, begin: int) -> bool:
        """Whether the answer is the rest from byte `begin` on; False: it is the whole file.

        Raises Fault for other bytes, after which the file is fetched from its beginning.
        """
        if answer.status_code == 200:
            return False
        match = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        fits = match and int(match[1]) == begin and match[2] in ("*", str(self.archive.size))
        if answer.status_code == 206 and begin and fits:
            return True
        self.store.forget_part(self.archive)
        raise Fault("the server answers with other bytes than were asked for")

    def _write(self, answer: requests.Response, begin: int) -> None:
        done, size = begin, self.archive.size
        with self.part.open("ab") as out:
            for piece in answer.iter_content(_PIECE):
                done += len(piece)
                if done > size:
                    break
                out.write(piece)
                self.progress(self.archive.key, done, size)
        if done > size:
            self.store.forget_part(self.archive)
            raise Fault(f"the server sends more than the {size} bytes that the listing says")

    def _is_right(self, path: Path) -> bool:
        """Whether the file has the listing's size and checksum."""
        if path.stat().st_size != self.archive.size:
            return False
        digest = hashlib.new(self.archive.algorithm, usedforsecurity=False)
        done = 0
        with path.open("rb") as stream:
            while piece := stream.read(2**20):
                digest.update(piece)
                done += len(piece)
                self.progress(f"checking {self.archive.key}", done, self.archive.size)
        return digest.hexdigest() == self.archive.digest


def _range(begin: int, etag: str) -> dict[str, str]:
    """If-Range: a file that has changed since comes whole."""
    if not begin:
        return {}
    return {"Range": f"bytes={begin}-"} | ({"If-Range": etag} if etag else {})


def _strong_etag(answer: requests.Response) -> str:
    """A weak one (W/…) can't say that bytes are the same."""
    etag = answer.headers.get("ETag", "")
    return etag if etag.startswith('"') else ""


def _require_whole(answer: requests.Response, archive: Archive) -> None:
    """Fault where the answer says that it is of another length than the listing says."""
    length = answer.headers.get("Content-Length", "")
    if "Content-Encoding" not in answer.headers and length.isdigit() and int(length) != archive.size:
        raise Fault(f"the server offers {length} bytes, the listing says {archive.size}")
