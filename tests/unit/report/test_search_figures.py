"""Histories, settings and importances of made-up trials."""

from typing import Any

import pytest

from oddsound.report.search_figures import (
    _height,
    history_figure,
    importance_figure,
    parallel_figure,
    running_best,
    slice_figure,
    value_text,
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


def test_one_trial_has_a_history() -> None:
    with drawing():
        made = inline_svg(history_figure([(0, 61.0)], [(1, 40.0)], [2], 71.72), "x", "label")
    assert "paper, best single model 71.72" in made and "stopped early" in made
    with drawing():
        assert "paper" not in inline_svg(history_figure([(0, 61.0)]), "x", "label")


def test_importances_are_bars_with_their_shares() -> None:
    with drawing():
        made = inline_svg(importance_figure({"loss.rho": 0.756, "<b>": 0.244}), "x", "label")
    assert ">76 %<" in made and ">24 %<" in made and "&lt;b&gt;" in made


def test_numbers_have_four_digits() -> None:
    assert value_text(0.123456) == "0.1235" and value_text("x") == "x"
