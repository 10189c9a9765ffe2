"""S1 to S4 as a page shows them."""

from oddsound.report.svg import drawing, inline_svg
from oddsound.report.systems import Part, SystemFigures
from oddsound.report.systems_section import systems_figure


def test_a_long_machine_name_leaves_room_for_the_figure() -> None:
    machine = "press_" * 20 + "seven"
    system = SystemFigures("S1", "best_single", {machine: Part(0.6, 0.6, None)})
    with drawing():
        made = inline_svg(systems_figure([system], [machine]), "x", "label")
    assert machine not in made and "press_seven<" in made
