"""What a run leaves on a real MLflow server, on sqlite and on PostgreSQL: all of it is read back and compared
with the bundles on disk."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from tests.cluster.nodes import free_port
from tests.mlflow_server import mlflow_server
from tests.postgres import postgres_server

from oddsound.config import flattened
from oddsound.scoring.threshold import section_thresholds
from oddsound.search.record import RunRecord, read_record
from oddsound.tracking.entries import times
from oddsound.tracking.runs import read_trial
from oddsound.training.bundle import Bundle, finished

ODDSOUND = Path(sys.executable).parent / "oddsound"
MACHINES, N_TRIALS = ("fan", "valve"), 3
SETTINGS = """
model: {pretrained: none, width: 0.1, depth: 0.3, ae_hidden: 16}
augment: {time_mask_frames: 3}
features: {median_frames: 0}
training: {epochs: 2, batch_size: 8}
"""
FILES = ("config.json", "history.json", "result.json", "scores.npz")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@dataclass(frozen=True)
class Recorded:
    """A finished run and the server that has it."""

    run: Path
    client: MlflowClient
    downloads: Path

    @property
    def record(self) -> RunRecord:
        return read_record(self.run)

    def bundles(self, machine: str) -> list[Bundle]:
        """The best first."""
        return sorted(finished(self.run / "trials", machine), key=lambda b: (-b.result().omega, b.path.name))

    def runs(self, experiment: str, kind: str) -> list[Run]:
        found = self.client.get_experiment_by_name(f"tiny/{experiment}")
        assert found is not None
        return list(self.client.search_runs([found.experiment_id], f"tags.`oddsound.kind` = '{kind}'"))

    def files(self, run_id: str) -> dict[str, bytes]:
        """Every artifact of a run by its path."""
        folder = self.downloads / run_id
        if not folder.exists():
            folder.mkdir(parents=True)
            self.client.download_artifacts(run_id, "", str(folder))
        return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    def versions(self, name: str) -> list[ModelVersion]:
        return list(self.client.search_model_versions(f"name='tiny.{name}'"))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def recorded(
    request: pytest.FixtureRequest, small_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Recorded]:
    """Two machine types, three trials each, two workers."""
    folder, port = tmp_path_factory.mktemp(request.param), free_port()
    (folder / "tiny.yaml").write_text(SETTINGS)
    (folder / "server").mkdir()
    with ExitStack() as stack:
        backend = None
        if request.param == "postgresql":
            backend = stack.enter_context(postgres_server()).fresh()
        options = {} if backend is None else {"artifacts": str(folder / "artifacts")}
        server = stack.enter_context(mlflow_server(folder / "server", port, backend=backend, **options))
        line = [ODDSOUND, "run", small_data, "--out", folder / "run", "--config", folder / "tiny.yaml"]
        line += ["--trials", N_TRIALS, "--max-concurrent", 2, "--tracking-uri", server.uri]
        ended = subprocess.run([str(w) for w in line], capture_output=True, text=True, timeout=300)
        assert ended.returncode == 0, ended.stderr
        yield Recorded(folder / "run", MlflowClient(server.uri, server.uri), folder / "back")


@pytest.mark.parametrize("machine", MACHINES)
def test_every_trial_stands_once_with_all_its_numbers(recorded: Recorded, machine: str) -> None:
    runs = {run.data.tags["oddsound.trial"]: run for run in recorded.runs(machine, "trial")}
    (parent,) = recorded.runs(machine, "search")
    assert len(recorded.runs(machine, "trial")) == len(runs) == N_TRIALS
    for bundle in recorded.bundles(machine):
        run, result = runs[bundle.path.name], bundle.result()
        assert run.data.params == {k: str(v) for k, v in flattened(bundle.config().model_dump()).items()}
        assert result.metrics.items() <= run.data.metrics.items()
        assert_history(recorded.client, run, bundle)
        assert run.info.status == "FINISHED"
        trial = read_trial(bundle, recorded_search(recorded))
        assert (run.info.start_time, run.info.end_time) == times(trial)
        tags = {
            key: value for key, value in run.data.tags.items() if key.startswith(("oddsound", "mlflow.pa"))
        }
        assert tags == {
            "mlflow.parentRunId": parent.info.run_id,
            "oddsound.kind": "trial",
            "oddsound.complete": "true",
            "oddsound.search": recorded.record.search,
            "oddsound.dataset": "tiny",
            "oddsound.machine": machine,
            "oddsound.trial": result.trial,
            "oddsound.number": str(result.number),
            "oddsound.data_digest": recorded.record.machines[machine]["data"],
            "oddsound.weights_sha256": sha256(bundle.weights.read_bytes()),
            "oddsound.model_sha256": sha256(recorded.files(run.info.run_id)["model/manifest.json"]),
            "oddsound.n_parameters": str(result.n_parameters),
            "oddsound.code": f"{result.versions['oddsound']}+{result.versions['sources']}",
        }


def assert_history(client: MlflowClient, run: Run, bundle: Bundle) -> None:
    """Each number of each epoch under its step, the result's in the place of the last epoch's."""
    history, result = bundle.history(), bundle.result()
    expected = {(k, int(e["epoch"])): v for e in history for k, v in e.items() if k != "epoch"}
    expected |= {(key, len(history)): value for key, value in result.metrics.items()}
    assert {"loss/total", "lr/backbone", "seconds", "peak_memory_mb", "omega"} <= {k for k, _ in expected}
    stored = {
        (m.key, m.step): m.value
        for key in run.data.metrics
        for m in client.get_metric_history(run.info.run_id, key)
    }
    assert stored == expected
    assert all(math.isfinite(value) and abs(value) < 1e300 for value in stored.values())


def recorded_search(recorded: Recorded) -> object:
    from oddsound.cli.stages import tracked_search

    return tracked_search(recorded.record)


@pytest.mark.parametrize("machine", MACHINES)
def test_artifacts_and_dataset_are_the_bundles(recorded: Recorded, machine: str) -> None:
    local = {bundle.path.name: bundle for bundle in recorded.bundles(machine)}
    for run in recorded.runs(machine, "trial"):
        bundle, files = local[run.data.tags["oddsound.trial"]], recorded.files(run.info.run_id)
        assert {name: files[name] for name in FILES} == {n: (bundle.path / n).read_bytes() for n in FILES}
        assert files["model/weights.safetensors"] == bundle.weights.read_bytes()
        assert files["model/config.json"] == (bundle.path / "config.json").read_bytes()
        manifest = json.loads(files["model/manifest.json"])["files"]
        model = {k.removeprefix("model/"): v for k, v in files.items() if k.startswith("model/")}
        assert manifest == {
            name: sha256(content) for name, content in model.items() if name != "manifest.json"
        }
        (data,) = run.inputs.dataset_inputs
        begun = recorded.record.machines[machine]
        assert (data.dataset.name, data.dataset.digest) == (f"tiny/{machine}", begun["data"][:36])
        assert json.loads(data.dataset.profile) == begun["clips"]


@pytest.mark.parametrize("machine", MACHINES)
def test_the_search_and_its_experiment_say_what_is_best(recorded: Recorded, machine: str) -> None:
    (parent,) = recorded.runs(machine, "search")
    best = recorded.bundles(machine)
    assert (parent.info.status, parent.info.run_name) == ("FINISHED", recorded.record.search)
    counts = {name: parent.data.tags[f"oddsound.{name}"] for name in ("n_finished", "n_failed", "n_stopped")}
    assert counts == {"n_finished": str(N_TRIALS), "n_failed": "0", "n_stopped": "0"}
    assert parent.data.metrics == {"best_omega": best[0].result().omega}
    note = parent.data.tags["mlflow.note.content"]
    assert "--trials 3" in note and recorded.record.machines[machine]["data"] in note
    places = [note.index(f"{100 * bundle.result().omega:.2f}") for bundle in best]
    assert places == sorted(places)
    experiment = recorded.client.get_experiment_by_name(f"tiny/{machine}")
    assert experiment.tags["mlflow.note.content"].startswith(
        f"{machine}: best omega {100 * best[0].result().omega:.2f} %"
    )


@pytest.mark.parametrize("machine", MACHINES)
def test_the_registry_has_the_best_in_order(recorded: Recorded, machine: str) -> None:
    best, versions = recorded.bundles(machine), recorded.versions(machine)
    model = recorded.client.get_registered_model(f"tiny.{machine}")
    by_trial = {version.tags["oddsound.trial"]: version for version in versions}
    order = [int(by_trial[bundle.path.name].version) for bundle in best]
    assert len(versions) == len(by_trial) == N_TRIALS
    assert model.tags["oddsound.top"] == ",".join(map(str, order))
    expected = {"champion": order[0], "challenger": order[1]}
    expected |= {f"top-{place}": version for place, version in enumerate(order, start=1)}
    assert {alias: int(version) for alias, version in model.aliases.items()} == expected
    for rank, bundle in enumerate(best, start=1):
        assert_version(recorded, by_trial[bundle.path.name], bundle, rank)


def assert_version(recorded: Recorded, version: ModelVersion, bundle: Bundle, rank: int) -> None:
    result, config = bundle.result(), bundle.config()
    run = recorded.client.get_run(version.run_id)
    assert run.data.tags["oddsound.trial"] == result.trial
    assert version.source == f"{run.info.artifact_uri}/model"
    copied = ("dataset", "machine", "trial", "number", "search", "code", "n_parameters", "data_digest")
    copied += ("weights_sha256", "model_sha256")
    assert version.tags == {f"oddsound.{name}": run.data.tags[f"oddsound.{name}"] for name in copied} | {
        "oddsound.omega": repr(result.omega),
        "oddsound.rank": str(rank),
        "oddsound.recipe": config.recipe,
        "oddsound.seed": str(config.training.seed),
    }
    about = version.description
    assert about.startswith(f"**Place {rank} of `{config.machine}`: omega {100 * result.omega:.2f} %**")
    cells = [f"{100 * v:.2f}" for k, v in result.metrics.items() if k.startswith(("auc/", "pauc/"))]
    assert all(f"| {cell} |" in about for cell in cells) and cells
    assert f"models:/tiny.{config.machine}@top-{rank}" in about


def test_the_systems_name_their_members(recorded: Recorded) -> None:
    for number in (1, 2, 3, 4):
        (version,) = recorded.versions(f"S{number}")
        files = recorded.files(version.run_id)
        facts = json.loads(files["model/ensemble.json"])
        for machine in MACHINES:
            best = recorded.bundles(machine)
            part = facts["machines"][machine]
            wanted = best[:1] if number == 1 or part["pinned_to_s1"] else best
            named = [f"{b.path.name}:{b.result().omega!r}:{b.result().weights_sha256}" for b in wanted]
            assert version.tags[f"oddsound.members.{machine}"] == ",".join(named)
            for bundle in wanted:
                place = f"model/members/{machine}/{bundle.path.name}/weights.safetensors"
                assert files[place] == bundle.weights.read_bytes()
            if len(wanted) == 1:
                limits = {name: of["threshold"] for name, of in part["sections"].items()}
                assert limits == pytest.approx(section_thresholds(best[0].scores()))
        assert version.tags["oddsound.model_sha256"] == sha256(files["model/manifest.json"])
        model = recorded.client.get_registered_model(f"tiny.S{number}")
        assert {alias: int(of) for alias, of in model.aliases.items()} == {"champion": 1, "newest": 1}


def test_the_package_is_there(recorded: Recorded) -> None:
    (package,) = recorded.runs("submissions", "package")
    (archive,) = (recorded.run / "submission").glob("*_task2.zip")
    assert recorded.files(package.info.run_id) == {archive.name: archive.read_bytes()}
    assert package.data.tags["oddsound.archive_sha256"] == sha256(archive.read_bytes())
    held = {f"oddsound.tiny.S{number}": "1" for number in (1, 2, 3, 4)}
    assert held.items() <= package.data.tags.items()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
