"""`oddsound serve optuna`: loopback's names alone, nothing changed, the journal of today.

optuna-dashboard is an extra that the tests don't install; what stands in for it answers with the studies
of the real storage that it is handed, as its `wsgi` is.
"""

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from oddsound.errors import ConfigError
from oddsound.search.dashboard import serve_studies

STAND_IN = """
import optuna

def wsgi(storage):
    def app(environ, start):
        start("200 OK", [("Content-Type", "text/plain")])
        return [",".join(sorted(optuna.get_all_study_names(storage))).encode()]
    return app
"""


def journal(run: Path, *names: str) -> None:
    """The studies of a search that has ended."""
    new = run / "new.journal"
    new.unlink(missing_ok=True)
    storage = JournalStorage(JournalFileBackend(str(new)))
    for name in names:
        optuna.create_study(storage=storage, study_name=name)
    new.replace(run / "studies.journal")


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
def server(tmp_path: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    (tmp_path / "optuna_dashboard.py").write_text(STAND_IN)
    journal(tmp_path, "fan", "valve")
    code = "from oddsound.cli.main import main; main()"
    line = [sys.executable, "-c", code, "serve", "optuna", str(tmp_path), "--port", str(port)]
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    child = subprocess.Popen(line, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": paths})
    try:
        assert child.stderr is not None
        assert (
            child.stderr.readline() == f"studies of {tmp_path} on http://127.0.0.1:{port} (Ctrl-C ends it)\n"
        )
        yield child
    finally:
        child.kill()
        child.communicate()


def ask(port: int, method: str = "GET", host: str | None = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, "/", headers={"Host": host or f"127.0.0.1:{port}"})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_it_serves_todays_studies_until_it_is_asked_to_end(
    server: subprocess.Popen[str], port: int, tmp_path: Path
) -> None:
    assert ask(port) == (200, "fan,valve")
    assert ask(port, host=f"localhost:{port}")[0] == 200
    for host in ("evil.example", f"127.0.0.1.evil.example:{port}", "127.0.0.1"):
        assert ask(port, host=host)[0] == 403
    for method in ("POST", "PUT", "DELETE"):
        assert ask(port, method)[0] == 405
    journal(tmp_path, "fan", "pump", "valve")
    assert ask(port) == (200, "fan,pump,valve")
    server.send_signal(signal.SIGINT)
    assert server.wait(timeout=30) == 0
    assert server.stderr is not None
    assert server.stderr.read() == ""


def test_what_it_needs_is_said(tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"pip install 'oddsound\[dashboard\]'"):
        serve_studies(tmp_path, port, print)
    (tmp_path / "optuna_dashboard.py").write_text(STAND_IN)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"studies\.journal: isn't there"):
        serve_studies(tmp_path, port, print)
    journal(tmp_path, "fan")
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(ConfigError, match=f"port {port} of 127.0.0.1 is taken"),
    ):
        serve_studies(tmp_path, port, print)
