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
    """`features`: (clips, bands, frames); row i is `clips[i]`. `digest` is the data's content hash."""

    machine: str
    clips: tuple[Clip, ...]
    features: NDArray[np.floating]
    digest: str

    @classmethod
    def open(cls, cache: Path) -> MachineData:
        """Map the feature cache at `cache` (a folder that `build_cache` gave)."""
        opened = open_cache(cache)
        return cls(opened.machine, opened.clips, opened.features, opened.data_digest)

    @cached_property
    def train_rows(self) -> NDArray[np.intp]:
        return np.flatnonzero([clip.split == "train" for clip in self.clips])

    @cached_property
    def is_target_domain(self) -> NDArray[np.bool_]:
        return np.array([clip.domain == "target" for clip in self.clips])

    @cached_property
    def labelled_rows(self) -> NDArray[np.intp]:
        """The test clips whose label is known: what omega is computed from."""
        return np.flatnonzero([clip.split == "test" and clip.label is not None for clip in self.clips])


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
