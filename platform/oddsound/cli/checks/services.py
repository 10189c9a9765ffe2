"""Ports, Ray's token, and whether the Ray cluster and the MLflow that a search is to use answer."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from oddsound.cli.checks._base import Finding, existing, failure, ok, warning
from oddsound.errors import ConfigError, TrackingError
from oddsound.search.address import LOCAL, host_and_port, knock
from oddsound.search.auth import ANSWERED, REFUSED, ask_with, find_token

PORTS = (("serve mlflow", 5000), ("serve ray", 6379), ("serve optuna", 8080))
_PATIENCE_S = 7.0
"""For a process that imports Ray and asks; the whole command is to take less than 10 s."""
_LOCK_S = 2.0


def ports() -> Iterator[Finding]:
    """Those that `oddsound serve` listens on where it isn't told another; a local search takes any."""
    from oddsound.tracking.hosting.address import assert_free

    for server, port in PORTS:
        about = f"port {port}"
        try:
            assert_free("127.0.0.1", port)
        except ConfigError:
            yield warning(
                about, "is taken", f"give `oddsound {server}` another --port", port=port, free=False
            )
        else:
            yield ok(about, f"free for `oddsound {server}`", port=port, free=True)


def token(address: str) -> Iterator[Finding]:
    """Ray's token as a search on `address` would find it. Nothing is written."""
    found = find_token()
    facts: dict[str, Any] = {"mode": found.mode, "place": found.place, "exposed": found.exposed}
    mode = f"RAY_AUTH_MODE={found.mode}" if found.mode else "RAY_AUTH_MODE unset"
    if found.mode == "disabled":
        remedy = "unset RAY_AUTH_MODE: whoever reaches Ray's ports runs code here"
        yield warning("Ray's token", f"{mode} turns authentication off", remedy, **facts)
    elif found.exposed:
        judge = warning if address == LOCAL else failure
        yield judge("Ray's token", f"{found.place}: others can read it", f"chmod 600 {found.place}", **facts)
    elif found.place:
        yield ok("Ray's token", f"{found.place}; {mode}", **facts)
    elif address == LOCAL:
        yield ok("Ray's token", f"none yet, the first search writes one; {mode}", **facts)
    else:
        remedy = "copy the cluster's to ~/.ray/auth_token with mode 600 (`ray get-auth-token` on its head)"
        yield failure("Ray's token", f"none for {address}; {mode}", remedy, **facts)


def ray(address: str) -> Iterator[Finding]:
    """Whether a cluster answers at `address`, asks for a token, and takes ours."""
    host, _ = host_and_port(address)
    about = f"Ray at {address}"
    if not host:
        yield warning(about, "can't be asked by this name", "give the HOST:PORT of its head")
        return
    knock(address)
    ours = find_token().place
    with ThreadPoolExecutor(2) as pool:
        wrong = pool.submit(ask_with, address, secrets.token_hex(32), _PATIENCE_S)
        right = pool.submit(ask_with, address, "", _PATIENCE_S) if ours else None
    facts: dict[str, Any] = {"wrong_token": wrong.result(), "own_token": right.result() if right else None}
    if wrong.result() == ANSWERED:
        remedy = "start every node with RAY_AUTH_MODE=token, or give --insecure where nobody else reaches it"
        yield failure(about, "takes any token: everyone who reaches it runs code there", remedy, **facts)
    elif wrong.result() != REFUSED:
        yield failure(about, f"is no Ray that answers ({wrong.result()})", "mend --ray-address", **facts)
    elif right is None:
        yield warning(about, "answers and asks for a token", "see the line about the token", **facts)
    elif right.result() == ANSWERED:
        yield ok(about, "answers, and takes this token", **facts)
    else:
        remedy = "`ray get-auth-token` on its head prints the right one"
        yield failure(about, f"answers, but not to this token ({right.result()})", remedy, **facts)


def mlflow(uri: str) -> Iterator[Finding]:
    """Whether the tracking server lets us in, or the sqlite file can be written. None is made."""
    from oddsound.tracking.store import canonical, shown

    uri = canonical(uri)
    about = f"MLflow at {shown(uri)}"
    if uri.startswith("sqlite:///"):
        yield _database(about, Path(uri.removeprefix("sqlite:///")))
    elif uri.startswith(("http://", "https://")):
        from oddsound.tracking.server import knock as ask

        ask(uri.rstrip("/"), shown(uri))
        yield ok(about, "answers, and lets us in", uri=shown(uri))
    else:
        remedy = "give http(s)://host:port of a server, or sqlite:///path/to/mlflow.db"
        yield failure(about, "is no address of MLflow's", remedy, TrackingError)


def _database(about: str, file: Path) -> Finding:
    if not file.is_file():
        there = existing(file.parent)
        if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
            return failure(
                about,
                f"{there} can't be written",
                "give another --tracking-uri",
                TrackingError,
                exists=False,
            )
        makes = "it" if there == file.parent.absolute() else f"{file.parent} and it"
        return ok(about, f"no file yet, the first search makes {makes}", exists=False)
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=rw", timeout=_LOCK_S, uri=True)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.rollback()
    except sqlite3.Error as error:
        remedy = "end what holds it, mend its permissions, or give another --tracking-uri"
        return failure(about, f"can't be written ({error})", remedy, TrackingError, exists=True)
    return ok(about, "can be written", exists=True)
