"""Greedy forward selection with replacement (Caruana, Niculescu-Mizil, Crew and Ksikes, ICML 2004), on Ω."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from oddsound.ensemble.fusions._base import Used, scores_of
from oddsound.ensemble.fusions._labelled import Labelled, labelled
from oddsound.ensemble.fusions._scales import Float, Measured
from oddsound.ensemble.fusions._weights import WeightedMean, Weights, weighted_sum
from oddsound.scoring.table import ScoreTable

ROUNDS = 20
LEAST_GAIN = 1e-9
"""A smaller one is rounding: an Ω over 1,200 clips moves by more than 1e-6."""


class Greedy(WeightedMean):
    """Begins with the candidate whose Ω on the labelled test clips is highest. Each round adds the one,
    which may be in already, whose addition gives the highest Ω of the mean z-score; the rounds end when
    none raises it, or with 20 drawn. How often a member was drawn is its weight. At most k different ones
    are taken; ties go to the one that was given first.

    Its Ω on those clips is never below that of any single candidate; what of it holds on other clips is
    another matter.
    """

    name = "greedy"
    title = "greedy selection"
    uses_labels = True
    chooses = True

    def fit(self, tables: Sequence[ScoreTable], k: int) -> tuple[Used, Weights]:
        known, measured = labelled(self.name, tables[0]), Measured.of(tables)
        singles = known.omegas(scores_of(tables)[:, known.rows])
        start = int(singles.argmax())
        z = measured.z(tables)[:, known.rows]
        counts = Counter(_drawn(z, known, start, float(singles[start]), k))
        used, weights = tuple(counts), tuple(count / counts.total() for count in counts.values())
        # The rounds' sums are rounded otherwise than the weighted one, which may tie where they didn't.
        if known.omegas(weighted_sum(z[list(used)], weights)[None])[0] < singles[start] - LEAST_GAIN:
            used, weights = (start,), (1.0,)
        return used, Weights(members=measured.members(used), weights=weights)


def _drawn(z: Float, known: Labelled, start: int, omega: float, k: int) -> list[int]:
    """Candidates in the order in which they were drawn. z: (candidates, labelled clips)."""
    drawn, total = [start], z[start].copy()
    while len(drawn) < ROUNDS:
        pool = np.arange(len(z)) if len(set(drawn)) < k else np.array(sorted(set(drawn)))
        found = known.omegas(total + z[pool])
        best = int(found.argmax())
        if found[best] <= omega + LEAST_GAIN:
            break
        omega = float(found[best])
        drawn.append(int(pool[best]))
        total += z[pool[best]]
    return drawn
