"""`MachineData`: one machine type's features and what is known of each clip, as a trial is handed it."""

from __future__ import annotations

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
        if len(self.classes) < 2:
            raise DataError(
                f"{self.machine}: training clips of {len(self.classes)} section(s); "
                "a section classifier needs at least 2"
            )
        untrained = sorted({clip.section for clip in self.clips} - set(self.classes))
        if untrained:
            raise DataError(
                f"{self.machine}: section(s) {', '.join(untrained)} have test clips and no training clips; "
                "add their training clips or leave the test clips out"
            )

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The sections that have training clips, sorted: what the network tells apart."""
        return tuple(sorted({clip.section for clip in self.clips if clip.split == "train"}))

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
