import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from oddsound.errors import ScoreError
from oddsound.scoring.anomaly import anomaly_score, score_from_probabilities, softmax

quick = settings(deadline=None, max_examples=40)
logits = arrays(np.float64, (3, 2, 4), elements=st.floats(-80, 80))
targets = arrays(np.int64, 3, elements=st.integers(0, 3))


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
        ([[[1.0, 2.0]]], [0.0], "class indices"),
        ([[[1.0, np.nan]]], [0], "clip 0 are not finite"),
        (np.zeros((1, 0, 2)), [0], "expected"),
    ],
)
def test_bad_input_is_named(values: object, target: object, message: str) -> None:
    for score in (anomaly_score, score_from_probabilities):
        with pytest.raises(ScoreError, match=message):
            score(values, target)


def test_negative_probabilities_are_refused() -> None:
    with pytest.raises(ScoreError, match="below 0"):
        score_from_probabilities([[[-0.5, 1.5]]], [0])
