"""AUC and official pAUC of many score vectors, or of many weightings of one, at once.

`scoring.metrics` asks scikit-learn for one cell after another; a bootstrap of 2,000 resamples, or a search
for the members of an ensemble, wants some hundred thousand of them. The ROC is the same: one point a
distinct score, straight lines between; the partial area up to a false positive rate of 0.1 is standardised
after McClish. Values are scikit-learn's to 1e-12 (tests/unit/scoring/test_curves.py).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from oddsound.scoring.metrics import MAX_FPR
from oddsound.scoring.omega import Term

Floats = NDArray[np.float64]


def omegas(scores: Floats, terms: Sequence[Term]) -> Floats:
    """Ω (eq. 7) of each row of scores. scores: (m, n), of the n clips that the terms' rows are of; (m,)."""
    return harmonic_means(_values(terms, lambda term: _ranked(scores, term)))


def weighted_omegas(score: Floats, terms: Sequence[Term], weights: Floats) -> Floats:
    """Ω of the clips weighted by each row of `weights`. score: (n,); weights: (b, n), not negative: how
    often a clip counts; (b,). NaN where a weighting leaves a class of a term without a clip."""
    return harmonic_means(weighted_values(score, terms, weights))


def weighted_values(score: Floats, terms: Sequence[Term], weights: Floats) -> Floats:
    """The terms' own values, (b, terms); arguments as in `weighted_omegas`."""
    return _values(terms, lambda term: _weighted(score, term, weights))


def harmonic_means(values: Floats) -> Floats:
    """Of each row, each value floored at float64's machine epsilon as the official evaluator does.
    values: (b, terms); (b,)."""
    return np.asarray(values.shape[1] / (1 / np.maximum(values, sys.float_info.epsilon)).sum(axis=1))


def areas(anomaly: Floats, normal: Floats, is_last: NDArray[np.bool_] | None = None) -> tuple[Floats, Floats]:
    """AUC and standardised pAUC of each row, (b,) each; NaN where a class has no weight.

    anomaly, normal: (b, n), the weight that each clip has in its class, clips by descending score.
    is_last: (b, n), whether the next clip's score is another one; None where no two are equal.
    """
    y, x = (np.cumsum(weights, axis=1) for weights in (anomaly, normal))
    with np.errstate(invalid="ignore", divide="ignore"):
        y, x = y / y[:, -1:], x / x[:, -1:]
    if is_last is not None:  # within a tie the curve stays at the point before it
        y, x = (np.maximum.accumulate(np.where(is_last, axis, 0.0), axis=1) for axis in (y, x))
    y, x = (np.pad(axis, ((0, 0), (1, 0))) for axis in (y, x))
    width, rise = np.diff(x, axis=1), np.diff(y, axis=1)
    auc = (width * (y[:, 1:] + y[:, :-1])).sum(axis=1) / 2
    cut = np.clip(MAX_FPR - x[:, :-1], 0.0, width)  # the part of each step's width that counts
    slope = np.divide(rise, width, out=np.zeros_like(rise), where=width > 0)
    area = (cut * (y[:, :-1] + slope * cut / 2)).sum(axis=1)
    least = MAX_FPR**2 / 2
    return auc, 0.5 * (1 + (area - least) / (MAX_FPR - least))


def _values(terms: Sequence[Term], curve: Callable[[Term], tuple[Floats, Floats]]) -> Floats:
    """(b, terms): terms of the same clips share their curve."""
    known: dict[tuple[bytes, bytes], tuple[Floats, Floats]] = {}
    columns = []
    for term in terms:
        key = term.normal.tobytes(), term.anomaly.tobytes()
        if key not in known:
            known[key] = curve(term)
        columns.append(known[key][0 if term.metric == "auc" else 1])
    return np.stack(columns, axis=1)


def _ranked(scores: Floats, term: Term) -> tuple[Floats, Floats]:
    of_term = scores[:, np.concatenate((term.anomaly, term.normal))]
    order = np.argsort(-of_term, axis=1, kind="stable")
    falling = np.take_along_axis(of_term, order, axis=1)
    is_anomaly = (order < len(term.anomaly)).astype(np.float64)
    is_last = np.ones(falling.shape, dtype=np.bool_)
    is_last[:, :-1] = falling[:, :-1] != falling[:, 1:]
    return areas(is_anomaly, 1 - is_anomaly, is_last)


def _weighted(score: Floats, term: Term, weights: Floats) -> tuple[Floats, Floats]:
    rows = np.concatenate((term.anomaly, term.normal))
    order = np.argsort(-score[rows], kind="stable")
    falling, weight = score[rows[order]], weights[:, rows[order]]
    is_anomaly = order < len(term.anomaly)
    first = np.flatnonzero(np.concatenate(([True], falling[1:] != falling[:-1])))
    anomaly, normal = (np.add.reduceat(weight * of, first, axis=1) for of in (is_anomaly, ~is_anomaly))
    return areas(anomaly, normal)
