"""The Writer beside a search: an outage is a line in `problem`, and nothing is lost by it."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest
from tests.unit.tracking.server_process import stop
from tests.unit.tracking.small_bundles import failed_bundle, small_bundle
from tests.unit.tracking.waiting import until

from oddsound.errors import TrackingError
from oddsound.tracking import sync as sync_module
from oddsound.tracking.layout import Search
from oddsound.tracking.ranking import best_trials
from oddsound.tracking.reading import fetch_model, load_tracked
from oddsound.tracking.registry import register_best
from oddsound.tracking.store import Store, open_store
from oddsound.tracking.sync import sync
from oddsound.tracking.writer import Writer
from oddsound.training.bundle import bundles

SEARCH = Search("s1", "demo")


@contextmanager
def away() -> Iterator[None]:
    """The store as it is in an outage."""
    error = TrackingError("nobody answers")
    with (
        patch.object(Store, "probe", side_effect=error),
        patch.object(sync_module, "log_trial", side_effect=error),
    ):
        yield


def test_what_is_finished_is_sent_while_the_search_goes_on(store: Store, tmp_path: Path) -> None:
    trials = tmp_path / "trials"
    writer = Writer(lambda: store, SEARCH, trials, {"fan": {"train": 10}})
    small_bundle(trials, 0, 0.6)
    writer.nudge("fan")
    until(lambda: writer.report.uploaded)
    small_bundle(trials, 1, 0.7)
    failed_bundle(trials)
    report = writer.close()
    assert (len(report.uploaded), report.failed, writer.problem) == (2, {}, "")
    experiment = store.find_experiment("demo/fan")
    (parent,) = store.client.search_runs([experiment], "tags.`oddsound.kind` = 'search'")
    assert parent.info.status == "FINISHED"
    assert (parent.data.tags["oddsound.n_finished"], parent.data.tags["oddsound.n_failed"]) == ("2", "1")


def test_an_outage_is_a_problem_and_then_is_over(store: Store, tmp_path: Path) -> None:
    trials = tmp_path / "trials"
    small_bundle(trials, 0, 0.6)
    with away():
        writer = Writer(lambda: store, SEARCH, trials, pause_s=0.05)
        writer.nudge("fan")
        until(lambda: writer.problem)
        assert "nobody answers" in writer.problem
    until(lambda: writer.report.uploaded)
    assert len(writer.close().uploaded) == 1
    assert writer.problem == ""


def test_in_an_outage_it_does_not_hammer(tmp_path: Path) -> None:
    small_bundle(tmp_path / "trials", 0, 0.6)
    calls = []

    def refuse() -> Store:
        calls.append(time.monotonic())
        raise TrackingError("nobody answers")

    writer = Writer(refuse, SEARCH, tmp_path / "trials", pause_s=60)
    started = time.monotonic()
    for _ in range(200):
        writer.nudge("fan")
    assert time.monotonic() - started < 1
    until(lambda: writer.problem)
    for _ in range(200):
        writer.nudge("fan")
    writer.close()
    assert len(calls) == 2  # the first, and the last look of close
    assert writer.problem == "up to 1 of 1 trial(s) unsynced: nobody answers"


def test_close_waits_no_longer_than_it_is_told(store: Store, tmp_path: Path) -> None:
    small_bundle(tmp_path / "trials", 0, 0.6)
    go = threading.Event()

    def slow() -> Store:
        go.wait(30)
        return store

    writer = Writer(slow, SEARCH, tmp_path / "trials")
    writer.nudge("fan")
    writer.close(timeout_s=0.1)
    assert "sync" in writer.problem
    go.set()
    assert len(writer.close().uploaded) == 1


def test_a_surprise_is_a_problem_and_no_silent_death(tmp_path: Path) -> None:
    def broken() -> Store:
        raise ZeroDivisionError("surprise")

    writer = Writer(broken, SEARCH, tmp_path / "trials")
    writer.nudge("fan")
    until(lambda: writer.problem)
    assert "ZeroDivisionError: surprise" in writer.problem
    assert writer.close().uploaded == {}


def test_a_writer_that_was_never_nudged_touches_nothing(tmp_path: Path) -> None:
    writer = Writer(lambda: pytest.fail("connected"), SEARCH, tmp_path)
    assert str(writer.close()) == "0 sent, 0 there already, 0 failed"


@pytest.mark.slow
def test_a_real_server_that_dies_and_comes_back(
    serve: Callable[[], tuple[str, subprocess.Popen[bytes]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    trials = tmp_path / "trials"
    for number in range(2):
        small_bundle(trials, number, 0.5 + number / 10, epochs=400)  # more than one call takes
    address, server = serve()
    writer = Writer(lambda: open_store(address, tmp_path), SEARCH, trials, pause_s=0.2)
    writer.nudge("fan")
    until(lambda: len(writer.report.uploaded) == 2)
    stop(server)

    small_bundle(trials, 2, 0.9)
    with pytest.raises(TrackingError, match="no MLflow server answers"):
        open_store(address, tmp_path)
    writer.nudge("fan")
    until(lambda: writer.problem)
    serve()
    until(lambda: len(writer.report.uploaded) == 3)
    assert writer.close().failed == {} and writer.problem == ""
    assert_complete(open_store(address, tmp_path), trials, tmp_path / "model")
    assert capfd.readouterr().out == ""
    assert not {"mlruns", "mlartifacts", "mlflow.db"} & {path.name for path in tmp_path.iterdir()}


def assert_complete(store: Store, trials: Path, folder: Path) -> None:
    """All three trials, once, their artifacts and the registry, through the server."""
    again = sync(store, SEARCH, {"fan": bundles(trials, "fan")})
    assert (again.uploaded, len(again.already)) == ({}, 3)
    best = best_trials(store, "demo", "fan")
    assert [load_tracked(store, tracked)[1].omega for tracked in best] == [0.9, 0.6, 0.5]
    assert [place.rank for place in register_best(store, "demo", "fan")] == [1, 2, 3]
    assert store.client.get_model_version_by_alias("demo.fan", "champion").run_id == best[0].run_id
    assert fetch_model(store, best[0], folder).weights.is_file()
