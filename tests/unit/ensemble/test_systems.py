import numpy as np
import pytest
from tests.unit.scoring.tables import score_table

from oddsound.ensemble.fusions import fuse
from oddsound.ensemble.systems import Member, build_systems
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
        assert of.omega == of.omega_raw == omega(cells(of.table))
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
