"""The time left by what a driver hears, against figures that can be worked out by hand."""

import pytest

from oddsound.search.stopwatch import Stopwatch


def test_nothing_is_known_before_anything_was_done() -> None:
    watch = Stopwatch({"fan": 4, "valve": 0})
    assert watch.left(10.0) == {"fan": None, "valve": 0.0}
    watch.starts("fan", "a", 10.0)
    assert watch.left(12.0)["fan"] is None


def test_one_worker_one_machine_type() -> None:
    """A trial of 100 s, the next half-way: two and a half are left."""
    watch = Stopwatch({"fan": 4})
    watch.starts("fan", "a", 50.0)
    watch.finishes("fan", "a", 150.0)
    watch.starts("fan", "b", 150.0)
    watch.reaches("fan", "b", 0.5)
    assert watch.left(200.0) == {"fan": pytest.approx(250.0)}


def test_machine_types_share_the_speed() -> None:
    """Two workers did one trial of 100 s each; left are one of fan and three of valve: by 100 and 200 s."""
    watch = Stopwatch({"fan": 2, "valve": 4})
    for machine in ("fan", "valve"):
        watch.starts(machine, "a", 0.0)
        watch.finishes(machine, "a", 100.0)
    assert watch.left(100.0) == {"fan": pytest.approx(100.0), "valve": pytest.approx(200.0)}


def test_what_stopped_early_failed_or_starts_over() -> None:
    """Stopped: done, but no measure; failed: not tried again; started over: all of it is left."""
    watch = Stopwatch({"fan": 5})
    for trial in "abcd":
        watch.starts("fan", trial, 0.0)
        watch.reaches("fan", trial, 0.5)
    watch.finishes("fan", "a", 100.0)
    watch.is_stopped("fan", "b")
    watch.is_given_up("fan", "c")
    watch.starts_over("fan", "d")
    assert watch.left(100.0) == {"fan": pytest.approx(100.0)}
