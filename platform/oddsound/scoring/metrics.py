"""AUC and pAUC of one section and domain (eq. 6), from labels (0 normal, 1 anomaly) and scores.

Both definitions of pAUC are here. `official` is what the challenge's evaluator computes: the area
under the ROC up to a false positive rate of p = 0.1, standardised after McClish so that chance is
0.5. `eq6` is the formula as the paper prints it,

    pAUC = 1 / (⌊pN⁻⌋ N⁺) · Σ_{i ≤ ⌊pN⁻⌋} Σ_j H(A(x_j⁺) − A(x_i⁻)),

over the ⌊pN⁻⌋ highest-scoring normal clips; H(x) is 1 for x > 0 and else 0, as the challenge defines
it, so a tie counts nothing here and half in the AUC. Where pN⁻ is whole and no normal clip ties with
an anomalous one, with x of eq. 6: official = 0.5 · (1 + (p·x − p²/2) / (p − p²/2)). Chance is p/2 in
eq. 6, so the paper's Table 1, whose pAUC of the baselines is about 0.5, can't have been made by it.
"""

from __future__ import annotations

from math import floor
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from oddsound.errors import ScoreError

Definition = Literal["official", "eq6"]
MAX_FPR = 0.1


def auc(label: ArrayLike, score: ArrayLike) -> float:
    """The area under the ROC, 0 to 1; ties between the classes count half.

    label: (n,) 0 or 1; score: (n,). Raises ScoreError where a score isn't finite or a class is missing.
    """
    from sklearn.metrics import roc_auc_score

    labels, ranks = _labels_and_ranks(label, score)
    return float(roc_auc_score(labels, ranks))


def pauc(
    label: ArrayLike, score: ArrayLike, definition: Definition = "official", max_fpr: float = MAX_FPR
) -> float:
    """The partial AUC up to a false positive rate of `max_fpr`, after `official` or `eq6` (see above).

    Arguments and errors as in `auc`; also a ScoreError where `eq6` has ⌊pN⁻⌋ = 0 normal clips left.
    """
    from sklearn.metrics import roc_auc_score

    if definition not in get_args(Definition):
        raise ScoreError(f"pAUC definition {definition!r}; known are {', '.join(get_args(Definition))}")
    labels, ranks = _labels_and_ranks(label, score)
    if definition == "eq6":
        return _pauc_eq6(labels, ranks, max_fpr)
    return float(roc_auc_score(labels, ranks, max_fpr=max_fpr))


def _pauc_eq6(labels: NDArray[Any], ranks: NDArray[Any], max_fpr: float) -> float:
    normal, anomaly = np.sort(ranks[labels == 0]), ranks[labels == 1]
    # The nudge keeps a whole pN⁻ whole: 0.29 · 100 is 28.999999999999996 in float64.
    n_highest = floor(max_fpr * len(normal) + 1e-9)
    if n_highest == 0:
        raise ScoreError(
            f"eq. 6 needs at least {1 / max_fpr:.0f} normal clips, got {len(normal)}; use official"
        )
    return float((anomaly[:, None] > normal[None, -n_highest:]).mean())


def _labels_and_ranks(label: ArrayLike, score: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    """Labels and dense ranks: the ROC knows order alone, and ranks can't overflow when subtracted."""
    labels, scores = np.asarray(label), np.asarray(score, dtype=np.float64)
    if labels.ndim != 1 or labels.shape != scores.shape:
        raise ScoreError(f"{labels.shape} labels for {scores.shape} scores; expected (n,) and (n,)")
    if not np.isfinite(scores).all():
        raise ScoreError(f"the score of clip {int(np.flatnonzero(~np.isfinite(scores))[0])} is not finite")
    if not np.isin(labels, (0, 1)).all():
        raise ScoreError("labels must be 0 (normal) or 1 (anomaly)")
    for value, name in ((0, "normal"), (1, "anomalous")):
        if not (labels == value).any():
            raise ScoreError(f"no {name} clip among {len(labels)}; AUC needs both classes")
    return labels, np.unique(scores, return_inverse=True)[1]
