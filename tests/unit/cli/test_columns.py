"""Tables and durations as people read them."""

import pytest

from oddsound.cli.columns import columns, duration


def test_words_begin_and_numbers_end_in_line() -> None:
    assert columns([["machine", "n"], ["fan", "100"]]) == "machine    n\nfan      100"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.7, "1 min"),
        (3570, "1 h 0 min"),
        (12_000, "3 h 20 min"),
        (187_200, "2 d 4 h"),
    ],
)
def test_a_duration_is_told_in_its_largest_units(seconds: float, said: str) -> None:
    assert duration(seconds) == said
