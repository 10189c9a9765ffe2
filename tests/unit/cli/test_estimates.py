"""What is said beside a table of omegas that its figures don't show."""

from __future__ import annotations

import pytest
from tests.unit.scoring.tables import score_table

from oddsound.cli.estimates import caveats


@pytest.mark.parametrize(("n", "is_few"), [(1, True), (4, True), (5, False)])
def test_few_clips_of_either_label_are_said_to_be(n: int, is_few: bool) -> None:
    """Of all sections and domains together: omega is their mean."""
    lines = caveats({"fan": score_table(sections=("00",), evaluation=("03",), n=n)}, ())
    counts = f"{2 * n} normal and {2 * n} anomalous test clips"
    expected = f"fan: only {counts}, so few that omega and its interval may be chance; record more"
    assert lines == ([expected] if is_few else [])


def test_made_up_clips_are_named_again() -> None:
    tables = {
        name: score_table(sections=("00",), evaluation=("03",), n=5, machine=name)
        for name in ("fan", "press")
    }
    (line,) = caveats(tables, {"press", "mill"})
    assert line.startswith("press: the anomalous clips are made up: faults laid over normal clips")


def test_nothing_is_said_of_figures_that_are_not_there() -> None:
    assert caveats({"fan": score_table(sections=(), evaluation=("03", "04"), n=1)}, {"fan"}) == []
