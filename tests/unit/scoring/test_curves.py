"""Many curves at once are scikit-learn's, one by one."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from tests.unit.scoring.tables import score_table

from oddsound.scoring.curves import harmonic_means, omegas, weighted_omegas, weighted_values
from oddsound.scoring.omega import Term, cells, omega, terms

EXACT = 1e-12
cells_of_ties = st.tuples(
    st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40), st.integers(1, 30)
)


def both(n_normal: int, n_anomaly: int) -> tuple[Term, Term]:
    normal, anomaly = np.arange(n_normal), n_normal + np.arange(n_anomaly)
    return Term("auc", "00", "source", normal, anomaly), Term("pauc", "00", "source", normal, anomaly)


def scikit_learns(label: NDArray[np.int_], score: NDArray[np.float64]) -> list[float]:
    return [roc_auc_score(label, score), roc_auc_score(label, score, max_fpr=0.1)]


@pytest.mark.long
@settings(max_examples=300)
@given(cells_of_ties)
def test_equal_to_scikit_learns_with_ties_and_repeated_clips(cell: tuple[int, int, int, int]) -> None:
    seed, n_normal, n_anomaly, n_values = cell
    random = np.random.default_rng(seed)
    score = random.integers(0, n_values, n_normal + n_anomaly) / 7 - 1
    label = np.repeat([0, 1], [n_normal, n_anomaly])
    weights = random.integers(0, 3, (3, len(score))).astype(float)
    weights[:, [0, -1]] += 1
    found = weighted_values(score, both(n_normal, n_anomaly), weights)
    for row, weight in zip(found, weights.astype(int), strict=True):
        expected = scikit_learns(np.repeat(label, weight), np.repeat(score, weight))
        assert row == pytest.approx(expected, abs=EXACT)


@pytest.mark.long
@settings(max_examples=200)
@given(cells_of_ties)
def test_score_vectors_each_sorted_on_its_own(cell: tuple[int, int, int, int]) -> None:
    seed, n_normal, n_anomaly, n_values = cell
    random = np.random.default_rng(seed)
    scores = random.integers(-n_values, n_values, (4, n_normal + n_anomaly)) / 3
    label = np.repeat([0, 1], [n_normal, n_anomaly])
    expected = [harmonic_means(np.array([scikit_learns(label, score)]))[0] for score in scores]
    assert omegas(scores, both(n_normal, n_anomaly)) == pytest.approx(expected, abs=EXACT)
    monotone = omegas(np.exp(scores / 50), both(n_normal, n_anomaly))
    assert monotone == pytest.approx(expected, abs=EXACT)


@pytest.mark.parametrize("rules", ["2021", "2022"])
def test_a_tables_omega(rules: str) -> None:
    labelled = score_table(n=25, seed=4).labelled()
    found = terms(labelled.section, labelled.domain, labelled.label, rules)  # type: ignore[arg-type]
    from dataclasses import replace

    expected = omega(cells(replace(labelled, rules=rules)))  # type: ignore[arg-type]
    assert omegas(labelled.score[None], found)[0] == pytest.approx(expected, abs=EXACT)
    ones = np.ones((1, len(labelled)))
    assert weighted_omegas(labelled.score, found, ones)[0] == pytest.approx(expected, abs=EXACT)


def test_the_floor_is_the_evaluators() -> None:
    score = np.array([2.0, 1.0])  # the anomaly scores lower: an AUC of 0
    assert omegas(score[None], both(1, 1)[:1])[0] == sys.float_info.epsilon


def test_a_class_without_weight_has_no_value() -> None:
    weights = np.array([[1.0, 1.0, 0.0, 0.0], [1.0, 0.0, 1.0, 0.0]])
    found = weighted_omegas(np.arange(4.0), both(2, 2), weights)
    assert np.isnan(found[0])
    assert found[1] == 1.0
