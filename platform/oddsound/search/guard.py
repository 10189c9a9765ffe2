"""The guard of a local cluster: ends what Ray leaves behind when its driver dies.

Ray's head ends with its driver, its agents some 50 to 70 seconds later (measured, SIGKILL). The guard is
a process of its own whose stdin is a pipe from the driver; when that closes, it ends every process that
has the cluster's mark in its environment.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MARK = "ODDSOUND_CLUSTER"
_ENDS_WITHIN_S = 10.0


@contextmanager
def guarded() -> Iterator[None]:
    """Processes begun in the block, and theirs, end with this one, however it ends.

    They are known by a mark in their environment, which stands in ours while the block runs. Only where
    there is a /proc to read it from.
    """
    mark = secrets.token_hex(16)
    guard = subprocess.Popen(
        [sys.executable, "-m", "oddsound.search.guard", mark],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C at a terminal is for the driver
    )
    os.environ[MARK] = mark
    try:
        yield
    finally:
        os.environ.pop(MARK, None)
        assert guard.stdin is not None
        guard.stdin.close()
        guard.wait()


def marked(mark: str) -> list[int]:
    """The processes that have `mark` in their environment."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


def _end(mark: str) -> None:
    """Kill what is marked, and what that begins meanwhile."""
    until = time.monotonic() + _ENDS_WITHIN_S
    while time.monotonic() < until and (left := marked(mark)):
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)


if __name__ == "__main__":
    sys.stdin.buffer.read()
    _end(sys.argv[1])
