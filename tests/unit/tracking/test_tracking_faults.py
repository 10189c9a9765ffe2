"""What a server can do to a Writer in the middle of a search: nothing is blocked, nothing lost or doubled.

A real `mlflow server` behind a proxy that can be told to misbehave.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow.entities import Run
from tests.faulty_server import FaultyServer, faulty_server
from tests.mlflow_server import mlflow_server
from tests.unit.tracking.small_bundles import small_bundle
from tests.unit.tracking.waiting import free_port, until

from oddsound.errors import AccessError, TrackingError
from oddsound.tracking import server, writer
from oddsound.tracking.layout import Search
from oddsound.tracking.ranking import best_trials
from oddsound.tracking.store import open_store
from oddsound.tracking.sync import SyncReport, settle, status_of, sync
from oddsound.tracking.writer import Writer
from oddsound.training.bundle import bundles

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """The database of a server, and its address."""
    folder = tmp_path_factory.mktemp("served")
    with mlflow_server(folder, free_port()) as real:
        yield folder / "mlflow.db", real.uri


@pytest.fixture(scope="module")
def behind_a_proxy(served: tuple[Path, str]) -> Iterator[FaultyServer]:
    with faulty_server(served[1]) as proxy:
        yield proxy


@pytest.fixture
def proxy(behind_a_proxy: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyServer]:
    """With the limits of a test's patience in place of a search's."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setattr(server, "PROBE_S", 1)
    monkeypatch.setattr(writer, "STALL_S", 0.5)
    yield behind_a_proxy
    behind_a_proxy.switch("pass")
    behind_a_proxy.requests.clear()


def a_search(name: str) -> Search:
    return Search(f"s-{name}", f"data-{name}")


def a_writer(proxy: FaultyServer, search: Search, tmp_path: Path) -> Writer:
    return Writer(lambda: open_store(proxy.uri, tmp_path), search, tmp_path / "trials", pause_s=0.1)


def sync_again(uri: str, search: Search, tmp_path: Path) -> SyncReport:
    """As `oddsound sync` does it, in a process that remembers nothing."""
    store, found = open_store(uri, tmp_path), list(bundles(tmp_path / "trials", "fan"))
    report = sync(store, search, {"fan": found})
    settle(store, search, "fan", found, status_of(found), only_open=True)
    return report


def runs(uri: str, search: Search, tmp_path: Path) -> list[Run]:
    store = open_store(uri, tmp_path)
    experiment = store.find_experiment(f"{search.dataset}/fan")
    return list(store.client.search_runs([experiment]))


def assert_each_once(uri: str, search: Search, tmp_path: Path) -> None:
    """One closed parent run, one closed and complete child run a bundle, and nothing else."""
    found = runs(uri, search, tmp_path)
    kinds = Counter(run.data.tags["oddsound.kind"] for run in found)
    trials = [run.data.tags["oddsound.trial"] for run in found if run.data.tags["oddsound.kind"] == "trial"]
    assert kinds["search"] == 1
    assert sorted(trials) == sorted(bundle.path.name for bundle in bundles(tmp_path / "trials", "fan"))
    assert {run.info.status for run in found} == {"FINISHED"}


MIDDLE = ["500", "retry-after", "hang", "half", "401", "403"]


@pytest.mark.parametrize("mode", MIDDLE)
def test_a_fault_in_the_middle(proxy: FaultyServer, tmp_path: Path, mode: str) -> None:
    search, trials = a_search(mode), tmp_path / "trials"
    beside = a_writer(proxy, search, tmp_path)
    small_bundle(trials, 0, 0.5)
    beside.nudge("fan")
    until(lambda: beside.report.uploaded)

    proxy.switch(mode)
    longest = 0.0
    for number in (1, 2):
        small_bundle(trials, number, 0.6)
        for _ in range(100):
            started = time.monotonic()
            beside.nudge("fan")
            longest = max(longest, time.monotonic() - started)
    until(lambda: beside.problem)
    started = time.monotonic()
    beside.close("FINISHED", 300)
    assert time.monotonic() - started < 10
    assert longest < 0.5, "a trial never waits for MLflow"
    assert beside.problem.startswith("2 of 3 trial(s) unsynced: ") and "\n" not in beside.problem
    assert ("MLFLOW_TRACKING_USERNAME" in beside.problem) == (mode in ("401", "403"))

    proxy.switch("pass")
    assert str(sync_again(proxy.uri, search, tmp_path)) == "2 sent, 1 there already, 0 failed"
    proxy.requests.clear()
    assert str(sync_again(proxy.uri, search, tmp_path)) == "0 sent, 3 there already, 0 failed"
    assert proxy.requests and proxy.written() == []
    assert_each_once(proxy.uri, search, tmp_path)


