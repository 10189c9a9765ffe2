"""The server's processes: started when all is known to be right, watched, and ended with what they began."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from oddsound.child_process import child_process, until_asked
from oddsound.errors import TrackingError
from oddsound.tracking.hosting import address, databases
from oddsound.tracking.hosting.setup import Setup

START_S = 300
"""The first start on PostgreSQL makes every table."""


def serve(setup: Setup, answers: Callable[[], None]) -> None:
    """Run the server until SIGINT or SIGTERM, and end it. `answers` is called once it does answer.

    Raises ConfigError where the port is taken, TrackingError where a database is shut, where MLflow
    doesn't come up, and where it ends by itself.
    """
    address.assert_free(setup.host, setup.port)
    for uri in (setup.backend, setup.accounts or ""):
        databases.assert_open(uri)
    with (
        until_asked(),
        _accounts_file(setup) as more,
        child_process(setup.command, setup.environment | more) as child,
    ):
        _wait_until_it_answers(setup, child)
        answers()
        raise TrackingError(f"MLflow ended by itself, exit code {child.wait()}; what it said is above")


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
