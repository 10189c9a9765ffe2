"""A Ray cluster of several nodes on one machine, each node of which can be killed."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from oddsound.search.guard import MARK, marked

RAY = Path(sys.executable).parent / "ray"
SOON_S = 120.0
_IMPATIENT = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "4000",
    "RAY_health_check_failure_threshold": "4",
}
"""A node that doesn't answer is dead after some 5 seconds, not 30."""


def wait_for(what: Callable[[], bool], why: str, within_s: float = SOON_S) -> None:
    """Look again and again until `what` is so."""
    until = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < until, f"not within {within_s:g} s: {why}"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def command_line(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return ""


@dataclass
class Node:
    """`ray start --block`, and all that it begins: known by a mark in their environment."""

    process: subprocess.Popen[str]
    mark: str

    def pids(self, having: str = "") -> list[int]:
        return [pid for pid in marked(self.mark) if having in command_line(pid)]

    def kill(self, having: str = "") -> int:
        """SIGKILL every process of the node whose command line has `having`; how many."""
        pids = self.pids(having)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(pids)

    def bury(self) -> None:
        """Kill what is left of it."""
        while self.kill():
            time.sleep(0.05)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@dataclass
class Nodes:
    """A head without CPUs and worker nodes of one CPU each, with token authentication."""

    folder: Path
    port: int = field(default_factory=free_port)
    token: str = field(default_factory=lambda: secrets.token_hex(32))
    nodes: list[Node] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a client of the cluster needs."""
        known = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        return known | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token, "PYTHONUNBUFFERED": "1"}

    def start_head(self) -> Node:
        options = ["--head", "--port", str(self.port), "--include-dashboard", "false"]
        node = self._begin(*options, "--num-cpus", "0", "--temp-dir", str(self.folder))
        _wait_until_up(node)
        return node

    def add(self, n: int = 1) -> list[Node]:
        """`n` workers, one after another: Ray gives each 30 s to come up."""
        begun = []
        for _ in range(n):
            begun.append(self._begin("--address", self.address, "--num-cpus", "1"))
            _wait_until_up(begun[-1])
        return begun

    def _begin(self, *options: str) -> Node:
        mark, ip = secrets.token_hex(8), f"127.0.0.{len(self.nodes) + 1}"
        line = [str(RAY), "start", "--block", "--disable-usage-stats", "--node-ip-address", ip, *options]
        ports = ["--dashboard-agent-listen-port", "--dashboard-agent-grpc-port", "--metrics-export-port"]
        line += [word for name in ports for word in (name, str(free_port()))]
        line += ["--object-store-memory", str(100 << 20)]
        environment = self.environment | _IMPATIENT | {MARK: mark}
        process = subprocess.Popen(
            line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )
        self.nodes.append(Node(process, mark))
        return self.nodes[-1]

    def __enter__(self) -> Nodes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for node in self.nodes:
            node.bury()


def _wait_until_up(node: Node) -> None:
    assert node.process.stdout is not None
    said = ""
    for line in node.process.stdout:
        said += line
        if "Ray runtime started" in line:
            return
    raise AssertionError(said)
