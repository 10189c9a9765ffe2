"""Table 1's figures against themselves, and against a few read off the paper by hand."""

from statistics import fmean
from typing import get_args

import pytest

from oddsound.config import RecipeName
from oddsound.report.paper_figures import MACHINES, PAPER


def test_rows_are_the_recipes_and_then_the_ensembles() -> None:
    assert list(PAPER) == [*get_args(RecipeName), "S1", "S2", "S3", "S4"]
    assert all(tuple(row.omega) == MACHINES for row in PAPER.values())


@pytest.mark.parametrize("name", PAPER)
def test_the_printed_average_is_the_mean_of_the_row(name: str) -> None:
    row = PAPER[name]
    assert fmean(row.omega.values()) == pytest.approx(row.average, abs=0.01)
    assert row.mean(MACHINES) == row.average


def test_s1_is_the_best_row_of_each_machine_type() -> None:
    best = {machine: max(PAPER[name].omega[machine] for name in get_args(RecipeName)) for machine in MACHINES}
    assert best == PAPER["S1"].omega


def test_figures_that_the_abstract_repeats() -> None:
    """The abstract lists the best single models' Ω in the order of Table 1."""
    assert list(PAPER["S1"].omega.values()) == [71.72, 70.05, 72.14, 67.26, 66.17, 71.97, 68.47]


def test_figures_read_off_by_hand() -> None:
    assert PAPER["mobilenet_baseline"].omega["ToyTrain"] == 54.49
    assert PAPER["effnet_median"].omega["valve"] == 56.28
    assert (PAPER["effnet"].title, PAPER["S3"].omega["gearbox"]) == ("EfficientNet-B0", 76.85)


def test_means_over_some_machine_types() -> None:
    row = PAPER["effnet"]
    assert row.mean(["slider", "fan"]) == pytest.approx((67.46 + 66.11) / 2, abs=0.005)
    assert row.mean(["slider"]) == 67.46
    assert row.mean([]) is None
    assert row.mean(["fan", "bandsaw"]) is None
