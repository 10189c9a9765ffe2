"""`ScoreTable`: all that ensembles, thresholds and metrics need to know of one trial."""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, cast, get_args
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from oddsound.errors import ScoreError

Rules = Literal["2021", "2022"]
"""The year whose definition of AUC and pAUC holds: 2021's is that of 2020 too, 2022's that of all later
ones; `scoring.omega.terms` has both."""
UNKNOWN, NORMAL, ANOMALY = -1, 0, 1
_COLUMNS = ("file", "section", "domain", "split", "label", "score", "probabilities")
_OF_CLIPS = _COLUMNS[:5]
"""What tables of the same clips have in common."""
_PREFIX = "table/"
Shared = dict[tuple[str, int, int], Any]


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """One row a clip, test clips and training clips alike; every array's first axis is the clip.

    file, section, domain, split: (n,) strings; label: (n,) int8, `NORMAL`, `ANOMALY` or `UNKNOWN`;
    score: (n,) float64, larger is more anomalous; probabilities: (n, segments, classes) float64
    softmax, its last axis in the order of `classes`: what the network tells apart, a section (`00`) or
    a section's attributes (`00/vel_8`). A network without classes, an autoencoder, has (n, 1, 0).

    Raises ScoreError where columns differ in length, a number isn't finite or a file stands twice.
    """

    machine: str
    classes: tuple[str, ...]
    file: NDArray[np.str_]
    section: NDArray[np.str_]
    domain: NDArray[np.str_]
    split: NDArray[np.str_]
    label: NDArray[np.int8]
    score: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    rules: Rules = "2021"

    def __post_init__(self) -> None:
        lengths = {name: len(getattr(self, name)) for name in _COLUMNS}
        if len(set(lengths.values())) > 1:
            raise ScoreError(f"{self.machine}: score table with columns of unequal length: {lengths}")
        if self.probabilities.ndim != 3 or self.probabilities.shape[2] != len(self.classes):
            raise ScoreError(
                f"{self.machine}: probabilities of shape {self.probabilities.shape} "
                f"for {len(self.classes)} classes; expected (clips, segments, classes)"
            )
        for name in ("score", "probabilities"):
            numbers = getattr(self, name)
            finite = np.isfinite(numbers).all(axis=tuple(range(1, numbers.ndim)))
            if not finite.all():
                raise ScoreError(f"{self.machine}: {name} of {self.file[~finite][0]} is not finite")
        if _has_doubles(self.split, self.file):
            raise ScoreError(f"{self.machine}: a file stands twice in one score table")

    def __len__(self) -> int:
        return len(self.file)

    def where(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> ScoreTable:
        """The table of the chosen rows alone; `rows`: (n,) bool, or their places in the order wanted."""
        return replace(self, **{name: getattr(self, name)[rows] for name in _COLUMNS})

    def candidates(self) -> NDArray[np.bool_]:
        """(n, classes): whether the class is one of the clip's own section."""
        return candidate_classes(self.section, self.classes)

    def test(self) -> ScoreTable:
        return self.where(self.split == "test")

    def train(self) -> ScoreTable:
        return self.where(self.split == "train")

    def labelled(self) -> ScoreTable:
        """The test clips whose label is known."""
        return self.where((self.split == "test") & (self.label != UNKNOWN))

    def save(self, path: Path) -> None:
        """Write an npz without pickles at `path`, whole or not at all."""
        temporary = path.with_name(path.name + ".partial")
        # savez's own parameter is called `file`, hence the prefix.
        columns: dict[str, Any] = {
            f"{_PREFIX}{f.name}": np.asarray(getattr(self, f.name)) for f in fields(self)
        }
        try:
            with temporary.open("wb") as stream:
                np.savez_compressed(stream, **columns)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path, shared: Shared | None = None) -> ScoreTable:
        """Read what `save` wrote. Raises ScoreError where that isn't what is there.

        shared: names of columns that were read before, kept by their checksum and size: tables of the same
        clips then share them, which takes half the time and a fraction of the memory.
        """
        try:
            # np.load leaves a file open that it can't read, unless the stream is ours.
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
                columns = {name: _column(stored, name, shared) for name in _COLUMNS}
                classes = tuple(str(c) for c in stored[f"{_PREFIX}classes"])
                rules = str(stored[f"{_PREFIX}rules"]) if f"{_PREFIX}rules" in stored else "2021"
                if rules not in get_args(Rules):
                    raise ValueError(f"rules of {rules!r}")
                machine = str(stored[f"{_PREFIX}machine"])
                return cls(machine, classes, **columns, rules=cast(Rules, rules))
        except (OSError, ValueError, TypeError, KeyError, EOFError, BadZipFile, zlib.error) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise ScoreError(
                f"{path}: not a score table ({why}); remove the trial's folder, and the search makes it again"
            ) from error


def _column(stored: Any, name: str, shared: Shared | None) -> Any:
    if shared is None or name not in _OF_CLIPS:
        return stored[f"{_PREFIX}{name}"]
    entry = stored.zip.getinfo(f"{_PREFIX}{name}.npy")
    key = name, entry.CRC, entry.file_size
    if key not in shared:
        shared[key] = stored[f"{_PREFIX}{name}"]
    return shared[key]


def _has_doubles(split: NDArray[np.str_], file: NDArray[np.str_]) -> bool:
    """Whether a file stands twice in one split. Names are nearly always unlike over all splits, and sets of
    strings are several times faster than sorting them."""
    files = file.tolist()
    return len(set(files)) < len(files) and len(set(zip(split.tolist(), files, strict=True))) < len(files)


def candidate_classes(
    sections: Sequence[str] | NDArray[np.str_], classes: Sequence[str]
) -> NDArray[np.bool_]:
    """(clips, classes): whether each class is one of each clip's section."""
    of_class = np.array([name.partition("/")[0] for name in classes], dtype=np.str_)
    return np.asarray(np.asarray(sections, dtype=np.str_)[:, None] == of_class[None, :], dtype=np.bool_)
