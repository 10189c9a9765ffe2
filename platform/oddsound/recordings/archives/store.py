"""What of a year's archives is in a data folder already: `DIR/.oddsound-archives/<year>/<part>/`.

<archive>                 fetched whole, its checksum seen to be right
<archive>.part            as far as it has come, with <archive>.part.json saying of what
<archive>.unpacking/      what is being unpacked, not yet in its place
<archive>.unpacked.json   which files came of it; written last, so what it says is there
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from oddsound.errors import DataError
from oddsound.recordings.archives.listing import Archive
from oddsound.recordings.names import shown

State = Literal["missing", "partial", "fetched", "unpacked"]
FOLDER = ".oddsound-archives"


@dataclass(frozen=True)
class Store:
    """The archives of `challenge` in the data folder `root`."""

    root: Path
    challenge: str

    @property
    def place(self) -> Path:
        return self.root / FOLDER / self.challenge

    def archive(self, archive: Archive) -> Path:
        return self.place / archive.part / archive.key

    def part(self, archive: Archive) -> Path:
        return self._beside(archive, "part")

    def scratch(self, archive: Archive) -> Path:
        return self._beside(archive, "unpacking")

    def state(self, archive: Archive) -> State:
        """Looks at names, sizes and notes; reads no content."""
        if self._is_unpacked(archive):
            return "unpacked"
        if self.archive(archive).is_file():
            return "fetched"
        return "partial" if self.fetched_bytes(archive) else "missing"

    def fetched_bytes(self, archive: Archive) -> int:
        """How much of it needn't be fetched any more."""
        if self.archive(archive).is_file():
            return archive.size
        note, part = self.part_note(archive), self.part(archive)
        if note.get("checksum") != archive.checksum or not part.is_file():
            return 0
        size = part.stat().st_size
        return size if size <= archive.size else 0

    def part_note(self, archive: Archive) -> Mapping[str, Any]:
        return _read(self._note_path(archive))

    def note_part(self, archive: Archive, etag: str) -> None:
        _write(self._note_path(archive), {"checksum": archive.checksum, "etag": etag})

    def forget_part(self, archive: Archive) -> None:
        self.part(archive).unlink(missing_ok=True)
        self._note_path(archive).unlink(missing_ok=True)

    def take_over(self, archive: Archive) -> None:
        """The part is whole and right."""
        self.part(archive).replace(self.archive(archive))
        self._note_path(archive).unlink(missing_ok=True)

    def note_unpacked(self, archive: Archive, files: Mapping[str, int]) -> None:
        """`files`: size in bytes of each file, by its path in the data folder."""
        _write(self._unpacked_path(archive), {"checksum": archive.checksum, "files": dict(files)})

    def clear(self, archive: Archive) -> None:
        """Remove what a killed command was unpacking."""
        shutil.rmtree(self.scratch(archive), ignore_errors=True)

    @contextmanager
    def ours(self) -> Iterator[None]:
        """The folder is this process's in the block. Raises DataError where it is another's, or another
        year's."""
        self._require_one_year()
        self.place.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.root / FOLDER / "lock", blocking=False)
        try:
            with lock:
                yield
        except Timeout:
            raise DataError(
                f"{shown(self.root)}: another `oddsound data get` is at work here; let it finish"
            ) from None

    def _require_one_year(self) -> None:
        years = {path.parts[-3] for path in (self.root / FOLDER).glob("dcase*/*/*")}
        others = sorted(years - {self.challenge})
        if others:
            raise DataError(
                f"{shown(self.root)}: holds archives of {others[0]}; keep the years apart: another folder"
            )

    def _is_unpacked(self, archive: Archive) -> bool:
        """Whether each file that came of it is there, at its size."""
        note = _read(self._unpacked_path(archive))
        files = note.get("files")
        if note.get("checksum") != archive.checksum or not isinstance(files, dict):
            return False
        return all(_size(self.root / name) == size for name, size in files.items())

    def _note_path(self, archive: Archive) -> Path:
        return self._beside(archive, "part.json")

    def _unpacked_path(self, archive: Archive) -> Path:
        return self._beside(archive, "unpacked.json")

    def _beside(self, archive: Archive, suffix: str) -> Path:
        return self.place / archive.part / f"{archive.key}.{suffix}"


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _read(path: Path) -> Mapping[str, Any]:
    """{} where it isn't there or damaged: what it notes is then fetched or unpacked again."""
    try:
        note = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def _write(path: Path, note: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        temporary.write_text(json.dumps(note, indent=1))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
