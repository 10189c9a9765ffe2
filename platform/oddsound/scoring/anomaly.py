"""eq. 3: how far a clip is from the section that it claims to come from.

    A(x) = (1/P) Σ_i log((1 − ŷ_i) / ŷ_i)

with ŷ_i the softmax probability of the clip's own section in segment i of P (§2.2). 1 − ŷ is never
computed: ŷ comes within an ulp of 1 for every clip that the network is sure of, and all of those
would tie. The other sections' probabilities sum to the same number without cancelling.

Where the classes are combinations of attributes, which one a test clip belongs to isn't known. It then
has several candidates, and its score is the least A over them: that of the class that it fits best.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from oddsound.errors import ScoreError

Float = NDArray[np.float64]
_TINY = np.finfo(np.float64).tiny
_EPSILON = np.finfo(np.float64).eps


def softmax(logits: ArrayLike) -> Float:
    """Softmax over the last axis, in float64 whatever comes in. logits: (..., classes)."""
    values = np.asarray(logits, dtype=np.float64)
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), dtype=np.float64)


def anomaly_score(logits: ArrayLike, candidates: ArrayLike) -> Float:
    """eq. 3 from logits z: A = logsumexp_{j≠y} z_j − z_y, averaged over the segments.

    logits: (n, segments, classes); candidates: (n,) class index y of each clip, or (n, classes) bool,
    the classes that a clip may belong to: then the least A over them. Returns (n,) float64, larger is
    more anomalous. Raises ScoreError for fewer than two classes, an index that is none of them, a clip
    without a candidate, or a logit that isn't finite.
    """
    array, allowed = _checked(logits, candidates, "logits")
    return _best_fit(array, allowed, lambda own, others: np.logaddexp.reduce(others, axis=2) - own)


def score_from_probabilities(probabilities: ArrayLike, candidates: ArrayLike) -> Float:
    """eq. 3 from softmax probabilities: log Σ_{j≠y} p_j − log p_y, averaged over the segments.

    Shapes and errors as in `anomaly_score`. A probability that underflowed to 0 is taken as the
    smallest normal float64 (2.2e-308), so that a segment's score stays within ±708.4; `anomaly_score`
    has no such bound, and is the one to use where there are logits.
    """
    array, allowed = _checked_probabilities(probabilities, candidates)
    return _best_fit(
        array,
        allowed,
        lambda own, others: np.log(np.maximum(others.sum(axis=2), _TINY)) - np.log(np.maximum(own, _TINY)),
    )


def baseline_code_score(probabilities: ArrayLike, candidates: ArrayLike) -> Float:
    """What the official MobileNetV2 baseline's code computes in eq. 3's place, a parenthesis misplaced:

        (1/P) Σ_i log(max((1 − p_i) − log(max(p_i, ε)), ε))      ε = 2.2e-16, float64's epsilon

    Within a segment it orders clips as eq. 3 does, but for ties at both ends: it lies between −36.04 and
    3.61. Shapes, candidates and errors as in `anomaly_score`.
    """
    array, allowed = _checked_probabilities(probabilities, candidates)
    return _best_fit(
        array,
        allowed,
        lambda own, _: np.log(np.maximum((1.0 - own) - np.log(np.maximum(own, _EPSILON)), _EPSILON)),
    )


def _best_fit(array: Float, allowed: NDArray[np.bool_], score: Callable[[Float, Float], Float]) -> Float:
    """(n,) least mean over segments of `score` over each clip's allowed classes.

    `score` is given the values of one class (clips, segments) and of the others (clips, segments,
    classes − 1). Both are contiguous, lest a clip's rounding depend on how many others there are.
    """
    n, _, n_classes = array.shape
    best = np.full(n, np.inf)
    for own in range(n_classes):
        rows = np.flatnonzero(allowed[:, own])
        rivals = (own + np.arange(1, n_classes)) % n_classes
        values = array[rows]
        segments = score(np.take(values, own, axis=2), np.take(values, rivals, axis=2))
        best[rows] = np.minimum(best[rows], segments.mean(axis=1))
    return best


def _checked_probabilities(
    probabilities: ArrayLike, candidates: ArrayLike
) -> tuple[Float, NDArray[np.bool_]]:
    array, allowed = _checked(probabilities, candidates, "probabilities")
    if (array < 0).any():
        raise ScoreError("probabilities below 0; pass softmax's output, or logits to anomaly_score")
    return array, allowed


def _checked(values: ArrayLike, candidates: ArrayLike, what: str) -> tuple[Float, NDArray[np.bool_]]:
    """The values in float64 and which classes each clip may belong to, (n, classes)."""
    array, given = np.asarray(values, dtype=np.float64), np.asarray(candidates)
    expected = (array.shape[:1], array.shape[::2])
    if array.ndim != 3 or given.shape not in expected or 0 in array.shape[1:]:
        raise ScoreError(
            f"{what} of shape {array.shape} for candidates of shape {given.shape}; expected "
            "(clips, segments, classes) and class indices (clips,) or a bool mask (clips, classes)"
        )
    if array.shape[2] < 2:
        raise ScoreError(
            "eq. 3 compares a section with the others, and there is one class; "
            "train on the recordings of at least two sections"
        )
    allowed = _mask(given, array.shape[2])
    if not np.isfinite(array).all():
        clip = int(np.flatnonzero(~np.isfinite(array).all(axis=(1, 2)))[0])
        raise ScoreError(f"{what} of clip {clip} are not finite; the network has diverged")
    return array, allowed


def _mask(given: NDArray[Any], n_classes: int) -> NDArray[np.bool_]:
    """(n, classes) from class indices (n,) or from itself."""
    if given.ndim == 1:
        if given.size and not (given.dtype.kind in "iu" and given.min() >= 0 and given.max() < n_classes):
            raise ScoreError(f"candidates must be class indices from 0 to {n_classes - 1}, or a bool mask")
        return np.asarray(given[:, None] == np.arange(n_classes), dtype=np.bool_)
    if given.dtype != np.bool_:
        raise ScoreError(f"candidates of shape (clips, classes) must be bool, got {given.dtype}")
    if not given.any(axis=1).all():
        clip = int(np.flatnonzero(~given.any(axis=1))[0])
        raise ScoreError(f"clip {clip} has no candidate class; allow every class where none is known")
    return given
