"""What holds of every fusion in the registry, and of the kinds of them, on made-up members."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.unit.scoring.tables import score_table

from oddsound.ensemble.fusions import FUSIONS, Fitted, fit, fuse
from oddsound.errors import ConfigError, ScoreError
from oddsound.scoring.omega import cells, omega
from oddsound.scoring.table import ScoreTable
from oddsound.training.sealed import as_json

LABELS = tuple(name for name, fusion in FUSIONS.items() if fusion.uses_labels)
LABEL_FREE = tuple(name for name in FUSIONS if name not in LABELS)
SYMMETRIC = ("mean", "max", "mean_softmax", "mean_rank", "mean_zscore", "max_zscore")
quick = settings(deadline=None, max_examples=30)
few = settings(deadline=None, max_examples=6)
seeds = st.lists(st.integers(0, 50), min_size=2, max_size=4, unique=True)
numbers = st.integers(0, 2**32 - 1)


def members(of: Sequence[int], segments: int = 2) -> list[ScoreTable]:
    """Of several skills, in no order of them."""
    return [score_table(seed=seed, n=4, segments=segments, skill=seed % 3) for seed in of]


def rounded(tables: Sequence[ScoreTable], digits: int = 0) -> list[ScoreTable]:
    """With many ties where there are few digits, and none that are nearly so."""
    return [replace(table, score=np.round(table.score, digits)) for table in tables]


def mapped(table: ScoreTable, rng: np.random.Generator) -> ScoreTable:
    """Its scores through a map that rises strictly, to the last bit."""
    values, of = np.unique(table.score, return_inverse=True)
    return replace(table, score=np.cumsum(rng.exponential(size=len(values)) + 0.01)[of])


def omega_of(table: ScoreTable) -> float:
    return omega(cells(table))


def permuted_the_same(name: str, tables: Sequence[ScoreTable], order: NDArray[np.intp]) -> None:
    shuffled = fuse(name, [table.where(order) for table in tables])  # type: ignore[arg-type]
    np.testing.assert_allclose(shuffled.score, fuse(name, tables).score[order], rtol=1e-12, atol=1e-12)


@quick
@given(seeds, numbers, st.booleans())
def test_permuting_the_clips_permutes_the_scores(of: list[int], seed: int, ties: bool) -> None:
    tables = rounded(members(of)) if ties else members(of)
    order = np.random.default_rng(seed).permutation(len(tables[0]))
    for name in LABEL_FREE:
        permuted_the_same(name, tables, order)


@pytest.mark.long
@few
@given(seeds, numbers, st.booleans())
def test_permuting_the_clips_permutes_what_is_learned_of_labels(of: list[int], seed: int, ties: bool) -> None:
    tables = rounded(members(of)) if ties else members(of)
    order = np.random.default_rng(seed).permutation(len(tables[0]))
    for name in LABELS:
        permuted_the_same(name, tables, order)


@pytest.mark.parametrize("n", [2, 5, 8, 13])
@pytest.mark.parametrize("name", FUSIONS)
def test_a_fused_score_is_the_same_alone_and_among_others(name: str, n: int) -> None:
    """To the last bit. numpy sums eight numbers or more in an order that depends on the array's shape."""
    tables = members(range(n))
    fitted = fit(name, tables, n)
    together = fitted.apply(tables)
    for rows in ([0], [7], [9, 3], range(len(tables[0]))[::-1]):
        own = fitted.apply([table.where(np.array(rows)) for table in tables])
        np.testing.assert_array_equal(own.score, together.score[rows])
        np.testing.assert_array_equal(own.probabilities, together.probabilities[rows])


@pytest.mark.parametrize("name", FUSIONS)
@pytest.mark.parametrize("seed", [0, 7])
def test_one_member_is_that_member(name: str, seed: int) -> None:
    (member,) = members([seed])
    assert fuse(name, [member]) is member
    fitted = fit(name, [member])
    assert fitted.used == (0,) and as_json(fitted.state.model_dump()) == b"{}"


@pytest.mark.parametrize("name", FUSIONS)
def test_a_member_twice_keeps_the_order_of_its_scores(name: str) -> None:
    (member,) = members([1], segments=1)
    fused = fuse(name, [member, member])
    for section in ("00", "01"):
        of = member.section == section
        order = np.argsort(member.score[of])
        assert (np.diff(fused.score[of][order]) >= 0).all()
    assert omega_of(fused) == pytest.approx(omega_of(member), abs=1e-12)


@quick
@given(seeds)
def test_duplicates_do_not_change_a_mean_or_a_maximum(of: list[int]) -> None:
    tables = members(of)
    for name in SYMMETRIC:
        expected = fuse(name, tables).score
        np.testing.assert_allclose(fuse(name, tables * 2).score, expected, rtol=1e-9, atol=1e-9)
    for name in ("max", "max_zscore"):
        np.testing.assert_array_equal(fuse(name, [*tables, tables[-1]]).score, fuse(name, tables).score)


@few
@given(seeds)
def test_duplicates_do_not_change_what_is_chosen(of: list[int]) -> None:
    tables = members(of)
    for name in ("greedy", "diverse"):
        once, twice = fit(name, tables, 2), fit(name, [*tables, *tables], 2)
        assert once.used == twice.used and once.state == twice.state


