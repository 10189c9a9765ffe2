"""Histories, settings and importances of made-up trials."""

import re
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from oddsound.report.palette import ORANGE
from oddsound.report.search_figures import (
    _height,
    history_figure,
    importance_figure,
    parallel_figure,
    running_best,
    slice_figure,
    value_text,
    whole_ticks,
)
from oddsound.report.svg import drawing, inline_svg
from oddsound.search.space_yaml import Dimension

DIMENSIONS = {
    "loss.rho": Dimension(low=0.01, high=1.0, log=True),
    "augment.time_shift": Dimension(low=0.0, high=0.4),
    "model.backbone": Dimension(choices=["<script>", "tf_efficientnet_b0", "$x$"]),
    "training.holdout": Dimension(choices=[0.0]),
}
POINTS: list[dict[str, Any]] = [
    {"loss.rho": 0.1, "augment.time_shift": 0.1, "model.backbone": "$x$", "training.holdout": 0.0},
    {"loss.rho": 1.0, "augment.time_shift": 0.0, "model.backbone": "<script>", "training.holdout": 0.0},
]


def test_the_best_so_far_by_number() -> None:
    assert running_best([(2, 70.0), (0, 50.0), (1, 40.0)]) == [(0, 50.0), (1, 50.0), (2, 70.0)]


@pytest.mark.parametrize(
    ("name", "value", "height"),
    [
        ("loss.rho", 0.1, 0.5),
        ("loss.rho", 1.0, 1.0),
        ("augment.time_shift", 0.1, 0.25),
        ("model.backbone", "tf_efficientnet_b0", 0.5),
        ("training.holdout", 0.0, 0.0),
    ],
)
def test_places_along_an_axis(name: str, value: Any, height: float) -> None:
    assert _height(DIMENSIONS[name], value) == pytest.approx(height)


@pytest.mark.parametrize("omegas", [[60.0, 70.0], [60.0, 60.0]])
def test_settings_are_drawn_whatever_they_are_called(omegas: list[float]) -> None:
    with drawing():
        for draw in (parallel_figure, slice_figure):
            made = inline_svg(draw(DIMENSIONS, POINTS, omegas), "x", "label")
            assert "&lt;script&gt;" in made and "<script" not in made
            assert ">$x$<" in made


def texts(figure: Figure) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", inline_svg(figure, "x", "label"))


def test_one_trial_has_a_history() -> None:
    with drawing():
        made = texts(history_figure([(0, 61.0)], [(1, 40.0)], 2, 71.72))
        assert {"paper, best single model 71.72", "stopped early", "failed"} <= set(made)
        alone = history_figure([(0, 61.0)])
        (best,) = alone.axes[0].lines
        assert np.ptp(best.get_xdata()) == 0.5, "a line that can be seen"
        made = texts(alone)
    assert made[:2] == ["0", "trial"] and not {"failed", "stopped early"} & set(made)


def test_failed_trials_stand_after_the_last_one() -> None:
    with drawing():
        axes = history_figure([(0, 61.0), (3, 60.0)], n_failed=2).axes[0]
    crosses = next(line for line in axes.lines if line.get_label() == "failed")
    assert list(crosses.get_xdata()) == [4, 5] and max(axes.get_xticks()) == 3


@pytest.mark.parametrize(("ends", "ticks"), [((0, 0), [0]), ((0, 2), [0, 1, 2]), ((7, 8), [7, 8])])
def test_marks_at_whole_numbers(ends: tuple[int, int], ticks: list[int]) -> None:
    assert whole_ticks(*ends) == ticks


def test_a_setting_is_shown_in_its_whole_range() -> None:
    with drawing():
        made = slice_figure(DIMENSIONS, POINTS[:1], [60.0])
        assert {"0.01", "0.1", "1", "0", "0.2", "0.4"} <= set(texts(made))
    for axes, (low, high) in zip(made.axes, [(0.01, 1), (0, 0.4), (0, 2)], strict=False):
        assert axes.get_xlim()[0] < low and axes.get_xlim()[1] > high


def test_of_trials_that_are_as_good_one_is_the_best() -> None:
    with drawing():
        axes = parallel_figure(DIMENSIONS, POINTS, [60.0, 60.0]).axes[0]
    assert [line.get_color() for line in axes.lines].count(ORANGE) == 1


def test_importances_are_bars_with_their_shares() -> None:
    with drawing():
        made = inline_svg(importance_figure({"loss.rho": 0.756, "<b>": 0.244}), "x", "label")
    assert ">76 %<" in made and ">24 %<" in made and "&lt;b&gt;" in made


def test_numbers_have_four_digits() -> None:
    assert value_text(0.123456) == "0.1235" and value_text("x") == "x"
