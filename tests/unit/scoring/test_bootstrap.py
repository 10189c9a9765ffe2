"""Intervals: known ones, their coverage, and the paired comparison."""

from dataclasses import replace

import numpy as np
import pytest
from benchmarks.coverage import coverage, drawn, true_values
from tests.unit.scoring.tables import score_table

from oddsound.errors import ScoreError
from oddsound.scoring.bootstrap import bootstrap, paired, strata
from oddsound.scoring.metrics import auc, pauc
from oddsound.scoring.omega import cells, mean_omega, official_score, omega
from oddsound.scoring.table import ANOMALY, ScoreTable


def tables(**settings: float) -> dict[str, ScoreTable]:
    return {m: score_table(m, seed=i, n=30, **settings) for i, m in enumerate(("fan", "pump"))}  # type: ignore[arg-type]


def test_the_estimates_are_the_metrics_own() -> None:
    of = {machine: cells(table) for machine, table in tables().items()}
    found = bootstrap(tables(), 50)
    for machine, made in of.items():
        assert found.machines[machine].estimate == pytest.approx(omega(made), abs=1e-12)
    assert found.mean.estimate == pytest.approx(mean_omega(of), abs=1e-12)
    everything = [cell for made in of.values() for cell in made]
    assert found.official.estimate == pytest.approx(official_score(everything), abs=1e-12)
    for interval in (*found.machines.values(), found.mean, found.official):
        assert interval.lower < interval.estimate < interval.upper


def test_the_seed_decides_and_other_machine_types_dont() -> None:
    both = bootstrap(tables(), 100, seed=3)
    assert both == bootstrap(tables(), 100, seed=3)
    assert both != bootstrap(tables(), 100, seed=4)
    assert bootstrap({"pump": tables()["pump"]}, 100, seed=3).machines["pump"] == both.machines["pump"]


def test_clips_are_drawn_within_section_domain_and_class() -> None:
    labelled = score_table(n=5).labelled()
    rows = strata(labelled)
    assert sorted(np.concatenate(rows).tolist()) == list(range(len(labelled)))
    for stratum in rows:
        for column in (labelled.section, labelled.domain, labelled.label):
            assert len(set(column[stratum].tolist())) == 1
    assert len(rows) == 2 * 2 * 2


def test_more_clips_make_it_narrower_and_perfection_has_no_width() -> None:
    widths = [coverage([1.0] * 4, n, n_data_sets=12, n_resamples=200)["width"] for n in (30, 120)]
    assert 1.6 < widths[0] / widths[1] < 2.6  # the square root of 4
    perfect = replace(score_table(), score=(score_table().label == ANOMALY).astype(float))
    interval = bootstrap({"fan": perfect}, 50).machines["fan"]
    assert (interval.lower, interval.estimate, interval.upper) == (1, 1, 1)


def test_the_true_values_are_those_of_a_large_sample() -> None:
    table = drawn([1.2], 100_000, np.random.default_rng(0))
    found = auc(table.label, table.score), pauc(table.label, table.score)
    assert found == pytest.approx(true_values(1.2), abs=3e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("skills", "n"), [((1.0, 0.5, 1.5, 0.2), 50), ((0.0, 0.0, 0.0, 0.0), 40)])
def test_the_interval_holds_the_truth_as_often_as_it_says(skills: tuple[float, ...], n: int) -> None:
    """400 data sets: the share itself has a standard error of about one point."""
    found = coverage(skills, n, n_data_sets=400, n_resamples=400)
    assert 0.90 <= found["holds"] <= 0.98
    assert max(found["below"], found["above"]) < 0.07, "it leans to one side"


def test_a_system_against_itself_and_against_a_better_one() -> None:
    a = tables(skill=1.0)
    same = paired(a, a, 100)
    assert (same.mean.difference.estimate, same.mean.share, same.mean.verdict) == (0, 0.5, "can't tell")
    better = tables(skill=3.0)
    found = paired(better, a, 300)
    assert {of.verdict for of in (*found.machines.values(), found.mean)} == {"A is better"}
    assert paired(a, better, 300).mean.verdict == "B is better"
    assert found.mean.difference.estimate == pytest.approx(
        bootstrap(better, 10).mean.estimate - bootstrap(a, 10).mean.estimate
    )


def test_pairing_sees_what_separate_intervals_dont() -> None:
    """Scores that differ a little on the same clips: the clips' own luck cancels."""
    a = {"fan": score_table(n=60)}
    nudged = a["fan"].score + 0.3 * (a["fan"].label == ANOMALY)
    b = {"fan": replace(a["fan"], score=nudged)}
    apart = [bootstrap(system, 300).machines["fan"] for system in (a, b)]
    assert apart[0].upper > apart[1].lower, "the intervals overlap"
    assert paired(b, a, 300).machines["fan"].verdict == "A is better"


def test_the_order_of_clips_doesnt_matter() -> None:
    a = tables()
    order = np.random.default_rng(0).permutation(len(a["fan"]))
    shuffled = a | {"fan": a["fan"].where(order)}  # type: ignore[arg-type]
    assert paired(tables(skill=2.0), shuffled, 60) == paired(tables(skill=2.0), a, 60)


def test_systems_that_cant_be_compared() -> None:
    a = tables()
    with pytest.raises(ScoreError, match="pump: only one of the two systems has this machine type"):
        paired(a, {"fan": a["fan"]}, 10)
    fewer = a["fan"].where(a["fan"].file != "section_00_source_test_normal_0003.wav")
    with pytest.raises(ScoreError, match=r"only one of the two .* section_00_source_test_normal_0003\.wav"):
        paired(a, a | {"fan": fewer}, 10)
    with pytest.raises(ScoreError, match="different years' data"):
        paired(a, a | {"fan": replace(a["fan"], rules="2022")}, 10)
    turned = replace(a["fan"], label=np.where(a["fan"].label == 1, 0, a["fan"].label).astype(np.int8))
    with pytest.raises(ScoreError, match="differ in the label of"):
        paired(a, a | {"fan": turned}, 10)
    with pytest.raises(ScoreError, match=r"fan, section 00, source: no anomalous clip"):
        bootstrap({"fan": turned}, 10)
    with pytest.raises(ScoreError, match="no labelled test clips"):
        bootstrap({"fan": a["fan"].train()}, 10)
