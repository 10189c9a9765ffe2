"""z-scores: a member's scores in standard deviations from the mean of its own training clips' scores.

Each section has its own mean and standard deviation, for a network is surer of one section than of
another. Scores of unlike scale become comparable; the order within a section stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from oddsound.config import Positive, Strict
from oddsound.ensemble.fusions._base import FusionState, Used, by_section, scores_of
from oddsound.errors import ScoreError
from oddsound.scoring.table import ScoreTable
from oddsound.training.facts import Finite

Float = NDArray[np.float64]
_NO_SPREAD = 1e-12
"""Training scores whose spread is within this share of their size are all the same but for rounding."""


class Scale(Strict):
    """Of one member's training scores in one section."""

    mean: Finite
    std: Positive


class Scales(FusionState):
    """Each member's scale by section."""

    members: tuple[dict[str, Scale], ...] = Field(min_length=1)

    def n_members(self) -> int | None:
        return len(self.members)

    def lacks(self, sections: Sequence[str]) -> list[str]:
        return [name for name in sections if any(name not in of for of in self.members)]

    def z(self, tables: Sequence[ScoreTable]) -> list[Float]:
        """(n,) a member. Raises ScoreError for a section without a scale."""
        rows = by_section(tables[0])
        if unknown := self.lacks(list(rows)):
            raise ScoreError(
                f"{tables[0].machine}: section {unknown[0]} has no mean and deviation of training scores; "
                f"the fusion was fitted to {', '.join(self.members[0])}"
            )
        return [_z(t.score, rows, of) for t, of in zip(tables, self.members, strict=True)]


def _z(score: Float, rows: dict[str, NDArray[np.intp]], scale: dict[str, Scale]) -> Float:
    made = np.empty(len(score))
    for section, of in rows.items():
        made[of] = (score[of] - scale[section].mean) / scale[section].std
    return made


@dataclass(frozen=True, eq=False)
class Measured:
    """The scales of many members at once. mean, std: (members, sections); rows: those of each section."""

    rows: dict[str, NDArray[np.intp]]
    mean: Float
    std: Float

    @classmethod
    def of(cls, tables: Sequence[ScoreTable]) -> Measured:
        """By the training clips. A deviation of 0 (all scores the same, one clip for instance) is taken to
        be the member's in its other sections, in the root mean square; 1 where there is none.

        Raises ScoreError where a section has no training clips.
        """
        first, rows, scores = tables[0], by_section(tables[0]), scores_of(tables)
        mean, std = np.empty((2, len(tables), len(rows)))
        for i, (section, of) in enumerate(rows.items()):
            train = of[first.split[of] == "train"]
            if not train.size:
                raise ScoreError(
                    f"{first.machine}, section {section}: no training clips, so no mean and deviation for "
                    "z-scores; add the section's training recordings"
                )
            # Sorted, lest the last bit depend on the order of the clips.
            ordered = np.sort(scores[:, train], axis=1)
            mean[:, i] = ordered.mean(axis=1)
            spread = np.ptp(ordered, axis=1) > _NO_SPREAD * abs(ordered).max(axis=1)
            std[:, i] = np.where(spread, ordered.std(axis=1), 0.0)
        return cls(rows, mean, _without_zeros(std))

    def z(self, tables: Sequence[ScoreTable]) -> Float:
        """(members, clips) z-scores of the tables that were measured."""
        made = scores_of(tables)
        for i, of in enumerate(self.rows.values()):
            made[:, of] = (made[:, of] - self.mean[:, i, None]) / self.std[:, i, None]
        return made

    def members(self, used: Used) -> tuple[dict[str, Scale], ...]:
        """What a state keeps of the members used."""
        return tuple(
            {
                section: Scale(mean=float(self.mean[member, i]), std=float(self.std[member, i]))
                for i, section in enumerate(self.rows)
            }
            for member in used
        )


def _without_zeros(std: Float) -> Float:
    n_positive = np.maximum((std > 0).sum(axis=1, keepdims=True), 1)
    typical = np.sqrt((std**2).sum(axis=1, keepdims=True) / n_positive)
    return np.where(std > 0, std, np.where(typical > 0, typical, 1.0))
