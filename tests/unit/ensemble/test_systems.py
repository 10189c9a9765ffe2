from dataclasses import replace

import numpy as np
import pytest
from tests.unit.scoring.tables import score_table

from oddsound.ensemble.fusions import FUSIONS, fuse
from oddsound.ensemble.systems import Member, all_fusions, build_systems
from oddsound.errors import ConfigError, ScoreError
from oddsound.scoring.omega import cells, omega
from oddsound.scoring.table import ScoreTable


def member(trial: str, table: ScoreTable) -> Member:
    found = omega(cells(table)) if len(table.labelled()) else 0.5
    return Member(trial, found, 100, {}, table, "0" * 64)


def alike(machine: str = "fan") -> list[Member]:
    """Members of one skill and different noise: averaging them helps."""
    return [member(f"t{seed}", score_table(machine, seed=seed, n=40, skill=1.5)) for seed in range(5)]


def unlike(machine: str = "valve") -> list[Member]:
    """One good member among useless ones: averaging them hurts."""
    good = member("good", score_table(machine, seed=0, n=40, skill=4))
    return [member(f"t{seed}", score_table(machine, seed=seed, n=40, skill=0)) for seed in (1, 2)] + [good]


def test_the_four_systems_are_the_four_fusions() -> None:
    members = alike()
    systems = build_systems({"fan": members}, fallback=False)
    ranked = sorted(members, key=lambda m: -m.omega)
    assert [(s.number, s.machines["fan"].fusion) for s in systems] == [
        (1, "best"),
        (2, "mean"),
        (3, "max"),
        (4, "mean_softmax"),
    ]
    for system in systems:
        of = system.machines["fan"]
        np.testing.assert_array_equal(of.table.score, fuse(of.fusion, [m.table for m in ranked]).score)
        assert of.omega == of.omega_raw == pytest.approx(omega(cells(of.table)), abs=1e-12)
        assert of.pinned_to_s1 == ""
        assert of.members == (tuple(ranked) if system.number > 1 else (ranked[0],))


def test_ties_go_to_the_lower_trial_hash() -> None:
    table = score_table()
    systems = build_systems({"fan": [member("b", table), member("a", table)]})
    assert systems[0].machines["fan"].members[0].trial == "a"


def test_an_ensemble_that_is_worse_falls_back_to_s1() -> None:
    systems = build_systems({"fan": alike(), "valve": unlike()})
    single = systems[0].machines["valve"]
    assert single.members[0].trial == "good"
    of = systems[1].machines["valve"]
    assert of.pinned_to_s1 == "worse"
    assert of.table is single.table and of.members == single.members
    assert of.omega_raw is not None and of.omega is not None and of.omega_raw < of.omega == single.omega
    assert systems[1].machines["fan"].pinned_to_s1 == ""
    assert list(systems[3].machines) == ["fan", "valve"]


def test_fallback_can_be_switched_off() -> None:
    of = build_systems({"valve": unlike()}, fallback=False)[1].machines["valve"]
    assert of.pinned_to_s1 == "" and of.omega == of.omega_raw


def test_pinned_by_configuration_whatever_it_scores() -> None:
    systems = build_systems({"fan": alike()}, pinned=["fan"])
    assert [s.machines["fan"].pinned_to_s1 for s in systems] == ["", *["configured"] * 3]
    assert systems[1].machines["fan"].omega_raw != systems[0].machines["fan"].omega


def test_without_labels_there_is_no_omega_and_no_fallback() -> None:
    tables = [score_table(seed=seed, sections=(), evaluation=("03", "04")) for seed in range(3)]
    systems = build_systems({"fan": [member(f"t{i}", table) for i, table in enumerate(tables)]})
    for system in systems:
        of = system.machines["fan"]
        assert (of.omega, of.omega_raw, of.pinned_to_s1) == (None, None, "")


def test_errors() -> None:
    with pytest.raises(ScoreError, match="fan: no finished trial"):
        build_systems({"fan": []})
    with pytest.raises(ScoreError, match="pump: trial t0 is of fan"):
        build_systems({"pump": alike()})
    with pytest.raises(ConfigError, match="no machine type 'Fan' here; there are fan"):
        build_systems({"fan": alike()}, pinned=["Fan"])


def many(n: int = 8, machine: str = "fan") -> list[Member]:
    return [member(f"t{seed}", score_table(machine, seed=seed, n=10, skill=1)) for seed in range(n)]


def blind(of: Member) -> Member:
    """An autoencoder's: no softmax."""
    return replace(of, table=replace(of.table, classes=(), probabilities=np.zeros((len(of.table), 1, 0))))


