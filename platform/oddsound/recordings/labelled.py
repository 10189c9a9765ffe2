"""A labelled corpus: its clips, classes, folds and digest. `recordings.corpus` reads one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from oddsound.recordings.reader import content_digest

_N_THREADS = 4


@dataclass(frozen=True, slots=True)
class LabelledClip:
    """`duration` seconds of the file at `path` from `start` on, what is heard in them, and their fold."""

    path: Path
    labels: tuple[str, ...]
    fold: int
    start: float
    duration: float


@dataclass(frozen=True)
class Corpus:
    """`classes`: every label that a clip has, sorted; `names`: what they are called where that differs."""

    root: Path
    clips: tuple[LabelledClip, ...]
    multi_label: bool
    classes: tuple[str, ...]
    names: Mapping[str, str] = field(default_factory=dict)
    n_missing: int = 0
    """Clips that a table lists and whose audio isn't there."""

    @property
    def folds(self) -> tuple[int, ...]:
        return tuple(sorted({clip.fold for clip in self.clips}))

    @property
    def seconds(self) -> float:
        """Of the longest clip."""
        return max(clip.duration for clip in self.clips)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over every clip's labels, fold and place in its file, and the files' contents.

        Doesn't change with where the folder lies. Reads every file; raises DataError where one can't be.
        """
        paths = sorted({clip.path for clip in self.clips})
        with ThreadPoolExecutor(_N_THREADS) as pool:
            contents = dict(zip(paths, pool.map(content_digest, paths), strict=True))
        lines = [
            f"{clip.path.name} {contents[clip.path]} {clip.fold} {clip.start!r} {clip.duration!r} "
            f"{','.join(clip.labels)}\n"
            for clip in self.clips
        ]
        return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()
