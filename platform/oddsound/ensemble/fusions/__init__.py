"""How several score tables become one: the closed registry of fusions, S1 to S4 of the paper (§4) first.

A fusion is one file of this package and one line of `FUSIONS`; `_base` says what it must have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from oddsound.ensemble.fusions._aligned import check_aligned
from oddsound.ensemble.fusions._base import Fusion, FusionState, Used
from oddsound.ensemble.fusions.best import Best
from oddsound.ensemble.fusions.diverse import Diverse
from oddsound.ensemble.fusions.greedy import Greedy
from oddsound.ensemble.fusions.max_zscore import MaxZScore
from oddsound.ensemble.fusions.maximum import Maximum
from oddsound.ensemble.fusions.mean import Mean
from oddsound.ensemble.fusions.mean_rank import MeanRank
from oddsound.ensemble.fusions.mean_softmax import MeanSoftmax
from oddsound.ensemble.fusions.mean_zscore import MeanZScore
from oddsound.ensemble.fusions.weighted import Weighted
from oddsound.errors import ConfigError, ScoreError
from oddsound.scoring.table import ScoreTable

__all__ = ["FUSIONS", "Fitted", "Fusion", "FusionState", "fit", "fuse", "fusion_of"]

_ALL: tuple[Fusion[Any], ...] = (
    Best(),
    Mean(),
    Maximum(),
    MeanSoftmax(),
    MeanRank(),
    MeanZScore(),
    MaxZScore(),
    Weighted(),
    Diverse(),
    Greedy(),
)
FUSIONS: Mapping[str, Fusion[Any]] = MappingProxyType({fusion.name: fusion for fusion in _ALL})


@dataclass(frozen=True)
class Fitted:
    """A fusion with what it learned. `used`: the members that it is made of, indices into the `n_tables`
    that it was fitted to; `state` is of these. One that uses a single member is that member."""

    name: str
    state: FusionState
    used: Used
    n_tables: int

    def apply(self, tables: Sequence[ScoreTable]) -> ScoreTable:
        """The fused table. tables: all members that were fitted, in that order; of these or other clips.

        Raises ScoreError where they are of another number, or those used aren't aligned.
        """
        if len(tables) != self.n_tables:
            raise ScoreError(f"fusion {self.name} was fitted to {self.n_tables} members, got {len(tables)}")
        own = [tables[i] for i in self.used]
        check_aligned(own)
        return own[0] if len(own) == 1 else FUSIONS[self.name].apply(own, self.state)

    def alone(self) -> Fitted:
        """The same for the used members alone, in the order of `used`: what a package holds."""
        return replace(self, used=tuple(range(len(self.used))), n_tables=len(self.used))


def fusion_of(name: str) -> Fusion[Any]:
    """The fusion of that name. Raises ConfigError where there is none."""
    if name not in FUSIONS:
        raise ConfigError(f"fusion {name!r}; known are {', '.join(FUSIONS)}")
    return FUSIONS[name]


def fit(name: str, tables: Sequence[ScoreTable], k: int = 5) -> Fitted:
    """The fusion `name` fitted to aligned members, the best one first; `k`: how many one that chooses its
    members takes at most. The others use all that are given, which are then the best k.

    A lone member is its own fusion, whatever the fusion. Raises ConfigError for a name that isn't in
    `FUSIONS` or a k below 1; ScoreError where there is no member, two of them aren't of the same clips, in
    the same order, with the same classes, or the fusion can't learn from them.
    """
    fusion = fusion_of(name)
    if k < 1:
        raise ConfigError(f"fusion {name} of {k} members; k is 1 at least")
    if not tables:
        raise ScoreError(f"fusion {name}: no member to fuse; train at least one trial to its end")
    check_aligned(tables)
    used, state = ((0,), FusionState()) if len(tables) == 1 else fusion.fit(tables, k)
    return Fitted(name, state if len(used) > 1 else FusionState(), used, len(tables))


def fuse(name: str, tables: Sequence[ScoreTable], k: int = 5) -> ScoreTable:
    """`fit`, then applied to the same tables; errors as there.

    The probabilities, which enter no score but that of `mean_softmax`, are the members' average over
    segments, (n, 1, classes); `mean_softmax` keeps the segments where members have the same ones.
    """
    return fit(name, tables, k).apply(tables)
