"""The server's processes: started when all is known to be right, watched, and ended with what they began."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType

from oddsound.errors import TrackingError
from oddsound.tracking.hosting import address, databases
from oddsound.tracking.hosting.setup import Setup

START_S = 300
"""The first start on PostgreSQL makes every table."""
END_S = 20
"""For requests that are under way; after that it is killed."""
_PR_SET_PDEATHSIG = 1
_ENDING = (signal.SIGINT, signal.SIGTERM)


class _Asked(BaseException):
    """Somebody asked us to end. No Exception: nothing on the way may take it for a failure."""


def serve(setup: Setup, answers: Callable[[], None]) -> None:
    """Run the server until SIGINT or SIGTERM, and end it. `answers` is called once it does answer.

    Raises ConfigError where the port is taken, TrackingError where a database is shut, where MLflow
    doesn't come up, and where it ends by itself.
    """
    address.assert_free(setup.host, setup.port)
    for uri in (setup.backend, setup.accounts or ""):
        databases.assert_open(uri)
    with (
        contextlib.suppress(_Asked),
        _signals(),
        _accounts_file(setup) as more,
        _server(setup, more) as child,
    ):
        _wait_until_it_answers(setup, child)
        answers()
        raise TrackingError(f"MLflow ended by itself, exit code {child.wait()}; what it said is above")


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """SIGINT and SIGTERM raise _Asked, once: the end is not to be interrupted."""

    def ask(number: int, frame: FrameType | None) -> None:
        for known in before:
            signal.signal(known, signal.SIG_IGN)
        raise _Asked

    before = {number: signal.signal(number, ask) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _accounts_file(setup: Setup) -> Iterator[dict[str, str]]:
    """The variable that names MLflow's file about accounts, in a folder that is ours alone and goes again."""
    if setup.accounts_ini is None:
        yield {}
        return
    folder = Path(tempfile.mkdtemp(prefix="oddsound-"))  # mode 0700
    try:
        file = folder / "accounts.ini"
        file.touch(mode=0o600)
        file.write_text(setup.accounts_ini)
        yield {"MLFLOW_AUTH_CONFIG_PATH": str(file)}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _server(setup: Setup, more: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """In a process group of its own, so that Ctrl-C reaches us alone and the end reaches all of it.

    Its stdout is talk, too. Its folder is / because MLflow makes what it misses where it stands. A signal
    that comes while it is made waits until somebody is there to end it.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    child = subprocess.Popen(
        setup.command,
        env=setup.environment | more,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
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
    """Let requests under way finish, then end whatever is left of its group."""
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


def _wait_until_it_answers(setup: Setup, child: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while child.poll() is None and time.monotonic() < deadline:
        if _answers(address.probe_url(setup.host, setup.port)):
            return
        time.sleep(0.1)
    if child.poll() is None:
        raise TrackingError(f"MLflow didn't answer within {START_S} s; what it said is above")
    raise TrackingError(
        f"MLflow ended before it answered, exit code {child.returncode}; what it said is above. After an "
        "update of MLflow make a backup, then give the same command once with --upgrade"
    )


def _answers(url: str) -> bool:
    """Whoever uses a proxy: it doesn't know this machine's loopback."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{url}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
