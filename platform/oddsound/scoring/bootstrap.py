"""How sure an Ω is: 95 % bootstrap intervals, and whether one system is better than another.

Clips are drawn with replacement within section, domain and class, so that every resample has the data's
own numbers. Intervals are bias-corrected and accelerated (BCa; Efron 1987), the acceleration from leaving
out one clip after another: the harmonic mean and the pAUC of few normal clips bend the plain percentiles.
docs/results/ensembles.md has how often they hold the truth. Drawing new clips is all that they know of:
not that trials were chosen by these labels (`oddsound.ensemble.optimism`), nor of other machines.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from oddsound.errors import ScoreError
from oddsound.recordings.names import counted
from oddsound.scoring.curves import weighted_values
from oddsound.scoring.omega import Term, refuse_missing, terms
from oddsound.scoring.table import ANOMALY, NORMAL, ScoreTable

Floats = NDArray[np.float64]
Verdict = Literal["A is better", "B is better", "can't tell"]
N_RESAMPLES = 2000
LEVEL = 0.95
FEW = 10
"""Of fewer test clips of either label the order is often right or wrong by chance, also in all resamples."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and the ends of its interval, all in its own unit."""

    estimate: float
    lower: float
    upper: float


def few_clips(table: ScoreTable) -> str:
    """How few labelled test clips there are, where there are fewer than `FEW` of either label; "" elsewhere
    and where there are none at all, of which there are no figures."""
    label = table.labelled().label
    normal, anomalous = int((label == NORMAL).sum()), int((label == ANOMALY).sum())
    if not label.size or min(normal, anomalous) >= FEW:
        return ""
    return (
        f"only {normal} normal and {counted(anomalous, 'anomalous test clip')}, so few that omega and its "
        "interval may be chance"
    )


@dataclass(frozen=True)
class SystemIntervals:
    """Ω by machine type, the mean over them, and the challenge's official score (over all values)."""

    machines: dict[str, Interval]
    mean: Interval
    official: Interval


@dataclass(frozen=True)
class Comparison:
    """Ω of A less that of B; `share`: of the resamples in which A is the better one, ties half."""

    difference: Interval
    share: float

    @property
    def verdict(self) -> Verdict:
        """By whether the interval holds 0."""
        if self.difference.lower > 0:
            return "A is better"
        return "B is better" if self.difference.upper < 0 else "can't tell"


@dataclass(frozen=True)
class PairedIntervals:
    """A against B by machine type, and in the mean over them."""

    machines: dict[str, Comparison]
    mean: Comparison


@dataclass(frozen=True)
class _Sums:
    """Σ 1/value over a machine type's terms, which Ω, means and differences are made of: of the clips as
    they are (systems,), of each resample (systems, n), and with each clip left out (systems, clips)."""

    n_terms: int
    whole: Floats
    resampled: Floats
    left_out: Floats


Statistic = Callable[[Sequence[Floats]], Floats]
"""From the sums of each machine type, (systems, …), to a figure, (…)."""


def bootstrap(
    tables: Mapping[str, ScoreTable], n: int = N_RESAMPLES, seed: int = 0, level: float = LEVEL
) -> SystemIntervals:
    """The intervals of one system, from the labelled test clips of each machine type's table.

    n: resamples. The same seed gives the same figures, whatever other machine types there are. Raises
    ScoreError where a table has no labelled clips or a class is missing.
    """
    sums = {machine: _sums([table], n, seed) for machine, table in tables.items()}
    n_terms = [of.n_terms for of in sums.values()]
    return SystemIntervals(
        {machine: _interval([of], _mean_omega([of.n_terms]), level)[0] for machine, of in sums.items()},
        _interval(list(sums.values()), _mean_omega(n_terms), level)[0],
        _interval(list(sums.values()), lambda s: sum(n_terms) / np.sum([of[0] for of in s], axis=0), level)[
            0
        ],
    )


