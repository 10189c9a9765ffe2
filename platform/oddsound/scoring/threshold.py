"""Where a score becomes an alarm: a quantile of the training clips' scores, by a fitted gamma
distribution (`gamma`, as the baselines) or of the scores as they are (`empirical`).

The official baselines fit a gamma with a free location to the training clips' scores and alarm above
its 90th percentile. eq. 3 scores are mostly negative and have no natural zero, and the likelihood of
a free location is unbounded, so here the location is set: the scores are shifted so that the lowest
one comes to lie one standard deviation above zero, always, whatever their sign. Thus the threshold
moves with the scores, and shape and scale have a maximum-likelihood fit that always exists.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from oddsound.errors import ScoreError
from oddsound.scoring.table import ScoreTable

QUANTILE = 0.9
Method = Literal["gamma", "empirical"]


@dataclass(frozen=True, slots=True)
class GammaFit:
    """score + shift ~ Gamma(shape, scale); shape 0 stands for scores that are all the same."""

    shape: float
    scale: float
    shift: float

    def quantile(self, q: float) -> float:
        """The score below which a share `q` of the fitted distribution lies."""
        from scipy.special import gammaincinv

        if not 0 < q < 1:
            raise ScoreError(f"a quantile lies between 0 and 1, got {q}")
        return (self.scale * float(gammaincinv(self.shape, q)) if self.shape else 0.0) - self.shift


def fit_gamma(train_scores: ArrayLike) -> GammaFit:
    """The maximum-likelihood gamma of the shifted scores (see above). train_scores: (n,), n ≥ 1.

    Scores that are all the same, one score for instance, are their own quantile. Raises ScoreError
    for no scores or one that isn't finite.
    """
    scores = _finite(train_scores)
    low, spread = float(scores.min()), float(scores.max() / 2 - scores.min() / 2) * 2
    if not np.isfinite(spread):
        raise ScoreError(f"training scores from {low} to {scores.max()} are too far apart to fit")
    unit = (scores - low) / spread if spread > 0 else np.zeros_like(scores)
    margin = float(unit.std())
    if not margin > 0:
        return GammaFit(0.0, 0.0, -low)
    shape = _shape(unit + margin)
    return GammaFit(shape, spread * float((unit + margin).mean()) / shape, spread * margin - low)


def _finite(train_scores: ArrayLike) -> NDArray[np.float64]:
    scores = np.asarray(train_scores, dtype=np.float64)
    if scores.ndim != 1 or not scores.size or not np.isfinite(scores).all():
        raise ScoreError("a threshold needs the finite scores of at least one training clip")
    return scores


def _shape(positive: NDArray[np.float64]) -> float:
    """The gamma's shape k from log k − ψ(k) = log(mean) − mean(log), by Newton's method on 1/k."""
    from scipy.special import digamma, polygamma

    gap = float(np.log(positive.mean()) - np.log(positive).mean())
    shape = (3 - gap + ((gap - 3) ** 2 + 24 * gap) ** 0.5) / (12 * gap)
    for _ in range(20):
        slope = shape**2 * (1 / shape - float(polygamma(1, shape)))
        shape = 1 / (1 / shape + (np.log(shape) - float(digamma(shape)) - gap) / slope)
    return float(shape)


def gamma_threshold(train_scores: ArrayLike, quantile: float = QUANTILE) -> float:
    """The `quantile` of the gamma fitted to these scores, in the scores' own unit.

    train_scores: (n,). Always finite; `fit_gamma` says which shift was taken. ScoreError as there.
    """
    return fit_gamma(train_scores).quantile(quantile)


def empirical_threshold(train_scores: ArrayLike, quantile: float = QUANTILE) -> float:
    """The `quantile` of these scores as they are, linear between two of them (Hyndman and Fan's type 7).

    train_scores: (n,). No distribution is assumed; it can't lie above the highest score. ScoreError for
    no scores, one that isn't finite, or a quantile outside of (0, 1).
    """
    scores = _finite(train_scores)
    if not 0 < quantile < 1:
        raise ScoreError(f"a quantile lies between 0 and 1, got {quantile}")
    return float(np.quantile(scores, quantile))


METHODS: Mapping[Method, Callable[[ArrayLike, float], float]] = MappingProxyType(
    {"gamma": gamma_threshold, "empirical": empirical_threshold}
)


def section_thresholds(
    table: ScoreTable, quantile: float = QUANTILE, method: Method = "gamma"
) -> dict[str, float]:
    """The threshold of each of the table's sections, from the section's training clips of all domains.

    Raises ScoreError where a section has test clips and no training clips.
    """
    train, thresholds = table.train(), {}
    for section in sorted({str(section) for section in table.section}):
        scores = train.score[train.section == section]
        if not len(scores):
            raise ScoreError(
                f"{table.machine}, section {section}: test clips but no training clips, so no threshold "
                "can be fitted; add the section's training recordings"
            )
        thresholds[section] = METHODS[method](scores, quantile)
    return thresholds