def test_only_the_top_k_are_fused_unless_the_fusion_chooses() -> None:
    members = many()
    ranked = sorted(members, key=lambda m: (-m.omega, m.trial))
    systems = build_systems({"fan": members}, fallback=False, top_k=3, fusions=("best", "mean", "greedy"))
    assert systems[0].machines["fan"].members == (ranked[0],)
    assert systems[1].machines["fan"].members == tuple(ranked[:3])
    chosen = systems[2].machines["fan"]
    tables = [m.table for m in ranked]
    np.testing.assert_array_equal(chosen.table.score, fuse("greedy", tables, 3).score)
    assert len(chosen.members) <= 3 and chosen.fitted.n_tables == len(chosen.members)
    again = chosen.fitted.apply([m.table for m in chosen.members])
    np.testing.assert_array_equal(again.score, chosen.table.score)


def test_ranked_by_another_figure_than_omega() -> None:
    a, b = member("a", score_table(skill=3)), member("b", score_table(seed=1, skill=0))
    chosen = build_systems({"fan": [a, replace(b, ranked_by=0.99)]}, fallback=False)[0].machines["fan"]
    assert [m.trial for m in chosen.members] == ["b"] and chosen.omega == b.omega


def test_systems_are_numbered_in_the_order_given_and_named_by_their_fusions() -> None:
    systems = build_systems({"fan": many(3)}, fusions=("mean_rank", "mean_zscore", "best"))
    assert [(s.number, s.name) for s in systems] == [
        (1, "mean rank"),
        (2, "mean z-score"),
        (3, "best single model"),
    ]
    paper = build_systems({"fan": many(3)})
    names = ["best single model", "mean anomaly score", "maximum anomaly score", "mean softmax"]
    assert [s.name for s in paper] == names


def test_the_first_system_falls_back_too_where_it_is_not_the_best_single_model() -> None:
    (system,) = build_systems({"valve": unlike()}, fusions=["mean"])
    of = system.machines["valve"]
    assert of.pinned_to_s1 == "worse" and [m.trial for m in of.members] == ["good"]
    assert of.fitted.n_tables == 1 and of.fitted.apply([of.members[0].table]) is of.members[0].table


@pytest.mark.parametrize("n", [1, 2, 4])
def test_fewer_than_top_k_are_built_with_what_there_is_unless_strict(n: int) -> None:
    systems = build_systems({"fan": many(n)}, fallback=False)
    assert all(len(s.machines["fan"].members) == n for s in systems[1:])
    with pytest.raises(ScoreError, match=f"pump: {n} finished trials, fewer than the 5 asked for; search on"):
        build_systems({"fan": many(5), "pump": many(n, "pump")}, strict=True)
    assert len(build_systems({"fan": many(n)}, strict=True, top_k=n)) == 4


@pytest.mark.parametrize("fusions", [(), ("mean", "mean"), tuple(FUSIONS)[:5]])
def test_one_to_four_different_fusions(fusions: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="one to 4 different ones make the systems"):
        build_systems({"fan": many(2)}, fusions=fusions)


def test_a_fusion_or_a_number_that_is_none() -> None:
    with pytest.raises(ConfigError, match="fusion 'median'; known are best, mean"):
        build_systems({"fan": many(2)}, fusions=["median"])
    with pytest.raises(ConfigError, match="top_k 0; a system is made of one trial at least"):
        build_systems({"fan": many(2)}, top_k=0)


def test_all_fusions_of_a_machine_type() -> None:
    members = many()
    found = all_fusions(members, 3)
    assert tuple(found) == tuple(FUSIONS)
    best = found["best"].omega
    assert best is not None and all(of.omega == of.omega_raw and not of.pinned_to_s1 for of in found.values())
    assert (found["greedy"].omega or 0) >= best - 1e-12
    for name, of in found.items():
        assert of.omega == pytest.approx(omega(cells(of.table)), abs=1e-12)
        assert of.fusion == name and len(of.members) <= 3
    with pytest.raises(ScoreError, match="no finished trial to fuse"):
        all_fusions([])


def test_all_fusions_leaves_out_what_can_not_be() -> None:
    assert set(FUSIONS) - set(all_fusions([blind(m) for m in many(3)])) == {"mean_softmax"}
    tables = [score_table(seed=seed, sections=(), evaluation=("03", "04")) for seed in range(3)]
    left = all_fusions([member(f"t{i}", table) for i, table in enumerate(tables)])
    assert set(FUSIONS) - set(left) == {"greedy", "weighted", "diverse"}
    assert all(of.omega is None for of in left.values())


def test_autoencoders_have_no_softmax_so_s1_stands_in() -> None:
    systems = build_systems({"fan": [blind(m) for m in many(3)]}, fallback=False)
    assert [s.machines["fan"].pinned_to_s1 for s in systems] == ["", "", "", "no softmax"]
    assert systems[3].machines["fan"].members == systems[0].machines["fan"].members
