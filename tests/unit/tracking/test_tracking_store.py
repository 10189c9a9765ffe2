"""Opening a store: made once, at the right place, and a wrong address is one line within seconds."""

from __future__ import annotations

import http.server
import multiprocessing
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from oddsound.errors import TrackingError
from oddsound.tracking.store import open_store, shown


def _open(folder: Path) -> None:
    open_store(None, folder)


def test_a_fresh_store_is_made_in_silence_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    store = open_store(None, tmp_path / "run")
    store.experiment("demo/fan")
    assert tuple(capfd.readouterr()) == ("", "")
    assert list(here.iterdir()) == []
    assert (tmp_path / "run" / "mlflow.db").is_file()
    location = store.client.get_experiment(store.experiments["demo/fan"]).artifact_location
    assert location == (tmp_path / "run" / "artifacts" / "demo" / "fan").as_posix()


def test_an_sqlite_address_keeps_its_artifacts_beside_the_file(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/other/runs.db", tmp_path / "ignored")
    assert store.artifact_root == tmp_path / "other" / "artifacts"
    assert (tmp_path / "other" / "runs.db").is_file()
    assert not (tmp_path / "ignored").exists()


@pytest.mark.slow
def test_processes_that_open_a_fresh_store_together_all_succeed(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_open, args=(tmp_path,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]


@pytest.mark.parametrize(
    "uri", ["mlruns", "file:///tmp/x", "postgresql://me:secret@h/db", "databricks", "sqlite:///", "sqlite://"]
)
def test_other_addresses_are_refused_without_their_password(uri: str, tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match="can't be used: give http") as raised:
        open_store(uri, tmp_path)
    assert "secret" not in str(raised.value)


def test_a_file_that_is_no_database_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("not a database, but long enough to look at" * 50)
    with pytest.raises(TrackingError, match=r"mlflow\.db: can't be opened") as raised:
        open_store(None, tmp_path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "me:secret@127.0.0.1:{port}", "no.such.host.invalid"])
def test_a_dead_address_is_one_line_in_seconds(host: str, free_port: int, tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(TrackingError, match="no MLflow server answers") as raised:
        open_store(f"http://{host.format(port=free_port)}", tmp_path)
    assert time.monotonic() - started < 15
    assert "secret" not in str(raised.value) and "\n" not in str(raised.value)


class _Other(http.server.BaseHTTPRequestHandler):
    """Somebody else's web server: it has no page of MLflow's, and hangs up on a POST."""

    def do_GET(self) -> None:
        self.send_error(404)

    def do_POST(self) -> None:
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def other_server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Other) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_server_that_is_not_mlflow_is_one_line_without_the_password(
    other_server: str, tmp_path: Path
) -> None:
    with pytest.raises(TrackingError, match=r"answers at http://127.*Remote end closed") as raised:
        open_store(f"http://me:secret@{other_server}", tmp_path)
    assert "secret" not in str(raised.value)


def test_shown_keeps_all_but_the_credentials() -> None:
    assert shown("https://me:secret@host:5000/path") == "https://host:5000/path"
    assert shown("sqlite:////data/mlflow.db") == "sqlite:////data/mlflow.db"
