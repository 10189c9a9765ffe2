"""S4: the mean of the members' softmax, segment by segment, then eq. 3, then the mean over segments (§4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from oddsound.ensemble.fusions._base import FusionState, Unlearned, mean_of_members
from oddsound.errors import ScoreError
from oddsound.scoring.anomaly import score_from_probabilities
from oddsound.scoring.table import ScoreTable


class MeanSoftmax(Unlearned):
    """Members that cut their clips differently have no segments in common: each one's softmax is then
    averaged over its own segments first (P = 1)."""

    name = "mean_softmax"
    title = "mean softmax"
    needs_softmax = True

    def apply(self, tables: Sequence[ScoreTable], state: FusionState) -> ScoreTable:
        alike = len({table.probabilities.shape[1] for table in tables}) == 1
        each = [t.probabilities if alike else t.probabilities.mean(axis=1, keepdims=True) for t in tables]
        probabilities = mean_of_members(each)
        score = score_from_probabilities(probabilities, _candidates(tables[0]))
        return replace(tables[0], score=score, probabilities=probabilities)


def _candidates(table: ScoreTable) -> NDArray[np.bool_]:
    """(n, classes): the classes of each clip's own section. Raises ScoreError where a clip has none."""
    candidates = table.candidates()
    if not table.classes:
        raise ScoreError(
            f"{table.machine}: the members have no softmax to average; they tell no classes apart"
        )
    if (lost := ~candidates.any(axis=1)).any():
        raise ScoreError(
            f"{table.machine}: section {table.section[lost][0]} is none of the classes "
            f"{', '.join(table.classes)}; eq. 3 needs the own section among them"
        )
    return candidates
