"""The mean of the members' z-scores (`_scales`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from oddsound.ensemble.fusions._base import Fusion, Used, mean_of_members, pooled
from oddsound.ensemble.fusions._scales import Measured, Scales
from oddsound.scoring.table import ScoreTable


class MeanZScore(Fusion[Scales]):
    """Members of unlike scale count alike; by the training clips' statistics of each section."""

    name = "mean_zscore"
    title = "mean z-score"
    State = Scales

    def fit(self, tables: Sequence[ScoreTable], k: int) -> tuple[Used, Scales]:
        used = tuple(range(len(tables)))
        return used, Scales(members=Measured.of(tables).members(used))

    def apply(self, tables: Sequence[ScoreTable], state: Scales) -> ScoreTable:
        scores = mean_of_members(state.z(tables))
        return replace(tables[0], score=scores, probabilities=pooled(tables))
