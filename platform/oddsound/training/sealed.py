"""A packaged model as files under one seal: `manifest.json` has the SHA-256 of each of the others.

Whoever knows the manifest's own SHA-256 (a version in the registry says it in a tag) knows every file. A
file is looked at only after its content was found to be what the manifest says, and none is ever run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError

from oddsound.config import Strict
from oddsound.errors import ModelError

MANIFEST = "manifest.json"
MAX_DOCUMENT = 64 * 2**20
"""Bytes of a JSON file that is read. An ensemble's of seven machine types has some 20 kB, but some MB where
its fusion ranks clips: about 28 bytes a member and clip."""

Kind = Literal["detector", "system"]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
# No `..`, no leading `/`: a manifest must not say where else to write or read.
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)*$")]
Document = TypeVar("Document", bound=BaseModel)


class Manifest(Strict):
    """`files`: the SHA-256 of each file of the model but this one, by its path in the folder."""

    format: Literal[1] = 1
    kind: Kind
    files: dict[FileName, Sha256]


@dataclass(frozen=True)
class Sealed:
    """A model's `folder`, which `fetch` brings a file into; `where` is what messages call the model."""

    where: str
    folder: Path
    manifest: Manifest
    fetch: Callable[[str], None]

    def path(self, name: str) -> Path:
        """The file `name`, fetched and found to be what the manifest says. Raises ModelError otherwise."""
        expected = self.manifest.files.get(name)
        if expected is None:
            raise ModelError(f"{self.where}: its {MANIFEST} has no {name}; not a model of this kind")
        self.fetch(name)
        path = self.folder / name
        if (found := digest(path, self.where)) != expected:
            raise ModelError(
                f"{self.where}: {name} has the SHA-256 {found[:12]}…, its {MANIFEST} says {expected[:12]}…; "
                "damaged, edited or swapped: register the model anew"
            )
        return path

    def document(self, name: str, model: type[Document]) -> Document:
        """The JSON file `name` as `model`. Raises ModelError where it isn't that."""
        return _parsed(self.path(name), f"{self.where}: {name}", model)

    def check(self, names: Iterator[str] | None = None) -> None:
        """Fetch and check `names`, or all files, without looking into any."""
        for name in sorted(self.manifest.files) if names is None else names:
            self.path(name)


def unseal(
    folder: Path, where: str, sha256: str | None = None, fetch: Callable[[str], None] | None = None
) -> Sealed:
    """The model whose manifest `fetch` brings into `folder`; without `fetch` all files are there already.

    `sha256`: what the manifest must have; None trusts the folder. Raises ModelError where the manifest
    isn't that, or no manifest.
    """
    bring = fetch or (lambda name: None)
    bring(MANIFEST)
    found = digest(folder / MANIFEST, where)
    if sha256 is not None and found != sha256:
        raise ModelError(
            f"{where}: {MANIFEST} has the SHA-256 {found[:12]}…, registered was {sha256[:12]}…; damaged, "
            "edited or swapped: register the model anew"
        )
    return Sealed(where, folder, _parsed(folder / MANIFEST, f"{where}: {MANIFEST}", Manifest), bring)


def seal(folder: Path, kind: Kind) -> str:
    """Write the manifest of all files in `folder`; its SHA-256."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    files = {name: digest(folder / name, str(folder)) for name in names if name != MANIFEST}
    content = as_json(Manifest(kind=kind, files=files).model_dump())
    (folder / MANIFEST).write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def as_json(document: Any) -> bytes:
    """The same bytes for the same document; NaN and inf are refused."""
    return json.dumps(document, indent=1, sort_keys=True, allow_nan=False).encode()


def digest(path: Path, where: str) -> str:
    """The SHA-256 of a file. Raises ModelError where it can't be read or is no plain file."""
    try:
        if path.is_symlink() or not path.is_file():
            raise ModelError(f"{where}: {path.name} is missing, or no plain file")
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{where}: {path.name} can't be read ({error.strerror})") from error


def _parsed(path: Path, where: str, model: type[Document]) -> Document:
    if path.stat().st_size > MAX_DOCUMENT:
        raise ModelError(f"{where} has {path.stat().st_size:,} bytes; none of ours has so many")
    try:
        return model.model_validate(json.loads(path.read_bytes()))
    except (ValidationError, ValueError, RecursionError) as error:
        why = str(error).splitlines()
        raise ModelError(f"{where} is not what oddsound wrote ({' '.join(why[:3])[:300]})") from error
