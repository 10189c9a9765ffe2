"""What a death left behind: bundles that aren't what they say they are, set aside so that a search can
go on with what is whole."""

from __future__ import annotations

import json
import shutil
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

from oddsound.errors import BundleError
from oddsound.training.bundle import Bundle

_HEADER = struct.Struct("<Q")


def mend(trials: Path, machine: str, data_digest: str, aside: Path) -> list[str]:
    """Move what is damaged below `trials`/`machine`, or was made from other recordings than those of
    `data_digest`, to the folder `aside`; a line for each: what, and why.

    Nothing is deleted. A configuration that can be read stays, so that its trial is run again.
    """
    said = []
    for folder in sorted(path for path in (trials / machine).glob("*/") if path.is_dir()):
        for names, flaw in _flaws(Bundle(folder), data_digest):
            _move(folder, names, aside / machine / folder.name)
            said.append(f"{machine}/{folder.name}: {flaw}; moved to {aside / machine / folder.name}")
    return said


def _flaws(bundle: Bundle, data_digest: str) -> Iterator[tuple[list[str], str]]:
    """The files that are of no use, and why."""
    everything = sorted(path.name for path in bundle.path.iterdir())
    if not (bundle.path / "config.json").is_file():
        if bundle.is_whole or bundle.checkpoint.is_file():
            yield everything, "config.json is missing"
        return
    try:
        bundle.config()
    except BundleError:
        yield everything, "config.json is damaged"
        return
    rest = [name for name in everything if name != "config.json"]
    flaw = _flaw_of_whole(bundle, data_digest) if bundle.is_whole else _flaw_of_begun(bundle, data_digest)
    if flaw:
        yield rest, flaw
    elif bundle.checkpoint.is_file() and not zipfile.is_zipfile(bundle.checkpoint):
        yield [bundle.checkpoint.name], "checkpoint.pt is damaged"


def _flaw_of_whole(bundle: Bundle, data_digest: str) -> str:
    try:
        result = bundle.result()
        bundle.history()
    except BundleError as error:
        return str(error).removeprefix(f"{bundle.path}/").split("(")[0].rstrip(": ") + " (damaged)"
    if result.data_digest != data_digest:
        return "was made from other recordings"
    if not _is_whole_safetensors(bundle.weights):
        return "weights.safetensors is missing or damaged"
    if not zipfile.is_zipfile(bundle.scores_path):
        return "scores.npz is missing or damaged"
    return ""


def _flaw_of_begun(bundle: Bundle, data_digest: str) -> str:
    if bundle.seen() not in ("", data_digest):
        return "was begun with other recordings"
    try:
        if bundle.is_stopped:
            bundle.stop()
        if bundle.is_stopped or (bundle.path / "history.json").is_file():
            bundle.history()
    except BundleError:
        return "stopped.json or history.json is damaged"
    return ""


def _is_whole_safetensors(path: Path) -> bool:
    """Whether the file is as long as its header says; its SHA-256 is looked at before it is used."""
    try:
        with path.open("rb") as stream:
            (length,) = _HEADER.unpack(stream.read(_HEADER.size))
            header = json.loads(stream.read(length))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        return bool(path.stat().st_size == _HEADER.size + length + max(ends, default=0))
    except (OSError, ValueError, KeyError, TypeError, MemoryError, struct.error):
        return False


def _move(folder: Path, names: list[str], aside: Path) -> None:
    """Beside what was set aside there before."""
    number = 0
    while (target := aside / str(number)).exists():
        number += 1
    target.mkdir(parents=True)
    for name in names:
        shutil.move(folder / name, target / name)