def test_one_that_is_slow_is_waited_for(proxy: FaultyServer, tmp_path: Path) -> None:
    search = a_search("slow")
    beside = a_writer(proxy, search, tmp_path)
    small_bundle(tmp_path / "trials", 0, 0.5)
    proxy.switch("slow")
    beside.nudge("fan")
    started = time.monotonic()
    assert len(beside.close("FINISHED", 60).uploaded) == 1
    assert time.monotonic() - started > writer.STALL_S
    assert beside.problem == ""
    assert_each_once(proxy.uri, search, tmp_path)


def test_one_that_hangs_from_now_on_is_not(
    proxy: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in the middle of a call that it will not be answered for a minute when the search ends."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
    search, trials = a_search("now"), tmp_path / "trials"
    beside = a_writer(proxy, search, tmp_path)
    small_bundle(trials, 0, 0.5)
    beside.nudge("fan")
    until(lambda: beside.report.uploaded)
    proxy.switch("hang")
    small_bundle(trials, 1, 0.6)
    started = time.monotonic()
    beside.nudge("fan")
    beside.close("FINISHED", 300)
    assert time.monotonic() - started < 5
    assert beside.problem.startswith("1 of 2 trial(s) unsynced: no MLflow server answers at")
    proxy.switch("pass")
    until(lambda: not beside._thread.is_alive())
    sync_again(proxy.uri, search, tmp_path)
    assert_each_once(proxy.uri, search, tmp_path)


def test_what_was_never_looked_up_is_said_so(proxy: FaultyServer, tmp_path: Path) -> None:
    small_bundle(tmp_path / "trials", 0, 0.5)
    proxy.switch("503")
    beside = a_writer(proxy, a_search("never"), tmp_path)
    beside.nudge("fan")
    beside.close("FINISHED", 300)
    assert beside.problem.startswith("up to 1 of 1 trial(s) unsynced: MLflow at http://127.0.0.1")
    assert "is ill (it answers 503)" in beside.problem


def test_where_only_files_are_refused_it_stops_trying_trial_by_trial(
    proxy: FaultyServer, tmp_path: Path
) -> None:
    """The object store is away: each trial fails while MLflow itself is well."""
    search, trials = a_search("files"), tmp_path / "trials"
    for number in range(5):
        small_bundle(trials, number, 0.5)
    proxy.switch("500", only=lambda request: request.method == "PUT")
    beside = Writer(lambda: open_store(proxy.uri, tmp_path), search, trials, pause_s=60)
    beside.nudge("fan")
    until(lambda: beside.problem)
    made = [request for request in proxy.requests if request.path.endswith("runs/create")]
    assert len(made) == 1 + 3, "the search's and three trials'"
    beside.close("FINISHED", 300)
    assert beside.problem.startswith("5 of 5 trial(s) unsynced: ")
    proxy.switch("pass")
    assert str(sync_again(proxy.uri, search, tmp_path)) == "5 sent, 0 there already, 0 failed"
    assert_each_once(proxy.uri, search, tmp_path)


def test_a_killed_searchs_run_is_closed_by_the_next_sync(proxy: FaultyServer, tmp_path: Path) -> None:
    """The process ends in the middle of a trial's record: parent and child stand RUNNING."""
    search, trials = a_search("killed"), tmp_path / "trials"
    small_bundle(trials, 0, 0.5)
    proxy.switch("500", only=lambda request: request.method == "PUT")
    with_nobody = open_store(proxy.uri, tmp_path)
    sync(with_nobody, search, {"fan": bundles(trials, "fan")})
    assert {run.info.status for run in runs(proxy.uri, search, tmp_path)} == {"RUNNING"}
    proxy.switch("pass")
    found = list(bundles(trials, "fan"))
    sync_again(proxy.uri, search, tmp_path)
    assert_each_once(proxy.uri, search, tmp_path)
    # Where fewer trials were ended than wanted, it was killed, and says so.
    store = open_store(proxy.uri, tmp_path)
    assert (status_of(found, 1), status_of(found, 2)) == ("FINISHED", "KILLED")
    settle(store, search, "fan", found, status_of(found, 2), only_open=True)
    assert_each_once(proxy.uri, search, tmp_path)  # what its driver closed stays as it was closed
    settle(store, search, "fan", found, status_of(found, 2))
    (parent,) = [r for r in runs(proxy.uri, search, tmp_path) if r.data.tags["oddsound.kind"] == "search"]
    assert (parent.info.status, parent.data.tags["oddsound.n_finished"]) == ("KILLED", "1")


def test_logging_a_trial_and_finding_the_best_take_a_known_number_of_requests(
    proxy: FaultyServer, tmp_path: Path
) -> None:
    search, trials = a_search("few"), tmp_path / "trials"
    store = open_store(proxy.uri, tmp_path)
    small_bundle(trials, 0, 0.5)
    sync(store, search, {"fan": bundles(trials, "fan")})
    small_bundle(trials, 1, 0.6, epochs=300)
    proxy.requests.clear()
    sync(store, search, {"fan": bundles(trials, "fan")})
    files = [request.path for request in proxy.requests if "/mlflow-artifacts/" in request.path]
    calls = [request.path for request in proxy.requests if "/mlflow-artifacts/" not in request.path]
    assert len(calls) <= 12, calls
    assert len(files) == len(set(files)) <= 14, files
    again = open_store(proxy.uri, tmp_path)
    again.find_experiment(f"{search.dataset}/fan")
    proxy.requests.clear()
    assert len(best_trials(again, search.dataset, "fan", 5)) == 2
    assert [request.path for request in proxy.requests] == ["/api/2.0/mlflow/runs/search"]


WRONG: dict[str, tuple[type[TrackingError], str]] = {
    "401": (AccessError, "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
    "403": (AccessError, "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
    "404": (TrackingError, r"is no MLflow server \(status 404\)"),
    "html": (TrackingError, r"is no MLflow server \(status 200\)"),
    "json": (TrackingError, r"is no MLflow server \(status 200\)"),
    "500": (TrackingError, r"is ill \(it answers 500\)"),
    "retry-after": (TrackingError, r"is ill \(it answers 503\)"),
    "hang": (TrackingError, r"no MLflow server answers at .*timed out"),
    "half": (TrackingError, r"no MLflow server answers at .*timed out"),
}


@pytest.mark.parametrize("mode", WRONG)
def test_a_server_that_is_none_is_one_line_in_seconds(proxy: FaultyServer, tmp_path: Path, mode: str) -> None:
    kind, text = WRONG[mode]
    proxy.switch(mode)
    started = time.monotonic()
    with pytest.raises(kind, match=text) as raised:
        open_store(proxy.uri, tmp_path)
    assert time.monotonic() - started < 5
    assert "\n" not in str(raised.value) and "<h" not in str(raised.value)
    assert len(proxy.requests) == 1, "nothing is tried twice"


@pytest.mark.parametrize("path", ["/wrong", "/#/experiments/0", "/api/2.0/mlflow"])
def test_a_wrong_path_is_one_line(proxy: FaultyServer, tmp_path: Path, path: str) -> None:
    with pytest.raises(TrackingError, match=r"is no MLflow server .*up to the #, as --tracking-uri"):
        open_store(proxy.uri + path, tmp_path)


LOCK = """
import sqlite3, sys, time
database = sqlite3.connect(sys.argv[1], timeout=20, isolation_level=None)
database.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
time.sleep(30)
database.rollback()
"""


def test_a_database_locked_for_half_a_minute(
    served: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By another process, in the middle of three searches, one of them through a server: two catch up by
    themselves, one ends meanwhile and is not held up."""
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)
    database, address = served
    uris = {"direct": f"sqlite:///{database}", "server": address, "ends": f"sqlite:///{database}"}
    folders = {name: tmp_path / name / "trials" for name in uris}
    beside = {
        name: Writer(lambda uri=uri: open_store(uri, tmp_path), a_search(name), folders[name])
        for name, uri in uris.items()
    }
    for name, each in beside.items():
        small_bundle(folders[name], 0, 0.5)
        each.nudge("fan")
        until(lambda each=each: each.report.uploaded)
    with subprocess.Popen([sys.executable, "-c", LOCK, database], stdout=subprocess.PIPE) as locker:
        assert locker.stdout is not None and locker.stdout.readline() == b"locked\n"
        for name, each in beside.items():
            small_bundle(folders[name], 1, 0.6)
            started = time.monotonic()
            each.nudge("fan")
            assert time.monotonic() - started < 0.5, "a trial never waits for MLflow"
        started = time.monotonic()
        beside["ends"].close("FINISHED", 300)
        assert time.monotonic() - started < 15
        assert locker.poll() is None, "it is locked still"
        assert beside["ends"].problem.startswith("1 of 2 trial(s) unsynced: looking at the tracking store")
        assert "database is locked" in beside["ends"].problem
    for name in ("direct", "server"):
        until(lambda each=beside[name]: len(each.report.uploaded) == 2, 60)
        beside[name].close()
        assert beside[name].problem == ""
    until(lambda: not beside["ends"]._thread.is_alive(), 60)
    for name, uri in uris.items():
        sync_again(uri, a_search(name), tmp_path / name)
        assert_each_once(uri, a_search(name), tmp_path / name)
