"""eq. 3 against exact arithmetic, and the least of it over a clip's candidates."""

import math
from collections.abc import Callable
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from oddsound.errors import ScoreError
from oddsound.scoring.anomaly import anomaly_score, baseline_code_score, score_from_probabilities, softmax

quick = settings(deadline=None, max_examples=40)
logits = arrays(np.float64, (3, 2, 4), elements=st.floats(-80, 80))
targets = arrays(np.int64, 3, elements=st.integers(0, 3))
masks = arrays(np.bool_, (3, 4)).filter(lambda mask: bool(mask.any(axis=1).all()))
SCORES = (anomaly_score, score_from_probabilities, baseline_code_score)


def eq3(z: list[float], y: int) -> Decimal:
    """eq. 3 of one segment as it is printed, to 100 digits."""
    with localcontext() as context:
        context.prec = 100
        powers = [Decimal(value).exp() for value in z]
        p = powers[y] / sum(powers)
        return ((1 - p) / p).ln()


@pytest.mark.parametrize("z", [[80, -80], [-80, 80], [80, -80, -80], [-80, 80, 80], [80, 80, -80, 79.5]])
@pytest.mark.parametrize("y", [0, 1])
def test_eq3_is_exact_at_logits_of_80(z: list[float], y: int) -> None:
    (score,) = anomaly_score(np.array([[z]]), [y])
    exact = eq3(z, y)
    assert abs(Decimal(float(score)) - exact) <= Decimal(math.ulp(160.0))


@quick
@given(arrays(np.float64, (1, 1, 5), elements=st.floats(-80, 80)), st.integers(0, 4))
def test_eq3_is_exact_up_to_logits_of_80(z: np.ndarray, y: int) -> None:
    (score,) = anomaly_score(z, [y])
    # Each of the four additions of logarithms rounds, to half an ulp of 160 at most.
    assert abs(Decimal(float(score)) - eq3(z[0, 0].tolist(), y)) <= 2 * Decimal(math.ulp(160.0))


def test_sure_clips_keep_their_order() -> None:
    own = np.linspace(79, 80, 1001, dtype=np.float32)
    z = np.stack([own, np.full_like(own, -80), np.full_like(own, -79)], axis=1)
    in_float32 = np.exp(z - z.max(axis=1, keepdims=True))
    assert len(np.unique(in_float32[:, 0] / in_float32.sum(axis=1))) == 1, "its softmax ties all of them"
    assert (np.diff(anomaly_score(z[:, None, :], np.zeros(1001, int))) < 0).all()


def test_equal_logits_tie_exactly() -> None:
    z = np.tile([[[3.0, 1.0, 1.0]]], (4, 1, 1))
    tied = anomaly_score(z, [1, 2, 1, 2])
    np.testing.assert_array_equal(tied, tied[0])
    assert tied[0] == pytest.approx(math.log(math.exp(2) + 1), rel=1e-14)


def test_two_classes_give_the_difference_of_the_logits() -> None:
    # Known answer: with two classes eq. 3 is z_other − z_own, however far apart.
    score = anomaly_score([[[80.0, -80.0]], [[80.0, -80.0]]], np.array([0, 1]))
    np.testing.assert_array_equal(score, [-160.0, 160.0])


def test_saturated_clips_do_not_tie() -> None:
    # In float32 softmax both are exactly 1; the scores must still tell them apart.
    score = anomaly_score(np.array([[[40.0, 0.0]], [[50.0, 0.0]]], dtype=np.float32), np.array([0, 0]))
    assert score.tolist() == [-40.0, -50.0]


@quick
@given(logits, targets)
def test_logits_and_probabilities_agree(z: np.ndarray, y: np.ndarray) -> None:
    np.testing.assert_allclose(score_from_probabilities(softmax(z), y), anomaly_score(z, y), atol=1e-9)


