"""The labelled test clips' scores after each evaluated epoch of a trial whose epoch is chosen by them.

How much too good that choice makes the trial look can then be estimated (`oddsound.ensemble.optimism`).
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from oddsound.errors import BundleError
from oddsound.training.bundle import Bundle, write_atomically

FILE = "epochs.npz"


@dataclass(frozen=True, eq=False)
class EpochScores:
    """epoch: (e,) from 1, rising; score: (e, clips) float32, the clips as in `ScoreTable.labelled`."""

    epoch: NDArray[np.int64]
    score: NDArray[np.float32]

    @classmethod
    def of(cls, by_epoch: Mapping[int, NDArray[np.float32]]) -> EpochScores:
        epochs = sorted(by_epoch)
        return cls(np.array(epochs, dtype=np.int64), np.stack([by_epoch[epoch] for epoch in epochs]))

    def write(self, bundle: Bundle) -> None:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, epoch=self.epoch, score=self.score)
        write_atomically(bundle.path / FILE, buffer.getvalue())


def read_epoch_scores(bundle: Bundle, n_clips: int) -> EpochScores | None:
    """What the bundle has of them, of `n_clips` labelled clips; None where its epoch wasn't chosen by them.

    Raises BundleError where the file is damaged or of other clips.
    """
    path: Path = bundle.path / FILE
    if not path.is_file():
        return None
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            found = EpochScores(stored["epoch"], stored["score"])
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
        raise BundleError(f"{path}: can't be read ({error}); remove the file") from error
    if found.score.shape != (len(found.epoch), n_clips) or not np.isfinite(found.score).all():
        raise BundleError(f"{path}: {found.score.shape} scores for {n_clips} labelled clips; remove the file")
    return found
