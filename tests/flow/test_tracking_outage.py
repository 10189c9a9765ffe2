"""A real search whose MLflow falls ill in the middle, in one way after another: it ends, and sync mends."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faulty_server import FaultyServer, faulty_server
from tests.mlflow_server import mlflow_server
from tests.unit.tracking.waiting import free_port, until

from oddsound.search.record import read_record
from oddsound.tracking.store import open_store
from oddsound.training.bundle import bundles, finished

ODDSOUND = Path(sys.executable).parent / "oddsound"
SETTINGS = """
model: {pretrained: none, width: 0.1, depth: 0.3, ae_hidden: 16}
augment: {time_mask_frames: 3}
features: {median_frames: 0}
training: {epochs: 2, batch_size: 8}
"""
MODES = ("503", "half", "401", "hang")
"""What MLflow does from the first trial's end on, from the second's on and so forth."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyServer]:
    with (
        mlflow_server(tmp_path_factory.mktemp("served"), free_port()) as real,
        faulty_server(real.uri) as proxy,
    ):
        yield proxy


@pytest.fixture
def line(small_data: Path, tmp_path: Path, proxy: FaultyServer) -> list[object]:
    """A search of one machine type, one trial at a time."""
    (tmp_path / "tiny.yaml").write_text(SETTINGS)
    asked: list[object] = [
        "search",
        small_data,
        "--out",
        tmp_path / "run",
        "--config",
        tmp_path / "tiny.yaml",
    ]
    asked += ["--machines", "fan", "--trials", len(MODES) + 1, "--max-concurrent", 1]
    return [*asked, "--tracking-uri", proxy.uri]


def oddsound(*line: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(p) for p in (ODDSOUND, *line)], capture_output=True, text=True, timeout=120)


def n_ended(run: Path) -> int:
    return len(list(run.glob("trials/fan/*/result.json")))


def longest_pause(run: Path) -> float:
    """Seconds between the end of a trial and the begin of the next, as their files tell."""
    whole = finished(run / "trials", "fan")
    ends = [(bundle.path / "result.json").stat().st_mtime for bundle in whole]
    begins = [(bundle.path / "config.json").stat().st_mtime for bundle in whole]
    return max(begin - end for end, begin in zip(ends, begins[1:], strict=False))


def test_mlflow_falls_ill_in_the_middle(line: list[object], tmp_path: Path, proxy: FaultyServer) -> None:
    run, talk = tmp_path / "run", tmp_path / "talk"
    with talk.open("w") as stream:
        search = subprocess.Popen([str(part) for part in (ODDSOUND, *line)], stderr=stream)
    try:
        for n, mode in enumerate(MODES, start=1):
            until(lambda n=n: n_ended(run) >= n or search.poll() is not None, 120)
            proxy.switch(mode)
        until(lambda: n_ended(run) == len(MODES) + 1 or search.poll() is not None, 120)
        ended = time.monotonic()
        assert search.wait(60) == 4, talk.read_text()
        assert time.monotonic() - ended < 30  # Ray's end too; MLflow has 15 s of it at most
    finally:
        search.kill()
        search.wait()
    said = talk.read_text().splitlines()[-1]
    n_sent = len(MODES) + 1 - int(said.split(" of ")[0].split()[-1])
    assert f" of {len(MODES) + 1} trial(s) unsynced: " in said and "Traceback" not in talk.read_text()
    assert n_sent <= 1
    assert longest_pause(run) < 15

    proxy.switch("pass")
    first = oddsound("sync", run)
    assert first.returncode == 0, first.stderr
    assert first.stdout == f"{len(MODES) + 1 - n_sent} sent, {n_sent} there already, 0 failed\n"
    proxy.requests.clear()
    second = oddsound("sync", run)
    assert (second.returncode, second.stdout) == (0, f"0 sent, {len(MODES) + 1} there already, 0 failed\n")
    assert proxy.requests and proxy.written() == []
    store, record = open_store(proxy.uri, tmp_path), read_record(run)
    runs = store.client.search_runs([store.find_experiment(f"{record.dataset}/fan")])
    trials = Counter(r.data.tags["oddsound.trial"] for r in runs if "mlflow.parentRunId" in r.data.tags)
    assert trials == Counter(bundle.path.name for bundle in bundles(run / "trials", "fan"))
    assert Counter(r.info.status for r in runs) == {"FINISHED": len(MODES) + 2}

    # A search that goes on does so without MLflow, but no pause mends what the user has set wrong.
    proxy.switch("401")
    refused = oddsound("search", "--resume", run, "--trials", len(MODES) + 2)
    assert refused.returncode == 4
    assert "set MLFLOW_TRACKING_USERNAME" in refused.stderr
    assert n_ended(run) == len(MODES) + 1


def test_who_may_not_write_hears_of_it_before_the_first_trial(
    line: list[object], tmp_path: Path, proxy: FaultyServer
) -> None:
    """Reading is allowed, and says nothing."""
    proxy.switch("403", only=lambda request: request.writes)
    refused = oddsound(*line)
    proxy.switch("pass")
    assert refused.returncode == 4
    (said,) = [text for text in refused.stderr.splitlines() if text.startswith("oddsound: ")]
    assert "doesn't let us in" in said and "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" in said
    assert not list((tmp_path / "run" / "trials").glob("*/*"))
