"""`oddsound serve optuna`: loopback's names alone, nothing changed, the journal of today."""

import http.client
import json
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
    journal(tmp_path, "fan", "valve")
    code = "from oddsound.cli.main import main; main()"
    line = [sys.executable, "-c", code, "serve", "optuna", str(tmp_path), "--port", str(port)]
    child = subprocess.Popen(line, stderr=subprocess.PIPE, text=True)
    try:
        assert child.stderr is not None
        assert (
            child.stderr.readline() == f"studies of {tmp_path} on http://127.0.0.1:{port} (Ctrl-C ends it)\n"
        )
        yield child
    finally:
        child.kill()
        child.communicate()


def ask(
    port: int, method: str = "GET", path: str = "/api/studies", host: str | None = None
) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, headers={"Host": host or f"127.0.0.1:{port}"})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def studies(port: int) -> dict[str, int]:
    """Id by name, as the dashboard's page asks for them."""
    return {s["study_name"]: s["study_id"] for s in json.loads(ask(port)[1])["study_summaries"]}


def test_it_serves_todays_studies_until_it_is_asked_to_end(
    server: subprocess.Popen[str], port: int, tmp_path: Path
) -> None:
    assert list(studies(port)) == ["fan", "valve"]
    assert ask(port, host=f"localhost:{port}")[0] == 200
    assert "<html" in ask(port, path="/dashboard")[1]
    journal(tmp_path, "fan", "pump", "valve")
    assert list(studies(port)) == ["fan", "pump", "valve"]
    server.send_signal(signal.SIGINT)
    assert server.wait(timeout=30) == 0
    assert server.stderr is not None
    assert server.stderr.read() == ""


@pytest.mark.usefixtures("server")
def test_nobody_else_is_answered_and_nothing_changed(port: int, tmp_path: Path) -> None:
    before = (tmp_path / "studies.journal").read_bytes()
    for host in ("evil.example", f"127.0.0.1.evil.example:{port}", "127.0.0.1"):
        assert ask(port, host=host)[0] == 403
    fan = studies(port)["fan"]
    for method, path in (
        ("DELETE", f"/api/studies/{fan}"),
        ("POST", "/api/studies"),
        ("PUT", f"/api/studies/{fan}/note"),
    ):
        assert ask(port, method, path)[0] == 405
    assert list(studies(port)) == ["fan", "valve"]
    assert (tmp_path / "studies.journal").read_bytes() == before


def test_what_it_needs_is_said(tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"studies\.journal: isn't there"):
        serve_studies(tmp_path, port, print)
    journal(tmp_path, "fan")
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(ConfigError, match=f"port {port} of 127.0.0.1 is taken"),
    ):
        serve_studies(tmp_path, port, print)
    monkeypatch.setattr(sys, "path", [])  # the extra isn't installed
    monkeypatch.delitem(sys.modules, "optuna_dashboard", raising=False)
    with pytest.raises(ConfigError, match=r"pip install 'oddsound\[dashboard\]'"):
        serve_studies(tmp_path, port, print)