@quick
@given(logits, targets, st.permutations(range(3)), st.permutations(range(4)))
def test_order_of_clips_and_classes_does_not_matter(
    z: np.ndarray, y: np.ndarray, clips: list[int], classes: list[int]
) -> None:
    moved = np.argsort(classes)[y]
    score = anomaly_score(z[:, :, classes], moved)
    np.testing.assert_allclose(score, anomaly_score(z, y), rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(anomaly_score(z[clips], y[clips]), anomaly_score(z, y)[clips])


@quick
@given(logits, targets)
def test_a_clip_is_the_mean_of_its_segments(z: np.ndarray, y: np.ndarray) -> None:
    by_segment = [anomaly_score(z[:, i : i + 1], y) for i in range(2)]
    np.testing.assert_allclose(anomaly_score(z, y), np.mean(by_segment, axis=0), atol=1e-12)


@pytest.mark.parametrize("segments", [1, 3, 31])
def test_segments_are_averaged_after_the_logarithm(segments: int) -> None:
    z = np.random.default_rng(segments).uniform(-80, 80, (1, segments, 3))
    exact = [eq3(row, 1) for row in z[0].tolist()]
    (score,) = anomaly_score(z, [1])
    assert float(score) == pytest.approx(float(sum(exact) / segments), abs=1e-13)


@quick
@given(logits, masks)
def test_a_mask_gives_the_least_over_the_candidates(z: np.ndarray, mask: np.ndarray) -> None:
    for score, values in zip(SCORES, (z, softmax(z), softmax(z)), strict=True):
        of_class = np.stack([score(values, np.full(3, y)) for y in range(4)], axis=1)
        expected = np.where(mask, of_class, np.inf).min(axis=1)
        np.testing.assert_array_equal(score(values, mask), expected)


@quick
@given(logits, targets)
def test_one_candidate_is_eq3_to_the_bit(z: np.ndarray, y: np.ndarray) -> None:
    for score, values in zip(SCORES, (z, softmax(z), softmax(z)), strict=True):
        np.testing.assert_array_equal(score(values, np.eye(4, dtype=bool)[y]), score(values, y))


def test_the_mean_over_segments_comes_before_the_least() -> None:
    z = np.array([[[9.0, 0.0], [0.0, 5.0]]])  # the segments fit different classes
    assert anomaly_score(z, [[True, True]]).tolist() == [-2.0]


def test_a_clip_does_not_depend_on_its_neighbours() -> None:
    rng = np.random.default_rng(0)
    z, mask = rng.normal(0, 20, (40, 31, 9)), rng.random((40, 9)) < 0.4
    mask[:, 0] = True
    for score, values in zip(SCORES, (z, softmax(z), softmax(z)), strict=True):
        alone = [score(values[i : i + 1], mask[i : i + 1])[0] for i in range(40)]
        np.testing.assert_array_equal(score(values, mask), alone)
        transposed = np.asfortranarray(values)
        np.testing.assert_array_equal(score(transposed, mask), alone)


def test_baseline_code_score_of_known_probabilities() -> None:
    p = np.array([[[0.5, 0.5]], [[1.0, 0.0]], [[0.0, 1.0]], [[0.25, 0.75]]])
    epsilon = 2.0**-52
    expected = [
        math.log(0.5 + math.log(2)),
        math.log(epsilon),  # 1 − p − log p is 0
        math.log(1 + 52 * math.log(2)),
        math.log(0.75 + math.log(4)),
    ]
    np.testing.assert_allclose(baseline_code_score(p, [0, 0, 0, 0]), expected, rtol=1e-14)
    assert expected[1:3] == pytest.approx([-36.04, 3.61], abs=0.005)
    both = np.concatenate([p[:1], p[3:]], axis=1)
    assert baseline_code_score(both, [0]) == pytest.approx((expected[0] + expected[3]) / 2)


@quick
@given(logits, targets)
def test_baseline_code_score_orders_single_segments_as_eq3(z: np.ndarray, y: np.ndarray) -> None:
    one = z[:, :1]
    order = np.argsort(anomaly_score(one, y))
    assert (np.diff(baseline_code_score(softmax(one), y)[order]) >= -1e-12).all()


@quick
@given(logits)
def test_softmax_sums_to_one(z: np.ndarray) -> None:
    np.testing.assert_allclose(softmax(z).sum(axis=-1), 1, rtol=1e-14)


def test_probability_that_underflowed_stays_finite() -> None:
    score = score_from_probabilities([[[0.0, 1.0]], [[1.0, 0.0]]], np.array([0, 0]))
    assert np.isfinite(score).all()
    np.testing.assert_allclose(score, [708.396, -708.396], atol=1e-3)


@pytest.mark.parametrize(
    ("values", "target", "message"),
    [
        ([[[1.0]]], [0], "one class"),
        ([[1.0, 2.0]], [0], "expected \\(clips, segments, classes\\)"),
        ([[[1.0, 2.0]]], [2], "class indices from 0 to 1"),
        ([[[1.0, 2.0]]], [-1], "class indices from 0 to 1"),
        ([[[1.0, 2.0]]], [0.0], "class indices"),
        ([[[1.0, 2.0]]], [True], "class indices"),
        ([[[1.0, np.nan]]], [0], "clip 0 are not finite"),
        (np.zeros((1, 0, 2)), [0], "expected"),
        ([[[1.0, 2.0]]], [[True, False, True]], "candidates of shape \\(1, 3\\); expected"),
        ([[[1.0, 2.0]]], [0, 1], "candidates of shape \\(2,\\); expected"),
        ([[[1.0, 2.0]]], [[1, 0]], "must be bool, got int64"),
        ([[[1.0, 2.0]], [[1.0, 2.0]]], [[True, False], [False, False]], "clip 1 has no candidate class"),
        ([[[1.0, np.inf]]], [[True, True]], "clip 0 are not finite"),
    ],
)
@pytest.mark.parametrize("score", SCORES)
def test_bad_input_is_named(
    values: object, target: object, message: str, score: Callable[..., np.ndarray]
) -> None:
    with pytest.raises(ScoreError, match=message):
        score(values, target)


@pytest.mark.parametrize("score", [score_from_probabilities, baseline_code_score])
def test_negative_probabilities_are_refused(score: Callable[..., np.ndarray]) -> None:
    with pytest.raises(ScoreError, match="below 0"):
        score([[[-0.5, 1.5]]], [0])


def test_no_clips_give_no_scores() -> None:
    for score in SCORES:
        assert score(np.zeros((0, 1, 2)), np.zeros(0, int)).shape == (0,)
