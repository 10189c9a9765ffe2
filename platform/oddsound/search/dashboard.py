"""optuna-dashboard on the studies of a run: on loopback, for this machine's names alone, and read-only."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from oddsound.child_process import until_asked
from oddsound.errors import ConfigError
from oddsound.tracking.hosting.address import assert_free, host_names

HOST = "127.0.0.1"
_LOOKS = ("GET", "HEAD")
"""The dashboard can delete studies and write notes; the journal is a view, and written anew."""

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def serve_studies(run: Path, port: int, answers: Callable[[str], None]) -> None:
    """Serve the dashboard of `run`/studies.journal until SIGINT or SIGTERM; `answers` is told the address.

    Raises ConfigError where optuna-dashboard isn't installed, there are no studies or the port is taken.
    """
    if importlib.util.find_spec("optuna_dashboard") is None:
        raise ConfigError("optuna-dashboard isn't installed; pip install 'oddsound[dashboard]'")
    journal = run / "studies.journal"
    if not journal.is_file():
        raise ConfigError(f"{journal}: isn't there; a search writes it when it ends")
    assert_free(HOST, port)
    app = guarded_app(_OfToday(journal), host_names((), HOST, port))
    with until_asked(), make_server(HOST, port, app, _Server, _Handler) as server:
        answers(f"http://{HOST}:{port}")
        server.serve_forever()


def guarded_app(app: App, hosts: Sequence[str]) -> App:
    """`app` for requests to one of these Host headers that only look: a page from elsewhere that a browser
    was led to gets nothing, and nobody changes anything."""

    def guarded(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("HTTP_HOST", "") not in hosts:
            return _refused(start, "403 Forbidden", f"this server answers to {', '.join(hosts)} alone")
        if environ["REQUEST_METHOD"] not in _LOOKS:
            return _refused(start, "405 Method Not Allowed", "a run's studies are here to be looked at")
        return app(environ, start)

    return guarded


def _refused(start: Callable[..., Any], status: str, why: str) -> Iterable[bytes]:
    start(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [why.encode()]


class _OfToday:
    """The dashboard of the journal as it is: the end of a search puts another in its place."""

    def __init__(self, journal: Path) -> None:
        self._journal, self._seen = journal, (0, 0)
        self._app: App = _not_yet

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        stat = self._journal.stat()
        now = stat.st_ino, stat.st_mtime_ns
        if self._seen != now:
            self._seen, self._app = now, _dashboard(self._journal)
        return self._app(environ, start)


def _not_yet(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    return _refused(start, "503 Service Unavailable", "the studies aren't read yet")


def _dashboard(journal: Path) -> App:
    import optuna_dashboard

    app: App = optuna_dashboard.wsgi(JournalStorage(JournalFileBackend(str(journal))))
    return app


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: a request is no news."""
