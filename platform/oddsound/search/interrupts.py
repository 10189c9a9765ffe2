"""SIGINT and SIGTERM: the first ends what runs in order, the second at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from ray import tune

from oddsound.errors import Interrupted

GRACE_S = 20.0
"""Less than the 30 s that Kubernetes and Slurm give by default."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """The handlers of both signals. `go_on` is the line that says how to go on."""

    def __init__(self, go_on: str) -> None:
        self._go_on = go_on
        self.heard = False
        self._stop: Callable[[], None] | None = None
        self._timer: threading.Timer | None = None

    @contextmanager
    def handled(self) -> Iterator[None]:
        """The handlers are ours in the block; in another thread than the main one nothing changes."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before: dict[signal.Signals, Any] = {s: signal.signal(s, self._handle) for s in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def searching(self, stop: Callable[[], None]) -> Iterator[None]:
        """In the block the first signal calls `stop`, which lets running trials come to their next
        checkpoint; after `GRACE_S` Tune ends them, by the signal that it takes for that."""
        in_main = threading.current_thread() is threading.main_thread()
        if in_main:
            signal.signal(signal.SIGUSR1, _not_yet)  # until Tune has put its own in its place
        self._stop = stop
        try:
            yield
        finally:
            self._stop = None
            if self._timer is not None:
                self._timer.cancel()
            if in_main:
                signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # one that the timer sent just now would kill

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.heard:
            _say(f"interrupted again: ended at once. {self._go_on}")
            os._exit(Interrupted.exit_code)
        self.heard = True
        if self._stop is None:
            raise KeyboardInterrupt
        _say(f"interrupted: what runs goes on to its next checkpoint, {GRACE_S:g} s at most; again: at once")
        self._stop()
        self._timer = threading.Timer(GRACE_S, os.kill, (os.getpid(), signal.SIGUSR1))
        self._timer.daemon = True
        self._timer.start()


class StopAtReport(tune.Stopper):  # type: ignore[misc]
    """Once asked, ends each trial with its next report: it has a checkpoint then."""

    def __init__(self) -> None:
        self.asked = False

    def ask(self) -> None:
        self.asked = True

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return self.asked

    def stop_all(self) -> bool:
        return False


def _not_yet(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say(line: str) -> None:
    print(f"oddsound: {line}", file=sys.stderr, flush=True)
