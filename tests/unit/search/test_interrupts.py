"""The first signal ends what runs in order, the second at once."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from oddsound.search import interrupts as module
from oddsound.search.interrupts import Interrupts, StopAtReport

SEARCH = """
import signal
from oddsound.search.interrupts import Interrupts
interrupts = Interrupts("Go on with: this")
with interrupts.handled(), interrupts.searching(lambda: print("asked", flush=True)):
    print("searching", flush=True)
    while True:
        signal.pause()
"""
BOTH = (signal.SIGINT, signal.SIGTERM)


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in BOTH]


@pytest.fixture(autouse=True)
def _sigusr1() -> Iterator[None]:
    """It is ignored after a search, for one may still be on its way."""
    before = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, before)


def test_the_first_asks_to_stop_and_the_second_ends_at_once() -> None:
    line = [sys.executable, "-c", SEARCH]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as search:
        assert search.stdout is not None
        assert search.stdout.readline() == "searching\n"
        search.send_signal(signal.SIGTERM)
        assert search.stdout.readline() == "asked\n"
        assert search.poll() is None
        search.send_signal(signal.SIGINT)
        out, err = search.communicate(timeout=60)
    assert (search.returncode, out) == (130, "")
    assert err.splitlines() == [
        "oddsound: interrupted: what runs goes on to its next checkpoint, 20 s at most; again: at once",
        "oddsound: interrupted again: ended at once. Go on with: this",
    ]


@pytest.mark.parametrize("number", BOTH)
def test_outside_of_a_search_it_is_an_interrupt(number: signal.Signals) -> None:
    before = handlers()
    with pytest.raises(KeyboardInterrupt), Interrupts("").handled():
        signal.raise_signal(number)
    assert handlers() == before


def test_a_search_that_stops_in_time_is_left_alone() -> None:
    before, asked = handlers(), threading.Event()
    interrupts = Interrupts("")
    with interrupts.handled(), interrupts.searching(asked.set):
        signal.raise_signal(signal.SIGINT)
        assert asked.is_set()
        timer = interrupts._timer
        assert timer is not None
    timer.join(30)
    assert not timer.is_alive()
    assert handlers() == before
    signal.raise_signal(signal.SIGUSR1)


def test_what_does_not_stop_in_time_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE_S", 0.05)
    before, interrupts = handlers(), Interrupts("")
    with pytest.raises(KeyboardInterrupt), interrupts.handled(), interrupts.searching(lambda: None):
        signal.raise_signal(signal.SIGINT)
        threading.Event().wait(30)
    assert handlers() == before


def test_in_another_thread_nothing_is_handled() -> None:
    seen: list[list[object]] = []

    def elsewhere() -> None:
        with Interrupts("").handled():
            seen.append(handlers())

    before = handlers()
    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert seen == [before]


def test_once_asked_every_trial_ends_with_its_next_report() -> None:
    stopper = StopAtReport()
    assert not stopper("a", {"epoch": 1})
    stopper.ask()
    assert stopper("a", {"epoch": 2})
    assert not stopper.stop_all(), "that would cut epochs short"
