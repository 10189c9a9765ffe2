"""S2: the mean of the members' anomaly scores (§4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from oddsound.ensemble.fusions._base import FusionState, Unlearned, mean_of_members, pooled
from oddsound.scoring.table import ScoreTable


class Mean(Unlearned):
    """Of the scores as they are: where members' scales differ, the widest one is followed."""

    name = "mean"
    title = "mean anomaly score"

    def apply(self, tables: Sequence[ScoreTable], state: FusionState) -> ScoreTable:
        scores = mean_of_members([table.score for table in tables])
        return replace(tables[0], score=scores, probabilities=pooled(tables))
