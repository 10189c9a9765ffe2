"""A Ray head on this machine, with token authentication, for as long as it is wanted."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from oddsound.child_process import child_process, until_asked
from oddsound.errors import ConfigError, SearchError
from oddsound.search.address import answers
from oddsound.search.auth import ANSWERED, ask_with, find_token, prepare_authentication
from oddsound.search.guard import guarded
from oddsound.tracking.hosting.address import assert_free

DASHBOARD_PORT = 8265
_WORKER_PORTS = range(10002, 20000)
"""What Ray gives its workers unless it is told otherwise; it refuses a head's port among them."""
_START_S = 120.0
_LOOK_S = 0.2
_N_LINES = 3


@dataclass(frozen=True)
class Head:
    """`host`: the address that other nodes are told; `cpus`, `gpus` None: as Ray counts them."""

    host: str = "127.0.0.1"
    port: int = 6379
    cpus: int | None = None
    gpus: int | None = None
    dashboard: bool = False
    """On loopback; it has the job server, and needs oddsound[jobs]."""

    @property
    def address(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def dashboard_url(self) -> str:
        return f"http://127.0.0.1:{DASHBOARD_PORT}"

    def command(self) -> list[str]:
        line = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"]
        line += ["--disable-usage-stats", f"--node-ip-address={self.host}", f"--port={self.port}"]
        line += [f"--include-dashboard={str(self.dashboard).lower()}", "--dashboard-host=127.0.0.1"]
        line += [f"--dashboard-port={DASHBOARD_PORT}"]
        if self.port in _WORKER_PORTS:
            moved = range(_WORKER_PORTS.stop, _WORKER_PORTS.stop + len(_WORKER_PORTS))
            line += [f"--min-worker-port={moved.start}", f"--max-worker-port={moved[-1]}"]
        line += [f"--num-cpus={self.cpus}"] if self.cpus is not None else []
        return line + ([f"--num-gpus={self.gpus}"] if self.gpus is not None else [])


def prepare_token() -> tuple[str, str]:
    """See that there is a token that only this user can read. Where it lies, and a note or "".

    Raises ConfigError where authentication is turned off.
    """
    if find_token().mode not in ("", "token"):
        raise ConfigError(
            f"RAY_AUTH_MODE={os.environ['RAY_AUTH_MODE']} turns authentication off; unset it: whoever "
            "reaches Ray's ports runs code here"
        )
    note = prepare_authentication("local", insecure=False)
    place = find_token().place
    if not place:
        raise ConfigError(
            f"{Path.home() / '.ray'}: can't be written; set RAY_AUTH_TOKEN_PATH to a token's file"
        )
    return place, note


def serve_head(head: Head, started: Callable[[], None]) -> None:
    """Run `head` until SIGINT or SIGTERM, and end what it began, however this process ends. `started` is
    called once it takes this user's token.

    Raises ConfigError where the port is taken, SearchError where Ray doesn't come up, or ends by itself.
    """
    if head.host in ("0.0.0.0", "::"):
        raise ConfigError(f"--host {head.host}: give the one address that other nodes reach this machine by")
    for port in (head.port, *([DASHBOARD_PORT] if head.dashboard else [])):
        assert_free(head.host if port == head.port else "127.0.0.1", port)
    with TemporaryFile() as said, until_asked(), guarded():
        environment = dict(os.environ) | {"RAY_AUTH_MODE": "token"}
        with child_process(head.command(), environment, said) as child:
            until = time.monotonic() + _START_S
            while child.poll() is None and not answers(head.host, head.port) and time.monotonic() < until:
                time.sleep(_LOOK_S)
            if child.poll() is None and (answer := ask_with(head.address, "")) != ANSWERED:
                raise SearchError(f"Ray at {head.address} doesn't take its own token ({answer})")
            if child.poll() is None:
                started()
            child.wait()
            raise SearchError(f"Ray ended by itself, exit code {child.returncode}: {_last_words(said)}")


def _last_words(said: IO[bytes]) -> str:
    said.seek(0)
    lines = [line.strip() for line in said.read().decode(errors="replace").splitlines() if line.strip()]
    return " | ".join(lines[-_N_LINES:]) or "it said nothing"
