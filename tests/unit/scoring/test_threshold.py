import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.scoring.tables import score_table

from oddsound.errors import ScoreError
from oddsound.scoring.threshold import (
    empirical_threshold,
    fit_gamma,
    gamma_threshold,
    section_thresholds,
)

quick = settings(deadline=None, max_examples=40)


@pytest.mark.parametrize("shape", [1, 3, 9])
@pytest.mark.parametrize("offset", [0.0, -40.0])
def test_a_tenth_of_gamma_scores_lies_above(shape: float, offset: float) -> None:
    scores = np.random.default_rng(0).gamma(shape, size=4000) + offset
    assert (scores > gamma_threshold(scores)).mean() == pytest.approx(0.1, abs=0.02)


@quick
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), st.floats(0.01, 0.99))
def test_finite_whatever_the_scores(scores: list[float], quantile: float) -> None:
    threshold = gamma_threshold(scores, quantile)
    assert np.isfinite(threshold)
    assert threshold >= min(scores) - np.ptp(scores)


@pytest.mark.parametrize("scores", [[-3.5], [2.0] * 100, [1e-300] * 2, [0.0, 5e-324], [1e16, 1e16 + 2]])
def test_few_or_constant_scores(scores: list[float]) -> None:
    assert np.isfinite(gamma_threshold(scores))
    if len(set(scores)) == 1:
        assert gamma_threshold(scores) == scores[0]


def test_it_moves_and_scales_with_the_scores() -> None:
    scores = np.random.default_rng(1).normal(size=200)
    assert gamma_threshold(scores * 3 - 50) == pytest.approx(gamma_threshold(scores) * 3 - 50)


def test_agrees_with_scipy_at_the_same_location() -> None:
    from scipy.stats import gamma

    scores = np.random.default_rng(2).normal(-8, 2, size=300)
    fit = fit_gamma(scores)
    assert fit.shift == pytest.approx(scores.std() - scores.min())
    shape, loc, scale = gamma.fit(scores, floc=-fit.shift)
    assert fit.quantile(0.9) == pytest.approx(gamma.ppf(0.9, shape, loc, scale), rel=1e-6)


@pytest.mark.parametrize("scores", [[], [1.0, np.nan], [np.inf], [[1.0]], [-1.7e308, 1.7e308]])
def test_no_threshold_from_nothing(scores: list[float]) -> None:
    with pytest.raises(ScoreError):
        fit_gamma(scores)


def test_a_quantile_is_inside_the_unit_interval() -> None:
    with pytest.raises(ScoreError, match="between 0 and 1"):
        gamma_threshold([1.0, 2.0], 1.0)


def test_each_section_has_its_own_threshold() -> None:
    table = score_table()
    thresholds = section_thresholds(table)
    assert list(thresholds) == ["00", "01"]
    rows = (table.split == "train") & (table.section == "01")
    assert thresholds["01"] == gamma_threshold(table.score[rows])


def test_a_section_without_training_clips_is_named() -> None:
    table = score_table()
    with pytest.raises(ScoreError, match="fan, section 01: test clips but no training clips"):
        section_thresholds(table.where(~((table.split == "train") & (table.section == "01"))))


def test_the_empirical_threshold_is_the_quantile_of_the_scores_themselves() -> None:
    assert empirical_threshold([4.0, -1.0, 0.0, 1.0, 2.0], 0.75) == 2.0
    assert empirical_threshold([0.0, 1.0], 0.9) == pytest.approx(0.9)
    skewed = np.random.default_rng(3).exponential(size=999) - 50
    assert (skewed > empirical_threshold(skewed)).mean() == pytest.approx(0.1, abs=0.002)
    for wrong in ([], [np.nan]):
        with pytest.raises(ScoreError, match="at least one training clip"):
            empirical_threshold(wrong)
    with pytest.raises(ScoreError, match="between 0 and 1"):
        empirical_threshold([1.0], 0.0)


def test_each_section_by_either_method() -> None:
    table = score_table(n=40)
    train = table.train()
    found = section_thresholds(table, method="empirical")
    for section in ("00", "01"):
        assert found[section] == np.quantile(train.score[train.section == section], 0.9)
    assert found != section_thresholds(table)
