"""Waiting for a server of our own, and ending it and no other."""

from __future__ import annotations

import subprocess
import time
import urllib.request


def wait_until_healthy(address: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"the server did not come up: exit code {server.poll()}")


def stop(server: subprocess.Popen[bytes]) -> None:
    """End this one server; its worker goes with it."""
    if server.poll() is None:
        server.terminate()
        server.wait(20)
