"""A server that we start: in a process group of its own, ended with us and with all that it began."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import IO

END_S = 20
"""For what is under way; after that it is killed."""
_PR_SET_PDEATHSIG = 1
_ENDING = (signal.SIGINT, signal.SIGTERM)


class Asked(BaseException):
    """Somebody asked us to end. No Exception: nothing on the way may take it for a failure."""


@contextmanager
def until_asked() -> Iterator[None]:
    """The block runs until SIGINT or SIGTERM, which end it in order, once: the end is not to be
    interrupted."""
    with contextlib.suppress(Asked), _signals():
        yield


@contextmanager
def _signals() -> Iterator[None]:
    def ask(number: int, frame: FrameType | None) -> None:
        for known in before:
            signal.signal(known, signal.SIG_IGN)
        raise Asked

    before = {number: signal.signal(number, ask) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def child_process(
    command: Sequence[str], environment: Mapping[str, str], said: IO[bytes] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """`command` for as long as the block runs. Its stdout is talk, too: to stderr; or both go to `said`.

    In a process group of its own, so that Ctrl-C reaches us alone and the end reaches all of it. Its folder
    is /, for it may make what it misses where it stands. A signal that comes while it is made waits until
    somebody is there to end it.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    child = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=said or sys.stderr,
        stderr=said,
        cwd="/",
        process_group=0,
        preexec_fn=partial(_end_with_parent, os.getpid()),
    )
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
        yield child
    finally:
        _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Let what is under way finish, then end whatever is left of its group."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.terminate()
        child.wait(END_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _end_with_parent(parent: int) -> None:
    """In the child: SIGTERM should `parent` be killed, as it must not stay behind unseen. Linux only."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)
