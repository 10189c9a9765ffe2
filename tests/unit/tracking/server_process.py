"""Waiting for a server of our own, and ending it and no other."""

from __future__ import annotations

import subprocess
import time
import urllib.request
from pathlib import Path


def wait_until_healthy(address: str, server: subprocess.Popen[bytes], log: Path | None = None) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    said = log.read_text()[-3000:] if log else ""
    raise AssertionError(f"the server did not come up: exit code {server.poll()}\n{said}")


def stop(server: subprocess.Popen[bytes]) -> None:
    """End this one server; what it started goes with it."""
    if server.poll() is None:
        server.terminate()
        server.wait(30)


def processes_below(pid: int) -> list[int]:
    """The ids of all that `pid` started and that they started."""
    found: list[int] = []
    for parent in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, parent.read_text().split()):
            found += [child, *processes_below(child)]
    return found


def is_gone(pid: int) -> bool:
    """Ended, or ended and not yet collected by init."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
