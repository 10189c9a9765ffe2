from statistics import fmean, harmonic_mean

import numpy as np
import pytest
from tests.unit.scoring.tables import score_table

from oddsound.errors import ScoreError
from oddsound.scoring.metrics import auc, pauc
from oddsound.scoring.omega import (
    Cell,
    by_machine,
    cells,
    mean_omega,
    metrics_dict,
    official_score,
    omega,
)


def test_a_cell_is_of_its_section_and_domain_alone() -> None:
    table = score_table()
    made = cells(table)
    assert [c.name for c in made] == [f"section_{s}/{d}" for s in ("00", "01") for d in ("source", "target")]
    rows = (table.split == "test") & (table.section == "01") & (table.domain == "target")
    of_cell = table.where(rows)
    assert made[3].auc == auc(of_cell.label, of_cell.score)
    assert made[3].pauc == pauc(of_cell.label, of_cell.score)
    assert (made[3].n_normal, made[3].n_anomaly) == (12, 12)
    assert cells(table, "eq6")[3].pauc == pauc(of_cell.label, of_cell.score, "eq6")


def test_order_of_the_rows_does_not_matter() -> None:
    table = score_table()
    rows = np.random.default_rng(0).permutation(len(table))
    assert cells(table.where(rows)) == cells(table)  # type: ignore[arg-type]


def test_omega_is_the_harmonic_mean_of_auc_and_pauc() -> None:
    made = cells(score_table())
    assert omega(made) == pytest.approx(harmonic_mean([v for c in made for v in (c.auc, c.pauc)]))


def test_a_zero_is_floored_at_machine_epsilon() -> None:
    floored = omega([Cell("fan", "00", "source", 0.0, 0.5, 1, 1)])
    assert 0 < floored == pytest.approx(2 * np.finfo(float).eps)


def test_means_over_machine_types() -> None:
    fan, pump = cells(score_table("fan")), cells(score_table("pump", seed=5))
    groups = by_machine(fan + pump)
    assert groups == {"fan": fan, "pump": pump}
    assert mean_omega(groups) == pytest.approx(fmean([omega(fan), omega(pump)]))
    values = [v for c in fan + pump for v in (c.auc, c.pauc)]
    assert official_score(fan + pump) == pytest.approx(harmonic_mean(values))


def test_names_of_metrics() -> None:
    made = cells(score_table())
    named = metrics_dict(made)
    assert len(named) == 9
    assert named["omega"] == omega(made)
    assert named["pauc/section_01/target"] == made[3].pauc


def test_the_cell_that_lacks_a_class_is_named() -> None:
    table = score_table()
    gone = (table.section == "01") & (table.domain == "source") & (table.label == 1)
    with pytest.raises(ScoreError, match="fan, section 01, source: no anomalous clip among 12"):
        cells(table.where(~gone))


def test_nothing_labelled_is_an_error() -> None:
    table = score_table()
    with pytest.raises(ScoreError, match="no labelled test clips"):
        cells(table.train())
    for empty in (lambda: omega([]), lambda: mean_omega({}), lambda: official_score([])):
        with pytest.raises(ScoreError):
            empty()
    with pytest.raises(ScoreError, match="one machine type, got fan, pump"):
        omega([Cell("fan", "00", "source", 1, 1, 1, 1), Cell("pump", "00", "source", 1, 1, 1, 1)])
