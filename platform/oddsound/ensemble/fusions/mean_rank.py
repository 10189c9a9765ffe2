"""The mean of the members' ranks: only the order of a member's scores counts, never how far they lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field

from oddsound.ensemble.fusions._base import Fusion, FusionState, Used, by_section, mean_of_members, pooled
from oddsound.errors import ScoreError
from oddsound.scoring.table import ScoreTable
from oddsound.training.facts import Finite

_ROUNDING = 1e-5
"""Of their size, how far two scores of one clip may lie apart if its network ran on another device or
processor; ten times what was seen."""


def _rising(scores: tuple[float, ...]) -> tuple[float, ...]:
    if any(b < a for a, b in pairwise(scores)):
        raise ValueError("the scores that ranks are taken among must rise")
    return scores


class References(FusionState):
    """Each member's sorted scores by section, which ranks are taken among."""

    members: tuple[
        dict[str, Annotated[tuple[Finite, ...], Field(min_length=1), AfterValidator(_rising)]], ...
    ] = Field(min_length=1)

    def n_members(self) -> int | None:
        return len(self.members)

    def lacks(self, sections: Sequence[str]) -> list[str]:
        return [name for name in sections if any(name not in of for of in self.members)]


class MeanRank(Fusion[References]):
    """A clip's rank is the share of its section's clips, training and test, of those that the fusion was
    fitted to, that score lower; ties count half (the mid-rank), so it lies between 0 and 1. Scores that
    rounding could tell apart are ties: a clip ties with itself also where it is scored again.

    It looks at the other test clips' scores, though not at their labels: a clip's rank depends on which
    clips it was fitted with. Clips that came later are ranked among those, as the state holds them.
    """

    name = "mean_rank"
    title = "mean rank"
    State = References

    def fit(self, tables: Sequence[ScoreTable], k: int) -> tuple[Used, References]:
        rows = by_section(tables[0])
        members = tuple({s: tuple(np.sort(t.score[of]).tolist()) for s, of in rows.items()} for t in tables)
        return tuple(range(len(tables))), References(members=members)

    def apply(self, tables: Sequence[ScoreTable], state: References) -> ScoreTable:
        rows = by_section(tables[0])
        if unknown := state.lacks(list(rows)):
            raise ScoreError(
                f"{tables[0].machine}: section {unknown[0]} has no scores to rank among; the fusion was "
                f"fitted to {', '.join(state.members[0])}"
            )
        ranks = np.empty((len(tables), len(tables[0])))
        for i, (table, reference) in enumerate(zip(tables, state.members, strict=True)):
            for section, of in rows.items():
                ranks[i, of] = _mid_rank(table.score[of], np.asarray(reference[section]))
        return replace(tables[0], score=mean_of_members(list(ranks)), probabilities=pooled(tables))


def _mid_rank(scores: NDArray[np.float64], ordered: NDArray[np.float64]) -> NDArray[np.float64]:
    apart = _ROUNDING * np.maximum(np.abs(scores), np.median(np.abs(ordered)))
    below = np.searchsorted(ordered, scores - apart, side="left")
    not_above = np.searchsorted(ordered, scores + apart, side="right")
    return np.asarray((below + not_above) / (2 * len(ordered)), dtype=np.float64)
