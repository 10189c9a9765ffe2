"""A trial's log and the watchdog over it: what a worker said, and its stack when it hangs.

The timer and the handler of fatal signals are faulthandler's: they work in C, so that a thread which
hangs with the interpreter's lock held, or a segmentation fault, still leaves its stack.
"""

from __future__ import annotations

import faulthandler
import os
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

HANG_S = 1800.0
"""Seconds without a training step after which a trial is taken for hung."""
_TICK_S = 1.0
_N_LINES = 3


@contextmanager
def watched(log: Path, hang_s: float) -> Iterator[Callable[[], None]]:
    """The process's stderr goes to `log` while the block runs, and so does its stack when it crashes, or
    when the function that is yielded isn't called for `hang_s` seconds: then the process ends."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab", buffering=0) as stream:
        said_before = _redirect(stream.fileno())
        try:
            now = datetime.now(UTC).isoformat(timespec="seconds")
            print(f"{now} attempt on {socket.gethostname()}, process {os.getpid()}", file=sys.stderr)
            faulthandler.enable(stream.fileno())
            beat = _Beat(stream.fileno(), hang_s)
            beat()
            yield beat
        finally:
            faulthandler.cancel_dump_traceback_later()
            faulthandler.disable()
            _redirect(said_before)
            os.close(said_before)


class _Beat:
    """Winds the timer up again; seldom enough to cost nothing."""

    def __init__(self, log: int, hang_s: float) -> None:
        self._log, self._hang_s, self._wound = log, hang_s, -_TICK_S

    def __call__(self) -> None:
        if time.monotonic() - self._wound >= min(_TICK_S, self._hang_s / 4):
            faulthandler.dump_traceback_later(self._hang_s, exit=True, file=self._log)
            self._wound = time.monotonic()


def _redirect(to: int) -> int:
    """Make stderr, also that of C code, the file `to`; gives a copy of what it was."""
    with suppress(OSError):  # a full disk must not leave the next trial in this one's log
        sys.stderr.flush()
    before = os.dup(2)
    os.dup2(to, 2)
    return before


def last_words(log: Path, hang_s: float) -> str:
    """Why the last attempt in `log` ended, as far as it says so itself; "" where it says nothing."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    starts = [i for i, line in enumerate(lines) if re.match(r"\S+ attempt on ", line)]
    said = [line.strip() for line in lines[starts[-1] + 1 :] if line.strip()] if starts else []
    if any(line.startswith("Timeout (") for line in said):
        return f"hung: no step for {hang_s:g} s; its stack is in {log}"
    return " | ".join(said[-_N_LINES:])
