"""S1: the best single model (§4)."""

from __future__ import annotations

from collections.abc import Sequence

from oddsound.ensemble.fusions._base import FusionState, Unlearned, Used
from oddsound.scoring.table import ScoreTable


class Best(Unlearned):
    """The first member, which is the best one."""

    name = "best"
    title = "best single model"

    def fit(self, tables: Sequence[ScoreTable], k: int) -> tuple[Used, FusionState]:
        return (0,), FusionState()

    def apply(self, tables: Sequence[ScoreTable], state: FusionState) -> ScoreTable:
        return tables[0]
