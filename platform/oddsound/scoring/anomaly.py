"""eq. 3: how far a clip is from the section that it claims to come from.

    A(x) = (1/P) Σ_i log((1 − ŷ_i) / ŷ_i)

with ŷ_i the softmax probability of the clip's own section in segment i of P (§2.2). 1 − ŷ is never
computed: ŷ comes within an ulp of 1 for every clip that the network is sure of, and all of those
would tie. The other sections' probabilities sum to the same number without cancelling.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from oddsound.errors import ScoreError

Float = NDArray[np.float64]
_TINY = np.finfo(np.float64).tiny


def softmax(logits: ArrayLike) -> Float:
    """Softmax over the last axis, in float64 whatever comes in. logits: (..., classes)."""
    values = np.asarray(logits, dtype=np.float64)
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), dtype=np.float64)


def anomaly_score(logits: ArrayLike, target: ArrayLike) -> Float:
    """eq. 3 from logits z: A = logsumexp_{j≠y} z_j − z_y, averaged over the segments.

    logits: (n, segments, classes); target: (n,) class index y of each clip. Returns (n,) float64,
    larger is more anomalous. Raises ScoreError for fewer than two classes, a target that is none of
    them, or a logit that isn't finite.
    """
    own, others = _split(logits, target, "logits")
    return np.asarray((np.logaddexp.reduce(others, axis=2) - own).mean(axis=1), dtype=np.float64)


def score_from_probabilities(probabilities: ArrayLike, target: ArrayLike) -> Float:
    """eq. 3 from softmax probabilities: log Σ_{j≠y} p_j − log p_y, averaged over the segments.

    Shapes and errors as in `anomaly_score`. A probability that underflowed to 0 is taken as the
    smallest normal float64 (2.2e-308), so that a segment's score stays within ±708.4; `anomaly_score`
    has no such bound, and is the one to use where there are logits.
    """
    own, others = _split(probabilities, target, "probabilities")
    if (own < 0).any() or (others < 0).any():
        raise ScoreError("probabilities below 0; pass softmax's output, or logits to anomaly_score")
    odds = np.log(np.maximum(others.sum(axis=2), _TINY)) - np.log(np.maximum(own, _TINY))
    return np.asarray(odds.mean(axis=1), dtype=np.float64)


def _split(values: ArrayLike, target: ArrayLike, what: str) -> tuple[Float, Float]:
    """The values of the own class (n, segments), and the others' (n, segments, classes − 1)."""
    array = np.asarray(values, dtype=np.float64)
    own = np.asarray(target)
    _check(array, own, what)
    n_classes = array.shape[2]
    rivals = (own[:, None] + np.arange(1, n_classes)) % n_classes
    return (
        np.take_along_axis(array, own[:, None, None], axis=2)[:, :, 0],
        np.take_along_axis(array, rivals[:, None, :], axis=2),
    )


def _check(array: Float, target: NDArray[Any], what: str) -> None:
    if array.ndim != 3 or target.shape != array.shape[:1] or 0 in array.shape[1:]:
        raise ScoreError(
            f"{what} of shape {array.shape} for targets of shape {target.shape}; "
            "expected (clips, segments, classes) and (clips,)"
        )
    n_classes = array.shape[2]
    if n_classes < 2:
        raise ScoreError(
            "eq. 3 compares a section with the others, and there is one class; "
            "train on the recordings of at least two sections"
        )
    if target.size and not (target.dtype.kind in "iu" and target.min() >= 0 and target.max() < n_classes):
        raise ScoreError(f"targets must be class indices from 0 to {n_classes - 1}")
    if not np.isfinite(array).all():
        clip = int(np.flatnonzero(~np.isfinite(array).all(axis=(1, 2)))[0])
        raise ScoreError(f"{what} of clip {clip} are not finite; the network has diverged")
