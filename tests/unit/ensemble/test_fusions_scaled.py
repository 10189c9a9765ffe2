"""Rank and z-score fusions on scores with answers found by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from oddsound.ensemble.fusions import fit, fuse
from oddsound.errors import ScoreError
from oddsound.scoring.table import ScoreTable

N_TRAIN = 3


def table(section: str, *scores: float) -> ScoreTable:
    """Three training clips and then test clips of one section or, by turns, of several: "00 01"."""
    n = len(scores)
    sections = section.split()
    of = np.array([sections[i % len(sections)] for i in range(n)])
    split = np.array(["train" if i < N_TRAIN * len(sections) else "test" for i in range(n)])
    label = np.where(split == "train", 0, -1).astype(np.int8)
    file = np.array([f"{i:04d}.wav" for i in range(n)])
    domain = np.full(n, "source")
    return ScoreTable("fan", (), file, of, domain, split, label, np.array(scores, float), np.zeros((n, 1, 0)))


def fused(name: str, *tables: ScoreTable) -> NDArray[np.float64]:
    return fuse(name, tables).score


def test_z_scores_by_hand() -> None:
    # Means 2 and 20, deviations √(2/3) and √(200/3) = 10 √(2/3).
    a, b = table("00", 1, 2, 3, 2, 5), table("00", 10, 20, 30, 40, 20)
    unit = (2 / 3) ** 0.5
    np.testing.assert_allclose(fused("mean_zscore", a, b)[3:], [1 / unit, 1.5 / unit])
    np.testing.assert_allclose(fused("max_zscore", a, b)[3:], [2 / unit, 3 / unit])


def test_each_section_has_its_own_scale() -> None:
    # Section 00: 1, 2, 3 and test 4; section 01: 100 times that.
    a = table("00 01", 1, 100, 2, 200, 3, 300, 4, 400)
    z = fused("mean_zscore", a, a)
    assert z[6] == pytest.approx(z[7]) == pytest.approx(2 / (2 / 3) ** 0.5)


def test_a_section_without_spread_takes_the_members_other_ones() -> None:
    # Deviation 0 in section 00; √6 in 01 and so for 00 too.
    a = table("00 01", 5, 1, 5, 4, 5, 7, 9, 4)
    assert fused("mean_zscore", a, a)[6] == pytest.approx(4 / 6**0.5)


def test_a_member_without_any_spread_is_only_shifted() -> None:
    a = table("00", 0.1, 0.1, 0.1, 0.6, 0.1)
    np.testing.assert_allclose(fused("mean_zscore", a, a), [0, 0, 0, 0.5, 0], atol=1e-12)


def test_a_deviation_that_is_rounding_alone_is_none() -> None:
    a = table("00", 0.3, 0.1 + 0.2, 0.3, 1.3)
    assert fused("mean_zscore", a, a)[3] == pytest.approx(1)


def test_mean_rank_by_hand() -> None:
    # Of five clips: 1 has none below and itself, rank (0 + 1) / 2 of 5; the two 2s (1 + 3) / 2 of 5 each.
    a, b = table("00", 1, 2, 3, 2, 9), table("00", 9, 8, 7, 6, 5)
    ranks_a, ranks_b = np.array([0.1, 0.4, 0.7, 0.4, 0.9]), np.array([0.9, 0.7, 0.5, 0.3, 0.1])
    np.testing.assert_allclose(fused("mean_rank", a, b), (ranks_a + ranks_b) / 2)


def test_ranks_are_taken_within_the_section() -> None:
    a = table("00 01", 1, 100, 2, 200, 3, 300, 4, 400)
    np.testing.assert_allclose(fused("mean_rank", a, a)[6:], 0.875)


def test_clips_that_came_later_are_ranked_among_those_fitted() -> None:
    fitted = fit("mean_rank", [table("00", 1, 2, 3, 4), table("00", 1, 2, 3, 4)])
    later = table("00", 0, 5, 2.5, 2)
    np.testing.assert_allclose(fitted.apply([later, later]).score, [0, 1, 0.5, 0.375])


@pytest.mark.parametrize("size", [1e-6, 1, 1e6])
def test_a_clip_scored_again_ranks_with_itself(size: float) -> None:
    first = table("00", *(size * score for score in (-1.5, -1e-9, 0.25, 1, 1.001, 9e4)))
    fitted = fit("mean_rank", [first, first])
    for rounding in (-1e-6, 1e-6):
        again = replace(first, score=first.score * (1 + rounding) + size * rounding)
        ranks = fitted.apply([again, first]).score
        np.testing.assert_array_equal(ranks, fitted.apply([first, first]).score)


def test_it_looks_at_the_other_test_clips() -> None:
    one, other = table("00", 1, 2, 3, 2.5, 9), table("00", 1, 2, 3, 2.5, 0)
    assert fused("mean_rank", one, one)[3] != fused("mean_rank", other, other)[3]
    assert fused("mean_zscore", one, one)[3] == fused("mean_zscore", other, other)[3]


@pytest.mark.parametrize("name", ["mean_zscore", "max_zscore"])
def test_no_training_clips_no_scale(name: str) -> None:
    a = table("00 01", 1, 100, 2, 200, 3, 300, 4, 400)
    lacking = a.where((a.section == "00") | (a.split == "test"))
    with pytest.raises(ScoreError, match="fan, section 01: no training clips, so no mean and deviation"):
        fuse(name, [lacking, lacking])


@pytest.mark.parametrize("name", ["mean_zscore", "max_zscore", "mean_rank"])
def test_a_section_that_it_was_not_fitted_to(name: str) -> None:
    a, b = table("00", 1, 2, 3, 4), table("07", 1, 2, 3, 4)
    with pytest.raises(ScoreError, match=r"fan: section 07 has no .* fitted to 00"):
        fit(name, [a, a]).apply([b, b])
