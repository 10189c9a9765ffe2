"""The laptop's server for real: what it says, how it ends, what it refuses."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from tests.mlflow_server import mlflow_server
from tests.unit.tracking.server_process import is_gone, processes_below
from tests.unit.tracking.waiting import free_port, until

from oddsound.cli.main import main
from oddsound.tracking.store import open_store

ODDSOUND = Path(sys.executable).parent / "oddsound"


def exits(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["serve", "mlflow", *map(str, words)])
    return int(ended.value.code or 0)


@pytest.mark.slow
def test_ctrl_c_ends_all_that_it_started(tmp_path: Path) -> None:
    port = free_port()
    with mlflow_server(tmp_path, port) as server:
        until(lambda: f"mlflow.db on http://127.0.0.1:{port} (Ctrl-C ends it)" in server.log.read_text())
        below = processes_below(server.process.pid)
        assert len(below) == 2, "the MLflow command and its one worker"
        for host in ("10.evil.example", "localhost:evil.example", "192.168.evil.example"):
            assert requests.get(server.uri, headers={"Host": host}, timeout=20).status_code == 403
        assert requests.get(server.uri, timeout=20).status_code == 200
        assert exits(tmp_path, "--port", port) == 2  # it is taken
        os.kill(server.process.pid, signal.SIGINT)
        assert server.process.wait(30) == 0
        assert all(map(is_gone, below))
    with socket.create_server(("127.0.0.1", port)):
        pass
    assert "Traceback" not in server.log.read_text()


def test_ending_it_before_it_answers(tmp_path: Path) -> None:
    open_store(None, tmp_path)
    server = subprocess.Popen(
        [ODDSOUND, "serve", "mlflow", tmp_path, "--port", str(free_port())],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    until(lambda: processes_below(server.pid))
    below = processes_below(server.pid)
    server.send_signal(signal.SIGTERM)
    out, said = server.communicate(timeout=30)
    assert (server.returncode, out) == (0, b"") and b"Traceback" not in said
    assert all(map(is_gone, below))


@pytest.mark.parametrize(
    "words, code, says",
    [
        (["nowhere"], 3, "no file nowhere"),
        ([], 2, "MLFLOW_BACKEND_STORE_URI"),
        (["run", "--host", "0.0.0.0"], 2, "--accounts"),
        (["run", "--host", "::", "--allowed-hosts", "lab"], 2, "--accounts"),
        (["run", "--host", "0.0.0.0", "--accounts"], 2, "--allowed-hosts"),
        (
            ["run", "--host", "0.0.0.0", "--accounts", "--allowed-hosts", "lab"],
            2,
            "MLFLOW_AUTH_ADMIN_PASSWORD",
        ),
        (["run", "--allowed-hosts", "10.*"], 2, "without *"),
        (["run", "--port", "0"], 2, "--port"),
    ],
)
def test_refusals_are_one_line(
    words: list[str],
    code: int,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mlflow.db").write_bytes(b"SQLite format 3\0")
    assert exits(*words) == code
    shown = capsys.readouterr()
    assert shown.out == "" and says in shown.err
    assert len(shown.err.strip().splitlines()) == 1 or "Usage" in shown.err
