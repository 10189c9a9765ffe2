"""How long a search still takes, on searches whose end is known."""

import pytest

from oddsound.search.eta import Pace, etas


def test_nothing_measured_is_nothing_told() -> None:
    assert etas({"fan": Pace(0, 5)}, 100.0) == {"fan": None}
    assert etas({"fan": Pace(1, 5)}, 0.0) == {"fan": None}
    assert etas({}, 10.0) == {}


def test_one_machine_type_goes_on_at_its_pace() -> None:
    """Four trials in 100 s: six more take 150 s, also where nobody knows what one takes."""
    assert etas({"fan": Pace(4, 6)}, 100.0) == {"fan": pytest.approx(150)}
    assert etas({"fan": Pace(4, 6, trial_s=50)}, 100.0) == {"fan": pytest.approx(150)}


def test_machine_types_share_the_workers_until_one_is_through() -> None:
    """One trial in 10 s. Each has half of that until fan's two are done, then valve has all of it."""
    found = etas({"fan": Pace(1, 2), "valve": Pace(1, 5)}, 20.0)
    assert found == {"fan": pytest.approx(40), "valve": pytest.approx(70)}


def test_a_machine_type_whose_trials_take_longer_counts_for_more() -> None:
    """Two workers: 100 s of fan's work and 100 s of valve's in 100 s, and 200 s of valve's to do."""
    found = etas({"fan": Pace(10, 0, trial_s=10), "valve": Pace(1, 2, trial_s=100)}, 100.0)
    assert found == {"fan": 0.0, "valve": pytest.approx(100)}


def test_one_that_none_has_finished_of_takes_as_long_as_the_others() -> None:
    found = etas({"fan": Pace(2, 2, trial_s=50), "valve": Pace(0, 2)}, 100.0)
    assert found == {"fan": pytest.approx(200), "valve": pytest.approx(200)}


def test_many_workers_do_not_make_the_last_trial_shorter() -> None:
    """Four workers; half of a trial of 100 s is left, and one worker has it."""
    found = etas({"fan": Pace(4, 0.5, least=0.5, trial_s=100)}, 100.0)
    assert found == {"fan": pytest.approx(50)}
