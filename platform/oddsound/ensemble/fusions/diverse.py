"""The mean z-score of the best candidates that aren't too alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from oddsound.ensemble.fusions._base import Fusion, Used, by_section, mean_of_members, pooled, scores_of
from oddsound.ensemble.fusions._labelled import labelled
from oddsound.ensemble.fusions._scales import Float, Measured, Scales
from oddsound.scoring.table import ScoreTable

MAX_CORRELATION = 0.95


class Diverse(Fusion[Scales]):
    """By Ω on the labelled test clips, the highest first (ties: that given first), each candidate is taken
    unless its test scores have a Spearman correlation above 0.95 with those of one that is taken, until
    there are k. Fewer where there are no more."""

    name = "diverse"
    title = "mean z-score of diverse models"
    uses_labels = True
    chooses = True
    State = Scales

    def fit(self, tables: Sequence[ScoreTable], k: int) -> tuple[Used, Scales]:
        known = labelled(self.name, tables[0])
        omegas = known.omegas(scores_of(tables)[:, known.rows])
        used = _apart(standard_ranks(tables), np.argsort(-omegas, kind="stable"), k)
        own = [tables[i] for i in used]
        return used, Scales(members=Measured.of(own).members(tuple(range(len(own)))))

    def apply(self, tables: Sequence[ScoreTable], state: Scales) -> ScoreTable:
        scores = mean_of_members(state.z(tables))
        return replace(tables[0], score=scores, probabilities=pooled(tables))


def standard_ranks(tables: Sequence[ScoreTable]) -> Float:
    """(members, test clips), such that the product of two rows is their correlation.

    That is the mean over sections, weighted by their test clips, of Spearman's within each; scores that are
    all the same in a section correlate with none there.
    """
    from scipy.stats import rankdata

    test = np.flatnonzero(tables[0].split == "test")
    first, scores = tables[0].where(tables[0].split == "test"), scores_of(tables)[:, test]
    ranks = np.empty_like(scores)
    for of in by_section(first).values():
        centred = rankdata(scores[:, of], axis=1) - (len(of) + 1) / 2
        norm = np.sqrt((centred**2).sum(axis=1, keepdims=True) * len(test) / len(of))
        ranks[:, of] = np.divide(centred, norm, out=np.zeros_like(centred), where=norm > 0)
    return ranks


def _apart(ranks: Float, order: NDArray[np.intp], k: int) -> Used:
    used: list[int] = []
    for candidate in order.tolist():
        if len(used) < k and not (ranks[used] @ ranks[candidate] > MAX_CORRELATION).any():
            used.append(candidate)
    return tuple(used)
