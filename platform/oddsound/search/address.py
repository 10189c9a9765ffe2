"""Addresses of Ray clusters, and whether anybody answers there. Imports no Ray."""

from __future__ import annotations

import socket

from oddsound.errors import ConfigError

LOCAL = "local"
LOOK_S = 2.0


def knock(address: str) -> None:
    """Raises ConfigError where nobody answers at host:port: Ray would try for minutes, aloud."""
    host, port = host_and_port(address)
    if host and not answers(host, port):
        raise ConfigError(f"Ray at {address}: nobody answers there; start the cluster, or mend --ray-address")


def host_and_port(address: str) -> tuple[str, int]:
    """("", 0) for what names no port, such as `local` or `auto`."""
    host, _, port = address.rpartition(":")
    return (host.strip("[]"), int(port)) if host and port.isdigit() else ("", 0)


def answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=LOOK_S):
            return True
    except OSError:
        return False
