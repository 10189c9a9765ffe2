"""Where a server listens, under which names it answers, and from which pages it takes requests."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

from oddsound.errors import ConfigError


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches `host`. A name other than localhost may lead anywhere."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def host_names(given: Sequence[str], host: str, port: int) -> list[str]:
    """The Host headers that are answered: the names `given`, with and without the port, or loopback's.

    MLflow compares them as they are; only a `*` would match more, and MLflow's own list, `10.*`, takes
    `10.evil.example`: a page that a colleague opens could then read the server. So no `*` here.
    Raises ConfigError for one, for an address with a scheme or a path, and for none beyond loopback.
    """
    for name in given:
        if not name or "*" in name or "/" in name or "@" in name:
            raise ConfigError(
                f"--allowed-hosts {name!r}: give the names that people type, each in full, without https:// "
                "and without *"
            )
    if given:
        return list(dict.fromkeys(form for name in given for form in _with_port(name, port)))
    if not is_loopback(host):
        raise ConfigError(
            f"--host {host} is reached from elsewhere: name what people type to get here in "
            "--allowed-hosts, such as mlflow.lab.example"
        )
    return [f"localhost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}"]


def pages(given: Sequence[str], names: Sequence[str]) -> list[str]:
    """The origins whose pages may change something: those `given`, or the server's own (behind TLS)."""
    for origin in given:
        if "*" in origin or not origin.startswith(("http://", "https://")):
            raise ConfigError(f"--cors-origins {origin!r}: give https://name[:port], each in full, without *")
    return list(given) or [f"{'http' if is_loopback(_bare(name)) else 'https'}://{name}" for name in names]


def probe_url(host: str, port: int) -> str:
    """Where the server answers this machine."""
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


def assert_free(host: str, port: int) -> None:
    """Raises ConfigError where `port` is taken, or `host` isn't an address of this machine."""
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(where)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"port {port} of {host} is taken: end what listens there, or give another --port"
            ) from error
        raise ConfigError(f"can't listen on {host} port {port}: {error.strerror or error}") from error


def _with_port(name: str, port: int) -> list[str]:
    """Behind a proxy a browser sends the name alone, without one the port, too."""
    has_port = not name.endswith("]") and name.rpartition(":")[2].isdigit()
    return [name] if has_port else [name, f"{name}:{port}"]


def _bare(name: str) -> str:
    """A Host header's name without its port."""
    return urlsplit(f"//{name}").hostname or ""
