"""The fusions that learn from labels, on members that are made so that what they should do is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import optuna
import pytest
from tests.unit.scoring.tables import score_table

from oddsound.ensemble.fusions import FUSIONS, fit, fuse
from oddsound.ensemble.fusions._weights import Weights
from oddsound.ensemble.fusions.diverse import MAX_CORRELATION, Diverse, standard_ranks
from oddsound.ensemble.fusions.greedy import ROUNDS
from oddsound.ensemble.fusions.weighted import halves
from oddsound.scoring.omega import cells, omega
from oddsound.scoring.table import ScoreTable


def omega_of(table: ScoreTable) -> float:
    return omega(cells(table))


def noisy(table: ScoreTable, noise: float, seed: int) -> ScoreTable:
    rng = np.random.default_rng(seed)
    return replace(table, score=table.score + noise * rng.normal(size=len(table)))


def halved() -> tuple[ScoreTable, ScoreTable]:
    """Two members that each hear one section's anomalies alone: only both hear all."""
    base = score_table(seed=0, n=10, skill=0)
    heard = [
        replace(base, score=base.score + 9 * ((base.section == own) & (base.label == 1)))
        for own in ("00", "01")
    ]
    return heard[0], heard[1]


def test_greedy_joins_those_that_complete_each_other() -> None:
    a, b = halved()
    useless = [score_table(seed=seed, n=10, skill=0) for seed in (5, 6)]
    tables = [useless[0], a, useless[1], b]
    fitted = fit("greedy", tables)
    assert set(fitted.used) >= {1, 3}
    assert omega_of(fitted.apply(tables)) > max(omega_of(t) for t in tables) + 0.05


def test_greedy_takes_the_perfect_one_alone() -> None:
    perfect = score_table(seed=0, n=10)
    perfect = replace(perfect, score=perfect.score + 100 * (perfect.label == 1))
    tables = [score_table(seed=1, n=10), perfect, score_table(seed=2, n=10)]
    fitted = fit("greedy", tables)
    assert fitted.used == (1,)
    assert fitted.apply(tables) is perfect


@pytest.mark.parametrize("k", [1, 2, 3])
def test_greedy_takes_k_at_most_and_draws_some_again(k: int) -> None:
    tables = [score_table(seed=seed, n=10, skill=1) for seed in range(12)]
    fitted = fit("greedy", tables, k)
    assert len(fitted.used) == len(set(fitted.used)) <= k
    if isinstance(state := fitted.state, Weights):
        draws = [
            n for n in range(1, ROUNDS + 1) if all(abs(w * n - round(w * n)) < 1e-9 for w in state.weights)
        ]
        assert draws, "weights are counts of draws"
    assert omega_of(fitted.apply(tables)) >= max(map(omega_of, tables)) - 1e-12


def test_greedy_ties_go_to_the_first() -> None:
    table = score_table(seed=3, n=8)
    other = score_table(seed=4, n=8, skill=0)
    assert fit("greedy", [other, table, table, table], 1).used == (1,)


def test_greedy_wins_more_with_more_members() -> None:
    tables = [score_table(seed=seed, n=10, skill=1) for seed in range(12)]
    found = [omega_of(fuse("greedy", tables, k)) for k in (1, 3, 5)]
    assert found[0] < found[1] <= found[2] and found[0] == max(map(omega_of, tables))


def test_weights_follow_who_hears() -> None:
    good, useless = score_table(seed=0, n=20, skill=3), score_table(seed=1, n=20, skill=0)
    state = fit("weighted", [useless, good, useless]).state
    assert isinstance(state, Weights)
    assert sum(state.weights) == pytest.approx(1) and state.weights[1] > 0.6


def test_weights_are_the_same_again_and_optuna_stays_as_it_was() -> None:
    tables = [score_table(seed=seed, n=6) for seed in range(3)]
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    assert fit("weighted", tables) == fit("weighted", tables)
    assert optuna.logging.get_verbosity() == optuna.logging.WARNING


def test_optuna_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    fit("weighted", [score_table(seed=seed, n=6) for seed in range(3)])
    assert capfd.readouterr() == ("", "")


def test_halves_are_alike_and_apart() -> None:
    table = score_table(n=5)
    rows = np.flatnonzero(table.split == "test")
    one, other = halves(table, rows)
    assert sorted([*one, *other]) == rows.tolist()
    for section in ("00", "01"):
        for domain in ("source", "target"):
            for label in (0, 1):
                of = (table.section == section) & (table.domain == domain) & (table.label == label)
                assert {int(of[one].sum()), int(of[other].sum())} == {2, 3}
    assert abs(len(one) - len(other)) <= 1


def test_a_lone_clip_of_its_kind_is_in_both_halves() -> None:
    table = score_table(n=1)
    rows = np.flatnonzero(table.split == "test")
    one, other = halves(table, rows)
    assert sorted(one) == sorted(other) == rows.tolist()
    assert fuse("weighted", [table, score_table(seed=1, n=1)]).score.shape == (len(table),)


def test_diverse_leaves_out_the_copy() -> None:
    best = score_table(seed=0, n=20, skill=2)
    copy, other = noisy(best, 0.01, 9), score_table(seed=1, n=20, skill=1)
    fitted = fit("diverse", [best, copy, other], 2)
    assert set(fitted.used) in ({0, 2}, {1, 2})
    assert fit("diverse", [best, copy], 2).n_tables == 2 and len(fit("diverse", [best, copy], 2).used) == 1


def test_diverse_takes_the_best_first_whatever_their_order() -> None:
    tables = [score_table(seed=seed, n=20, skill=seed) for seed in (0, 3, 1, 2)]
    assert fit("diverse", tables, 3).used == (1, 3, 2)


@pytest.mark.parametrize("seed", range(4))
def test_diverse_never_holds_a_pair_above_its_bound(seed: int) -> None:
    bases = [score_table(seed=10 * seed + i, n=8, skill=2) for i in range(3)]
    tables = [noisy(base, noise, i) for base in bases for i, noise in enumerate((0.05, 0.2, 0.4, 0.8))]
    used = fit("diverse", tables, 8).used
    correlation = standard_ranks(tables) @ standard_ranks(tables).T
    for i in used:
        assert all(correlation[i, j] <= MAX_CORRELATION for j in used if j != i)
    left_out = set(range(len(tables))) - set(used)
    assert len(used) == 8 or all((correlation[i, list(used)] > MAX_CORRELATION).any() for i in left_out)


def test_correlation_is_spearmans_within_sections() -> None:
    from scipy.stats import spearmanr

    tables = [score_table(seed=seed, n=7) for seed in (0, 1)]
    tables[0] = replace(tables[0], score=tables[0].score + 50 * (tables[0].section == "01"))
    expected = np.mean(
        [
            spearmanr(*(t.score[(t.split == "test") & (t.section == section)] for t in tables)).statistic
            for section in ("00", "01")
        ]
    )
    ranks = standard_ranks(tables)
    np.testing.assert_allclose(ranks @ ranks.T, [[1, expected], [expected, 1]])


def test_those_that_choose_say_so() -> None:
    assert isinstance(FUSIONS["diverse"], Diverse) and Diverse.chooses and not FUSIONS["weighted"].chooses