@quick
@given(seeds, st.randoms(use_true_random=False))
def test_the_order_of_members_does_not_matter(of: list[int], random: object) -> None:
    tables = members(of)
    shuffled = list(tables)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    for name in SYMMETRIC:
        np.testing.assert_allclose(fuse(name, shuffled).score, fuse(name, tables).score, atol=1e-9)
    assert fuse("best", tables) is tables[0]


@quick
@given(seeds)
def test_a_mean_lies_between_minimum_and_maximum(of: list[int]) -> None:
    tables = members(of)
    assert (fuse("mean_zscore", tables).score <= fuse("max_zscore", tables).score + 1e-12).all()
    mean = fuse("mean", tables).score
    assert (mean <= fuse("max", tables).score + 1e-12).all()
    assert (mean >= np.min([table.score for table in tables], axis=0) - 1e-12).all()
    ranks = fuse("mean_rank", tables).score
    assert (ranks > 0).all() and (ranks < 1).all()


@quick
@given(seeds, numbers, st.booleans())
def test_mean_rank_knows_order_alone(of: list[int], seed: int, ties: bool) -> None:
    tables, rng = rounded(members(of), 0 if ties else 3), np.random.default_rng(seed)
    other = [mapped(table, rng) for table in tables]
    np.testing.assert_array_equal(fuse("mean_rank", other).score, fuse("mean_rank", tables).score)


@quick
@given(seeds, st.lists(st.tuples(st.floats(0.01, 100), st.floats(-100, 100)), min_size=4, max_size=4))
def test_z_scores_know_no_unit_and_no_zero(of: list[int], maps: list[tuple[float, float]]) -> None:
    tables = members(of)
    pairs = zip(tables, maps, strict=False)
    other = [replace(table, score=a * table.score + b) for table, (a, b) in pairs]
    for name in ("mean_zscore", "max_zscore"):
        np.testing.assert_allclose(fuse(name, other).score, fuse(name, tables).score, rtol=1e-6, atol=1e-6)


@quick
@given(seeds)
def test_probabilities_sum_to_one(of: list[int]) -> None:
    for name in LABEL_FREE:
        np.testing.assert_allclose(fuse(name, members(of)).probabilities.sum(axis=2), 1, atol=1e-12)


@pytest.mark.long
@few
@given(seeds)
def test_what_labels_teach(of: list[int]) -> None:
    """Greedy is no worse than any candidate; the weights are the same again; probabilities sum to one."""
    tables = members(of)
    assert omega_of(fuse("greedy", tables)) >= max(omega_of(table) for table in tables) - 1e-12
    assert fit("weighted", tables) == fit("weighted", tables)
    for name in LABELS:
        np.testing.assert_allclose(fuse(name, tables).probabilities.sum(axis=2), 1, atol=1e-12)


@pytest.mark.parametrize("name", FUSIONS)
def test_what_was_learned_survives_json(name: str) -> None:
    tables = members([1, 2, 3, 4, 5])
    fitted = fit(name, tables)
    kept = FUSIONS[name].State.model_validate_json(as_json(fitted.state.model_dump(mode="json")))
    again = Fitted(name, kept, fitted.used, fitted.n_tables).apply(tables)
    np.testing.assert_array_equal(again.score, fitted.apply(tables).score)
    alone = fitted.alone().apply([tables[i] for i in fitted.used])
    np.testing.assert_array_equal(alone.score, again.score)


@pytest.mark.parametrize("name", FUSIONS)
def test_applied_to_other_clips_it_is_row_by_row(name: str) -> None:
    """So that a clip's score is the same whichever clips are scored with it, and without their labels."""
    tables = members([1, 2, 3, 4, 5])
    fitted = fit(name, tables)
    rows = np.arange(len(tables[0])) % 7 == 3
    blind = [replace(t, label=np.full_like(t.label, -1)).where(rows) for t in tables]
    np.testing.assert_array_equal(fitted.apply(blind).score, fitted.apply(tables).score[rows])
    assert len(fitted.used) <= 5 and set(fitted.used) <= set(range(5))


@pytest.mark.parametrize("name", FUSIONS)
def test_it_takes_the_tables_that_it_was_fitted_to(name: str) -> None:
    tables = members([1, 2, 3])
    with pytest.raises(ScoreError, match=f"fusion {name} was fitted to 3 members, got 2"):
        fit(name, tables).apply(tables[:2])
    with pytest.raises(ConfigError, match=f"fusion {name} of 0 members; k is 1 at least"):
        fit(name, tables, 0)


@pytest.mark.parametrize("name", LABELS)
def test_without_labels_there_is_nothing_to_learn(name: str) -> None:
    tables = [score_table(seed=seed, sections=(), evaluation=("03", "04")) for seed in (1, 2)]
    with pytest.raises(ScoreError, match=f"fan: fusion {name} learns from labelled test clips and there are"):
        fuse(name, tables)


@pytest.mark.parametrize("name", LABEL_FREE)
def test_labels_that_are_not_used_do_not_count(name: str) -> None:
    tables = members([1, 2, 3])
    blind = [replace(t, label=np.where(t.split == "test", -1, t.label).astype(np.int8)) for t in tables]
    np.testing.assert_array_equal(fuse(name, blind).score, fuse(name, tables).score)
