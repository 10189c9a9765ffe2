import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from oddsound.errors import ScoreError
from oddsound.scoring.metrics import Definition, auc, pauc

quick = settings(deadline=None, max_examples=40)
Clips = tuple[np.ndarray, np.ndarray]


@st.composite
def clips(draw: st.DrawFn, distinct: bool = False, tens: bool = False) -> Clips:
    """Labels and scores with both classes; few values, so ties are common, unless `distinct`."""
    n_normal = 10 * draw(st.integers(1, 4)) if tens else draw(st.integers(10, 40))
    n_anomaly = draw(st.integers(1, 20))
    n = n_normal + n_anomaly
    labels = np.array(draw(st.permutations([0] * n_normal + [1] * n_anomaly)))
    if distinct:
        return labels, np.array(draw(st.permutations(range(n))), dtype=float)
    return labels, np.array(draw(st.lists(st.integers(-5, 5), min_size=n, max_size=n)), dtype=float)


@quick
@given(clips())
def test_equals_sklearn_with_ties(of: Clips) -> None:
    assert auc(*of) == pytest.approx(roc_auc_score(*of), abs=1e-12)
    assert pauc(*of) == pytest.approx(roc_auc_score(*of, max_fpr=0.1), abs=1e-12)


@quick
@given(clips())
def test_auc_is_the_share_of_pairs_in_order(of: Clips) -> None:
    label, score = of
    gap = score[label == 1][:, None] - score[label == 0][None, :]
    assert auc(label, score) == pytest.approx(((gap > 0) + 0.5 * (gap == 0)).mean(), abs=1e-12)


@quick
@given(clips(), st.randoms(use_true_random=False))
def test_order_of_clips_does_not_matter(of: Clips, random: object) -> None:
    label, score = of
    order = list(range(len(label)))
    random.shuffle(order)  # type: ignore[attr-defined]
    for metric in (auc, pauc, lambda a, b: pauc(a, b, "eq6")):
        assert metric(label, score) == pytest.approx(metric(label[order], score[order]), abs=1e-12)


@quick
@given(clips())
def test_a_monotone_map_changes_nothing(of: Clips) -> None:
    label, score = of
    for definition in ("official", "eq6"):
        assert pauc(label, np.exp(score) * 1e300, definition) == pauc(label, score, definition)
    assert auc(label, score * 1e-300 - 1e-290) <= 1
    assert auc(label, score**3 - 7) == auc(label, score)
    assert auc(label, -score) == pytest.approx(1 - auc(label, score), abs=1e-12)


@quick
@given(clips(distinct=True, tens=True))
def test_official_is_the_standardised_eq6_where_pn_is_whole(of: Clips) -> None:
    x = pauc(*of, "eq6")
    assert pauc(*of) == pytest.approx(0.5 * (1 + (0.1 * x - 0.005) / 0.095), abs=1e-12)


def test_eq6_by_hand_on_20_normals() -> None:
    # ⌊0.1·20⌋ = 2 highest normals, 18 and 19; anomalies 18.5, 19, 30: 1 + 1 + 2 of 6 pairs (a tie is 0).
    label, score = np.array([0] * 20 + [1] * 3), np.array([*range(20), 18.5, 19.0, 30.0])
    assert pauc(label, score, "eq6") == pytest.approx(4 / 6)


@pytest.mark.parametrize("definition", ["official", "eq6"])
def test_extremes(definition: Definition) -> None:
    label = np.array([0] * 10 + [1] * 10)
    assert pauc(label, label, definition) == 1
    assert auc(label, label) == 1
    assert pauc(label, np.zeros(20), definition) == (0.5 if definition == "official" else 0)
    assert auc(label, -label) == 0


def test_scores_at_the_ends_of_float64_do_not_overflow() -> None:
    assert auc([0, 1, 0, 1], [-1.7e308, 1.7e308, -1e-308, 1e-308]) == 1


@pytest.mark.parametrize(
    ("label", "score", "message"),
    [
        ([0, 0, 1], [1, np.nan, 2], "clip 1 is not finite"),
        ([0, 0, 1], [1, 2, np.inf], "clip 2 is not finite"),
        ([0, 0], [1, 2], "no anomalous clip among 2"),
        ([1, 1], [1, 2], "no normal clip"),
        ([], [], "no normal clip"),
        ([0, 1], [1], "expected"),
        ([0, 2], [1, 2], "0 \\(normal\\) or 1"),
    ],
)
def test_no_number_is_invented(label: list[int], score: list[float], message: str) -> None:
    for metric in (auc, pauc):
        with pytest.raises(ScoreError, match=message):
            metric(label, score)


def test_eq6_needs_ten_normals_and_a_known_definition() -> None:
    with pytest.raises(ScoreError, match="at least 10 normal clips, got 2"):
        pauc([0, 0, 1], [1, 2, 3], "eq6")
    with pytest.raises(ScoreError, match="known are official, eq6"):
        pauc([0, 1], [1, 2], "other")  # type: ignore[arg-type]
