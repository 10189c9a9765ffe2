"""What a fusion is: fitted to the members' tables, then applied to tables of the same or of other clips.

A fusion is fitted where the clips are that it may learn from, and what it learned is a small document.
So it can be applied to what it wasn't fitted to: the clips of `oddsound predict`, the other half of a
split.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from oddsound.config import Strict
from oddsound.scoring.table import ScoreTable

Used = tuple[int, ...]
"""Which of the given members a fusion is made of, as indices; rising, or the order that it gives them."""


class FusionState(Strict):
    """What a fusion learned of the members that it uses, in their order; this one has learned nothing."""

    def n_members(self) -> int | None:
        """How many members it is of; None where it suits any number."""
        return None

    def lacks(self, sections: Sequence[str]) -> list[str]:
        """Those of `sections` whose clips it can't be applied to."""
        return []


Learned = TypeVar("Learned", bound=FusionState)


class Fusion(ABC, Generic[Learned]):
    """A way to make one table of several; two members at least, for a lone one is its own fusion."""

    name: ClassVar[str]
    title: ClassVar[str]
    """As tables and meta.yaml have it."""
    uses_labels: ClassVar[bool] = False
    """Learns from the labels of the test clips, so its Ω on the same clips flatters it."""
    chooses: ClassVar[bool] = False
    """Is given all candidates and takes its own members, k at most; else it fuses all that it is given."""
    needs_softmax: ClassVar[bool] = False
    State: type[Learned]

    @abstractmethod
    def fit(self, tables: Sequence[ScoreTable], k: int) -> tuple[Used, Learned]:
        """The members to use and what was learned of them. tables: aligned, the best one first."""

    @abstractmethod
    def apply(self, tables: Sequence[ScoreTable], state: Learned) -> ScoreTable:
        """The fused table. tables: aligned, those of the members used, in the order of `fit`."""


class Unlearned(Fusion[FusionState]):
    """A fusion that has nothing to learn: each clip's score is made of the clip's alone."""

    State = FusionState

    def fit(self, tables: Sequence[ScoreTable], k: int) -> tuple[Used, FusionState]:
        return tuple(range(len(tables))), FusionState()


def pooled(tables: Sequence[ScoreTable], weights: Sequence[float] | None = None) -> NDArray[np.float64]:
    """(n, 1, classes): the mean over segments, then over members; `weights`: of the members, sum 1."""
    each = [table.probabilities.mean(axis=1, keepdims=True) for table in tables]
    if weights is None:
        return mean_of_members(each)
    return np.asarray(sum(w * p for w, p in zip(weights, each, strict=True)), dtype=np.float64)


def mean_of_members(each: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The mean over members, each of one shape.

    Summed one member after the other: numpy sums a single clip's eight members or more in another order
    than those of several clips, and a clip's score must not depend on its company.
    """
    total = each[0].copy()
    for of in each[1:]:
        total += of
    return np.asarray(total / len(each), dtype=np.float64)


def scores_of(tables: Sequence[ScoreTable]) -> NDArray[np.float64]:
    """(members, clips)."""
    return np.stack([table.score for table in tables])


def by_section(table: ScoreTable) -> dict[str, NDArray[np.intp]]:
    """The rows of each section, sections sorted."""
    names, of = np.unique(table.section, return_inverse=True)
    return {str(name): np.flatnonzero(of == i) for i, name in enumerate(names)}
