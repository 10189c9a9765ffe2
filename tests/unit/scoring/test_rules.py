"""AUC and pAUC by the rules of 2022 and later: each domain's normal clips against all anomalies."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from tests.unit.scoring.tables import score_table

from oddsound.errors import ScoreError
from oddsound.scoring.omega import cells, metrics_dict, omega
from oddsound.scoring.table import ANOMALY, NORMAL, ScoreTable


def test_each_value_is_scikit_learns_over_the_clips_of_the_2022_definition() -> None:
    table = replace(score_table(n=30, skill=2.0), rules="2022")
    of = table.labelled().where(table.labelled().section == "01")
    found = metrics_dict(cells(table))
    for domain in ("source", "target"):
        rows = ((of.label == NORMAL) & (of.domain == domain)) | (of.label == ANOMALY)
        expected = roc_auc_score(of.label[rows], of.score[rows])
        assert found[f"auc/section_01/{domain}"] == pytest.approx(expected, abs=1e-12)
    expected = roc_auc_score(of.label, of.score, max_fpr=0.1)
    assert found["pauc/section_01"] == pytest.approx(expected, abs=1e-12)
    assert set(found) == {"omega"} | {
        f"{name}/section_{s}{end}"
        for s in ("00", "01")
        for name, end in (("auc", "/source"), ("auc", "/target"), ("pauc", ""))
    }
    values = [value for name, value in found.items() if name != "omega"]
    assert omega(cells(table)) == pytest.approx(6 / sum(1 / value for value in values))


def test_a_domain_without_normal_clips_has_no_auc_of_its_own() -> None:
    table = replace(score_table(n=30), rules="2022")
    kept = table.where(~((table.domain == "target") & (table.label == NORMAL) & (table.split == "test")))
    assert [c.name for c in cells(kept)] == [
        f"section_{s}{end}" for s in ("00", "01") for end in ("/source", "")
    ]


def test_a_section_without_anomalies_is_refused_by_name() -> None:
    table = replace(score_table(), rules="2022")
    rows = ~((table.section == "01") & (table.label == ANOMALY))
    with pytest.raises(ScoreError, match="fan, section 01, source: no anomalous clip"):
        cells(table.where(np.asarray(rows)))


def test_the_rules_are_saved_with_the_table(tmp_path: Path) -> None:
    replace(score_table(), rules="2022").save(tmp_path / "scores.npz")
    assert ScoreTable.load(tmp_path / "scores.npz").rules == "2022"
