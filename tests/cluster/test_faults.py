"""What a cluster can do to a search: each part of it is killed in the middle, and nothing is lost.

A real search by the command line on a Ray of several nodes with a real MLflow server; afterwards each
trial is finished exactly once, in the bundles, in the study and in MLflow.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from tests.cluster.nodes import Nodes, command_line, free_port, wait_for
from tests.mlflow_server import mlflow_server

from oddsound.search.guard import marked
from oddsound.tracking.store import open_store
from oddsound.training.bundle import bundles, finished

ODDSOUND = Path(sys.executable).parent / "oddsound"
SETTINGS = """
model: {pretrained: none, width: 0.1, depth: 0.3, ae_hidden: 16}
augment: {time_mask_frames: 3}
features: {median_frames: 0}
training: {epochs: 30, batch_size: 8}
"""
N_TRIALS = 5
AFTER = re.compile(r"goes on after epoch (\d+) of")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class Search:
    """`oddsound search` as a process of its own, its talk in a file."""

    def __init__(self, talk: Path, cluster: Nodes, *line: object) -> None:
        self.talk = talk
        with talk.open("w") as stream:
            self.process = subprocess.Popen(
                [str(part) for part in (ODDSOUND, "search", *line)],
                stdout=subprocess.DEVNULL,
                stderr=stream,
                env=cluster.environment,
            )

    def __enter__(self) -> Search:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def said(self) -> str:
        return self.talk.read_text()

    def says(self, text: str) -> None:
        """Wait until it says so."""
        wait_for(lambda: text in self.said() or self.process.poll() is not None, f"{text}: {self.said()}")
        assert text in self.said(), self.said()

    def ends(self) -> int:
        wait_for(lambda: self.process.poll() is not None, f"its end: {self.said()}", 300)
        return self.process.wait()


@pytest.fixture
def cluster(ray_folder: Path) -> Iterator[Nodes]:
    with Nodes(ray_folder) as cluster:
        cluster.start_head()
        yield cluster


@pytest.fixture
def line(small_data: Path, tmp_path: Path) -> list[object]:
    settings = tmp_path / "tiny.yaml"
    settings.write_text(SETTINGS)
    asked: list[object] = [small_data, "--out", tmp_path / "run", "--config", settings]
    return [*asked, "--machines", "fan", "--trials", N_TRIALS]


def running_trials(run: Path, epochs: int = 3) -> list[Path]:
    """The bundles of fan that are some epochs on and have no result yet."""
    found = [bundle for bundle in bundles(run / "trials", "fan") if not bundle.is_whole]
    return [b.path for b in found if (b.path / "history.json").is_file() and len(b.history()) >= epochs]


def trial_workers(node_mark: str) -> list[int]:
    return [pid for pid in marked(node_mark) if command_line(pid).startswith("ray::ImplicitFunc")]


def attempts(trial: Path) -> list[int]:
    """After which epoch each attempt at the trial went on."""
    return [int(epoch) for epoch in AFTER.findall((trial / "trial.log").read_text())]


def assert_each_once(run: Path, n: int) -> None:
    """`n` finished trials in the bundles, in the study and in MLflow, each once; no trial is in between."""
    whole = finished(run / "trials", "fan")
    identities = {bundle.path.name for bundle in whole}
    assert len(whole) == len(identities) == len(list(bundles(run / "trials", "fan"))) == n
    assert [bundle.result().number for bundle in whole] == list(range(n))
    storage = JournalStorage(JournalFileBackend(str(run / "studies.journal")))
    study = optuna.load_study(study_name="fan", storage=storage)
    assert sorted(trial.user_attrs["trial"] for trial in study.trials) == sorted(identities)
    assert {trial.state.name for trial in study.trials} == {"COMPLETE"}
    assert not list(run.rglob("*.partial"))


def assert_each_once_in_mlflow(run: Path, uri: str | None = None) -> None:
    store = open_store(uri, run / "mlflow")
    experiment = store.client.get_experiment_by_name("tiny/fan")
    assert experiment is not None
    runs = store.client.search_runs([experiment.experiment_id])
    children = Counter(r.data.tags["oddsound.trial"] for r in runs if "mlflow.parentRunId" in r.data.tags)
    assert children == Counter(bundle.path.name for bundle in finished(run / "trials", "fan"))
    assert {r.info.status for r in runs} == {"FINISHED"}


def test_workers_nodes_and_mlflow_die(cluster: Nodes, line: list[object], tmp_path: Path) -> None:
    """A trial's worker, a raylet, a whole node and the MLflow server: the search goes on to its end."""
    run, store, port = tmp_path / "run", tmp_path / "server", free_port()
    first, second = cluster.add(2)
    line += ["--ray-address", cluster.address, "--tracking-uri", f"http://127.0.0.1:{port}"]
    with mlflow_server(store, port) as server, Search(tmp_path / "talk", cluster, *line) as search:
        wait_for(lambda: len(running_trials(run)) == 2, f"two trials run: {search.said()}")
        server.kill()
        (victim,) = trial_workers(first.mark)
        begun = running_trials(run)
        assert subprocess.run(["kill", "-9", str(victim)], check=False).returncode == 0
        search.says("is started again")
        wait_for(lambda: any(len(attempts(trial)) > 1 for trial in begun), f"it goes on: {search.said()}")
        killed = [trial for trial in begun if len(attempts(trial)) > 1]
        wait_for(lambda: len(trial_workers(first.mark)) == 1 == len(trial_workers(second.mark)), "both work")
        assert second.kill("raylet/raylet") == 1
        wait_for(lambda: search.said().count("is started again") == 2, "the raylet's trial", 60)
        (third,) = cluster.add()
        wait_for(lambda: bool(trial_workers(third.mark)), f"the new node works: {search.said()}")
        third.kill()
        assert search.ends() == 4, search.said()  # everything is done but what MLflow lacks
    assert "oddsound sync" in search.said()
    assert_each_once(run, N_TRIALS)
    # The history is written before the checkpoint: a kill between them costs that epoch.
    assert all(attempts(trial)[1] >= 2 for trial in killed), "it went on from its checkpoint"
    with mlflow_server(store, port) as server:
        synced = subprocess.run(
            [str(ODDSOUND), "sync", str(run)], capture_output=True, text=True, timeout=120
        )
        assert synced.returncode == 0, synced.stderr
        assert_each_once_in_mlflow(run, server.uri)


