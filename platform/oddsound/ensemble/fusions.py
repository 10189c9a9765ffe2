"""How several score tables become one: the closed registry behind the systems S1 to S4 (§4).

Raw scores are averaged and maximised as they are, so members whose scores live on different scales
follow the widest one; the paper's members are alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from oddsound.errors import ConfigError, ScoreError
from oddsound.scoring.anomaly import score_from_probabilities
from oddsound.scoring.table import ScoreTable

Fusion = Callable[[Sequence[ScoreTable]], ScoreTable]
_COLUMNS = ("file", "section", "domain", "split", "label")


def best(tables: Sequence[ScoreTable]) -> ScoreTable:
    """S1: the first member, which is the best one."""
    return tables[0]


def mean(tables: Sequence[ScoreTable]) -> ScoreTable:
    """S2: the mean of the members' anomaly scores."""
    scores = np.mean([table.score for table in tables], axis=0)
    return replace(tables[0], score=scores, probabilities=_pooled(tables))


def maximum(tables: Sequence[ScoreTable]) -> ScoreTable:
    """S3: the largest of the members' anomaly scores."""
    scores = np.max([table.score for table in tables], axis=0)
    return replace(tables[0], score=scores, probabilities=_pooled(tables))


def mean_softmax(tables: Sequence[ScoreTable]) -> ScoreTable:
    """S4: the mean of the members' softmax, segment by segment, then eq. 3, then the mean over segments.

    Members that cut their clips differently have no segments in common: each one's softmax is then
    averaged over its own segments first (P = 1).
    """
    alike = len({table.probabilities.shape[1] for table in tables}) == 1
    pooled = [t.probabilities if alike else t.probabilities.mean(axis=1, keepdims=True) for t in tables]
    probabilities = np.mean(pooled, axis=0)
    score = score_from_probabilities(probabilities, _candidates(tables[0]))
    return replace(tables[0], score=score, probabilities=probabilities)


FUSIONS: Mapping[str, Fusion] = MappingProxyType(
    {"best": best, "mean": mean, "max": maximum, "mean_softmax": mean_softmax}
)


def fuse(name: str, tables: Sequence[ScoreTable]) -> ScoreTable:
    """The fused table of aligned members, the best one first; a lone member is its own fusion.

    The probabilities of `mean` and `max`, which don't enter their scores, are the members' average over
    segments, (n, 1, classes). Raises ConfigError for a name that isn't in `FUSIONS`, ScoreError where
    there is no member or two of them aren't of the same clips, in the same order, with the same classes.
    """
    if name not in FUSIONS:
        raise ConfigError(f"fusion {name!r}; known are {', '.join(FUSIONS)}")
    if not tables:
        raise ScoreError(f"fusion {name}: no member to fuse; train at least one trial to its end")
    for position, table in enumerate(tables[1:], start=2):
        _check_aligned(tables[0], table, position)
    return tables[0] if len(tables) == 1 else FUSIONS[name](tables)


def _check_aligned(first: ScoreTable, other: ScoreTable, position: int) -> None:
    def differ(what: str) -> ScoreError:
        return ScoreError(f"{first.machine}: member {position} and member 1 differ in {what}; can't be fused")

    if other.machine != first.machine:
        raise differ(f"machine type ({other.machine}, {first.machine})")
    if other.classes != first.classes:
        raise differ(f"classes ({', '.join(other.classes)}; {', '.join(first.classes)})")
    if len(other) != len(first):
        raise differ(f"the number of clips ({len(other)}, {len(first)})")
    for name in _COLUMNS:
        unlike = np.flatnonzero(getattr(other, name) != getattr(first, name))
        if unlike.size:
            row = int(unlike[0])
            raise differ(f"the {name} of row {row + 1} ({other.file[row]}, {first.file[row]})")


def _pooled(tables: Sequence[ScoreTable]) -> NDArray[np.float64]:
    """(n, 1, classes): the mean over segments, then over members."""
    pooled = np.mean([table.probabilities.mean(axis=1, keepdims=True) for table in tables], axis=0)
    return np.asarray(pooled, dtype=np.float64)


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
