"""Losses of made-up histories."""

import re

from oddsound.report.svg import drawing, inline_svg
from oddsound.report.trial_figures import Curve, loss_figure


def texts(found: dict[str, Curve]) -> list[str]:
    with drawing():
        return re.findall(r"<text[^>]*>([^<]*)</text>", inline_svg(loss_figure(found), "x", "label"))


def test_every_loss_is_drawn_however_many_there_are() -> None:
    losses: dict[str, Curve] = {f"loss/part_{n}": ([1.0, 2.0], [2.0, 1.0]) for n in range(9)}
    assert {f"part {n}" for n in range(9)} <= set(texts(losses))
    with drawing():
        looks = {(line.get_color(), line.get_linestyle()) for line in loss_figure(losses).axes[0].lines}
    assert len(looks) == 9


def test_losses_far_apart_have_numbers_beside_them() -> None:
    made = texts({"loss/a": ([1.0, 2.0], [3.0, 0.002])})
    assert "0.01" in made and not any("$" in each for each in made)


def test_one_epoch_is_a_whole_one() -> None:
    made = texts({"loss/a": ([1.0], [3.0])})
    assert made[:2] == ["1", "epoch"]