def paired(
    a: Mapping[str, ScoreTable],
    b: Mapping[str, ScoreTable],
    n: int = N_RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> PairedIntervals:
    """A against B over the same resamples of the clips that both have scored; clips may be ordered otherwise.

    Raises ScoreError where machine types, clips or labels differ, and as `bootstrap` does.
    """
    if unlike := sorted(set(a) ^ set(b)):
        raise ScoreError(f"{unlike[0]}: only one of the two systems has this machine type; leave it out")
    sums = {machine: _sums([a[machine], _aligned(a[machine], b[machine])], n, seed) for machine in a}
    return PairedIntervals(
        {machine: _comparison([of], level) for machine, of in sums.items()},
        _comparison(list(sums.values()), level),
    )


def _comparison(sums: Sequence[_Sums], level: float) -> Comparison:
    mean = _mean_omega([of.n_terms for of in sums])

    def difference(s: Sequence[Floats]) -> Floats:
        return mean([of[:1] for of in s]) - mean([of[1:] for of in s])

    interval, replicates = _interval(sums, difference, level)
    return Comparison(interval, float((replicates > 0).mean() + (replicates == 0).mean() / 2))


def _mean_omega(n_terms: Sequence[int]) -> Statistic:
    return lambda s: np.mean([count / of[0] for count, of in zip(n_terms, s, strict=True)], axis=0)


def _sums(tables: Sequence[ScoreTable], n: int, seed: int) -> _Sums:
    first = tables[0].labelled()
    found = terms(first.section, first.domain, first.label, first.rules)
    if not found:
        raise ScoreError(f"{first.machine}: no labelled test clips, so there is nothing to resample")
    refuse_missing(first.machine, found)
    weights = _resamples(first, n, seed)
    clips = np.ones((len(first), len(first))) - np.eye(len(first))
    scores = [table.labelled().score for table in tables]
    whole, resampled, left_out = (
        np.stack([_reciprocals(score, found, each) for score in scores])
        for each in (np.ones((1, len(first))), weights, clips)
    )
    return _Sums(len(found), whole[:, 0], resampled, left_out)


def _reciprocals(score: Floats, found: Sequence[Term], weights: Floats) -> Floats:
    """Σ 1/value of each weighting; one that leaves a class empty stands for the clips as they are."""
    values = weighted_values(score, found, weights)
    if (lost := np.isnan(values).any(axis=1)).any():
        values[lost] = weighted_values(score, found, np.ones((1, len(score))))
    return np.asarray((1 / np.maximum(values, np.finfo(np.float64).eps)).sum(axis=1))


def _resamples(table: ScoreTable, n: int, seed: int) -> Floats:
    """(n, clips): how often each clip is drawn, within its section, domain and class."""
    digest = hashlib.sha256(f"{seed}/{table.machine}".encode()).digest()
    random = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    counts = np.zeros((n, len(table)))
    for rows in strata(table):
        counts[:, rows] = random.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), n)
    return counts


def strata(table: ScoreTable) -> list[NDArray[np.intp]]:
    """The rows of each section, domain and class, sorted by these."""
    keys = np.stack([table.section.astype(str), table.domain.astype(str), table.label.astype(str)])
    _, of = np.unique(keys, axis=1, return_inverse=True)
    return [np.flatnonzero(of.ravel() == i) for i in range(int(of.max()) + 1)] if len(table) else []


def _interval(sums: Sequence[_Sums], statistic: Statistic, level: float) -> tuple[Interval, Floats]:
    """The BCa interval, and the resamples' figures."""
    from scipy.stats import norm

    whole = [of.whole[:, None] for of in sums]
    estimate = float(statistic(whole)[0])
    replicates = statistic([of.resampled for of in sums])
    ends = norm.ppf([(1 - level) / 2, (1 + level) / 2])
    n = len(replicates)
    below = ((replicates < estimate).sum() + (replicates == estimate).sum() / 2) / n
    bias = float(norm.ppf(np.clip(below, 0.5 / n, 1 - 0.5 / n)))
    shifted = bias + ends
    quantiles = norm.cdf(bias + shifted / (1 - _acceleration(sums, whole, statistic) * shifted))
    lower, upper = np.quantile(replicates, np.sort(quantiles))
    return Interval(estimate, float(lower), float(upper)), replicates


def _acceleration(sums: Sequence[_Sums], whole: Sequence[Floats], statistic: Statistic) -> float:
    """A sixth of the skewness of what one clip changes."""
    changes = []
    for place, of in enumerate(sums):
        rest = [np.broadcast_to(each, of.left_out.shape) for each in whole]
        left_out = statistic([*rest[:place], of.left_out, *rest[place + 1 :]])
        changes.append(left_out.mean() - left_out)
    change = np.concatenate(changes)
    spread = float((change**2).sum())
    return float((change**3).sum() / (6 * spread**1.5)) if spread > 0 else 0.0


def _aligned(first: ScoreTable, other: ScoreTable) -> ScoreTable:
    """`other`'s labelled clips in the order of `first`'s."""
    a, b = first.labelled(), other.labelled()
    if first.rules != other.rules:
        raise ScoreError(f"{first.machine}: the two systems are of different years' data")
    place = {str(file): row for row, file in enumerate(b.file)}
    if missing := sorted({str(file) for file in a.file} ^ set(place)):
        raise ScoreError(f"{first.machine}: only one of the two systems has scored {missing[0]}")
    ordered = b.where(np.array([place[str(file)] for file in a.file], dtype=np.intp))
    for name in ("section", "domain", "label"):
        if (unlike := np.flatnonzero(getattr(a, name) != getattr(ordered, name))).size:
            raise ScoreError(f"{first.machine}: the two systems differ in the {name} of {a.file[unlike[0]]}")
    return ordered