def test_the_head_dies_and_then_the_driver(cluster: Nodes, line: list[object], tmp_path: Path) -> None:
    """The head takes the driver with it; --resume on a new one, whose driver is killed; --resume again."""
    run = tmp_path / "run"
    line += ["--ray-address", cluster.address, "--set", "training.epochs=12"]
    cluster.add()
    with Search(tmp_path / "talk", cluster, *line) as search:
        wait_for(lambda: bool(running_trials(run)), f"a trial runs: {search.said()}")
        cluster.nodes[0].kill()
        assert search.ends() == 5, search.said()
        assert f"gone; what has finished is safe. Go on with: oddsound search --resume {run}" in search.said()
    for node in cluster.nodes:
        node.bury()

    cluster.start_head()
    (worker,) = cluster.add()
    with Search(tmp_path / "talk2", cluster, "--resume", run) as search:
        search.says("taking over from process")
        search.says("finished: omega")
        wait_for(lambda: bool(running_trials(run)), f"the next trial runs: {search.said()}")
        search.process.send_signal(signal.SIGKILL)
        assert search.ends() == -signal.SIGKILL
    wait_for(lambda: not trial_workers(worker.mark), "no trial outlives its driver", 20)

    with Search(tmp_path / "talk3", cluster, "--resume", run) as search:
        assert search.ends() == 0, search.said()
    assert_each_once(run, N_TRIALS)
    assert_each_once_in_mlflow(run)
    continued = [
        path for path in (b.path for b in finished(run / "trials", "fan")) if len(attempts(path)) > 1
    ]
    assert continued
    assert all(attempts(path)[-1] > 0 for path in continued)
