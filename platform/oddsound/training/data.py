"""`MachineData`: one machine type's features and what is known of each clip, as a trial is handed it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oddsound.errors import DataError
from oddsound.features.cache import open_cache
from oddsound.recordings.clip import Clip
from oddsound.scoring.table import ANOMALY, NORMAL, UNKNOWN

LABELS = {"normal": NORMAL, "anomaly": ANOMALY, None: UNKNOWN}


@dataclass(frozen=True, eq=False)
class MachineData:
    """`features`: (clips, bands, frames); row i is `clips[i]`. `digest` is the data's content hash.

    Raises DataError where no network can learn sections from it: fewer than two sections to train
    on, or test clips of a section that has no training clips.
    """

    machine: str
    clips: tuple[Clip, ...]
    features: NDArray[np.floating]
    digest: str

    @classmethod
    def open(cls, cache: Path) -> MachineData:
        """Map the feature cache at `cache` (a folder that `build_cache` gave)."""
        opened = open_cache(cache)
        return cls(opened.machine, opened.clips, opened.features, opened.data_digest)

    def __post_init__(self) -> None:
        refuse_unlearnable(self.machine, self.clips)

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The sections that have training clips, sorted: what the network tells apart."""
        return trained_sections(self.clips)

    @cached_property
    def train_rows(self) -> NDArray[np.intp]:
        return np.flatnonzero([clip.split == "train" for clip in self.clips])

    @cached_property
    def targets(self) -> NDArray[np.int64]:
        """(clips,) the index of each clip's section in `classes`."""
        index = {section: i for i, section in enumerate(self.classes)}
        return np.array([index[clip.section] for clip in self.clips])

    @cached_property
    def is_target_domain(self) -> NDArray[np.bool_]:
        return np.array([clip.domain == "target" for clip in self.clips])

    @cached_property
    def labelled_rows(self) -> NDArray[np.intp]:
        """The test clips whose label is known: what omega is computed from."""
        return np.flatnonzero([clip.split == "test" and clip.label is not None for clip in self.clips])


def trained_sections(clips: Sequence[Clip]) -> tuple[str, ...]:
    """The sections that have training clips, sorted."""
    return tuple(sorted({clip.section for clip in clips if clip.split == "train"}))


def refuse_unlearnable(machine: str, clips: Sequence[Clip]) -> None:
    """Raises DataError where no network can learn sections from `clips` and then score all of them."""
    classes = trained_sections(clips)
    if len(classes) < 2:
        raise DataError(
            f"{machine}: training clips of {len(classes)} section(s); a section classifier needs at least 2"
        )
    untrained = sorted({clip.section for clip in clips} - set(classes))
    if untrained:
        raise DataError(
            f"{machine}: section(s) {', '.join(untrained)} have test clips and no training clips; "
            "add their training clips or leave the test clips out"
        )


def refuse_unmeasurable(machine: str, clips: Sequence[Clip]) -> None:
    """Raises DataError unless each labelled section and domain has normal and anomalous test clips."""
    cells: dict[tuple[str, str], set[str]] = {}
    for clip in clips:
        if clip.split == "test" and clip.label is not None:
            cells.setdefault((clip.section, clip.domain), set()).add(clip.label)
    lacking = [f"section {s} {d}" for (s, d), labels in sorted(cells.items()) if len(labels) < 2]
    if lacking or not cells:
        where = f"in {', '.join(lacking)}" if lacking else "at all"
        raise DataError(
            f"{machine}: no labelled normal and anomalous test clips {where}, so omega can't be computed; "
            "add some or leave the machine type out with --machines"
        )
