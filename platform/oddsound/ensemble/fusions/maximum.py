"""S3: the largest of the members' anomaly scores (§4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from oddsound.ensemble.fusions._base import FusionState, Unlearned, pooled
from oddsound.scoring.table import ScoreTable


class Maximum(Unlearned):
    """Of the scores as they are: where members' scales differ, the widest one is followed."""

    name = "max"
    title = "maximum anomaly score"

    def apply(self, tables: Sequence[ScoreTable], state: FusionState) -> ScoreTable:
        scores = np.max([table.score for table in tables], axis=0)
        return replace(tables[0], score=scores, probabilities=pooled(tables))
