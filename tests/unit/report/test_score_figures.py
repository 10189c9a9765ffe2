"""The figures of scores are of the clips that Ω is of: known answers, and the areas of the curves."""

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.scoring.tables import score_table

from oddsound.errors import ScoreError
from oddsound.report.score_figures import Roc, distribution_figure, distributions, heat_map, roc_figure, rocs
from oddsound.report.svg import drawing, inline_svg
from oddsound.scoring.metrics import MAX_FPR
from oddsound.scoring.omega import Cell, cells
from oddsound.scoring.table import ANOMALY, ScoreTable
from oddsound.scoring.threshold import gamma_threshold

TABLES = {
    "2021": score_table(evaluation=("02",)),
    "2022": replace(score_table(seed=1), rules="2022"),
    "ties": replace(score_table(), score=np.round(score_table().score)),
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
def test_the_areas_under_the_curves_are_the_cells(table: ScoreTable) -> None:
    found = rocs(table)
    assert [roc.cell for roc in found] == list(cells(table))
    for roc in found:
        if roc.cell.auc is not None:
            assert np.trapezoid(roc.tpr, roc.fpr) == pytest.approx(roc.cell.auc)
        if roc.cell.pauc is not None:
            n = int(np.searchsorted(roc.fpr, MAX_FPR, "right"))
            edge = np.interp(MAX_FPR, roc.fpr[n - 1 : n + 1], roc.tpr[n - 1 : n + 1])
            area = np.trapezoid([*roc.tpr[:n], edge], [*roc.fpr[:n], MAX_FPR])
            least = MAX_FPR**2 / 2
            assert 0.5 * (1 + (area - least) / (MAX_FPR - least)) == pytest.approx(roc.cell.pauc)


def test_distributions_are_of_the_labelled_clips_with_the_sections_threshold() -> None:
    table = TABLES["2021"]
    found = distributions(table)
    assert [(s.section, s.domain) for s in found] == [
        ("00", "source"),
        ("00", "target"),
        ("01", "source"),
        ("01", "target"),
    ]
    rows = (table.section == "01") & (table.domain == "target") & (table.split == "test")
    assert sorted(found[3].anomaly) == sorted(table.score[rows & (table.label == ANOMALY)])
    assert len(found[3].normal) == len(found[3].anomaly) == 12
    train = table.score[(table.section == "01") & (table.split == "train")]
    assert found[3].threshold == found[2].threshold == gamma_threshold(train)


def test_a_section_without_training_clips_has_no_threshold() -> None:
    table = TABLES["2021"]
    without = table.where((table.split == "test") | (table.section != "01"))
    assert [s.threshold is None for s in distributions(without)] == [False, False, True, True]


def test_without_labels_there_is_no_curve_and_no_distribution() -> None:
    hidden = score_table(sections=(), evaluation=("00", "01"))
    with pytest.raises(ScoreError, match="no labelled test clips"):
        rocs(hidden)
    assert distributions(hidden) == []


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
def test_they_can_be_drawn(table: ScoreTable) -> None:
    with drawing():
        for figure in (
            heat_map(cells(table)),
            roc_figure(rocs(table)),
            distribution_figure(distributions(table)),
        ):
            assert inline_svg(figure, "x", "label").count("<path") > 3


def test_every_domain_has_a_curve_however_many_there_are() -> None:
    ends = np.array([0.0, 1.0])
    found = [Roc(Cell("fan", "00", f"d{n}", 0.6, 0.5, 2, 2), ends, ends) for n in range(8)]
    with drawing():
        made = inline_svg(roc_figure(found), "x", "label")
    assert all(f">d{n} 60 / 50<" in made for n in range(8))


def test_the_heat_map_has_every_figure() -> None:
    with drawing():
        made = inline_svg(heat_map(cells(TABLES["2022"])), "x", "label")
    for cell in cells(TABLES["2022"]):
        assert all(f">{100 * value:.2f}<" in made for value in cell.values)
    assert ">–<" in made and "section 00, all domains" in made
