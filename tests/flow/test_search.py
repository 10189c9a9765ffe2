"""`oddsound search` and `--resume`, by the command line as a user types it: damage, failures, extension.

Every test finds the run as it was begun, under the same path, which MLflow's records hold.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from tests.command_line import oddsound

from oddsound.chatter import NAME as LIBRARIES_LOG
from oddsound.search.record import read_record
from oddsound.tracking.store import Store, open_store
from oddsound.training.bundle import bundles, finished

MACHINES = ("fan", "valve")
N = 3
SETTINGS = """
model: {pretrained: none, width: 0.1, depth: 0.3, ae_hidden: 16}
augment: {time_mask_frames: 3}
features: {median_frames: 0}
training: {epochs: 1, batch_size: 8}
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def begun(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished search of two machine types."""
    folder = tmp_path_factory.mktemp("search")
    (folder / "tiny.yaml").write_text(SETTINGS)
    given = ["--config", folder / "tiny.yaml", "--trials", N]
    ended = oddsound("search", small_data, "--out", folder / "run", *given)
    assert ended.returncode == 0, ended.stderr
    shutil.copytree(folder / "run", folder / "as_it_was")
    return folder


@pytest.fixture
def run(begun: Path) -> Path:
    shutil.rmtree(begun / "run")
    shutil.copytree(begun / "as_it_was", begun / "run")
    return begun / "run"


def content(run: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in (run / "trials").rglob("*") if path.is_file()}


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def in_the_journal(run: Path, machine: str) -> list[str]:
    storage = JournalStorage(JournalFileBackend(str(run / "studies.journal")))
    study = optuna.load_study(study_name=machine, storage=storage)
    assert all(trial.state == optuna.trial.TrialState.COMPLETE for trial in study.get_trials())
    return [trial.user_attrs["trial"] for trial in study.get_trials()]


def in_mlflow(run: Path, machine: str) -> list[str]:
    """The finished trials of which MLflow has the whole run. It is asked of a copy: MLflow keeps the
    connections of a process, and the run is another one in the next test."""
    with TemporaryDirectory() as copy:
        shutil.copy(run / "mlflow" / "mlflow.db", copy)
        return _complete(open_store(None, Path(copy)), machine)


def _complete(store: Store, machine: str) -> list[str]:
    experiment = store.client.get_experiment_by_name(f"tiny/{machine}")
    assert experiment is not None
    runs = store.client.search_runs([experiment.experiment_id], "tags.`oddsound.complete` = 'true'")
    return [r.data.tags["oddsound.trial"] for r in runs if r.info.status == "FINISHED"]


def assert_each_once(run: Path, machine: str, n: int) -> None:
    whole = finished(run / "trials", machine)
    assert [bundle.result().number for bundle in whole] == list(range(n))
    names = sorted(bundle.path.name for bundle in whole)
    assert sorted(bundle.path.name for bundle in bundles(run / "trials", machine)) == names
    assert sorted(in_the_journal(run, machine)) == names
    assert sorted(in_mlflow(run, machine)) == names


def said_finished(talk: str) -> Counter[str]:
    return Counter(line.split()[0] for line in talk.splitlines() if "finished: omega" in line)


def test_a_run_holds_nothing_of_rays(run: Path) -> None:
    """So nothing of it can be missing or cut when the run goes on."""
    expected = {"trials", "features", "mlflow", "weights", "run.json", "run.lock", "studies.journal"}
    assert {path.name for path in run.iterdir()} <= expected | {LIBRARIES_LOG}
    for machine in MACHINES:
        assert_each_once(run, machine, N)


def test_what_is_damaged_is_set_aside_and_the_rest_counts(run: Path) -> None:
    fan, valve = (finished(run / "trials", machine) for machine in MACHINES)
    untouched = {path: path.read_bytes() for path in valve[1].path.iterdir()}
    scores = {bundle: bundle.scores_path.read_bytes() for bundle in (*fan, valve[0])}
    truncate(fan[0].path / "result.json")
    fan[1].scores_path.unlink()
    truncate(fan[2].path / "config.json")
    valve[0].weights.replace(valve[0].checkpoint)  # as an interrupted trial's
    truncate(valve[0].checkpoint)
    (valve[0].path / "result.json").unlink()
    truncate(valve[2].weights)
    truncate(run / "studies.journal")
    pid = subprocess.Popen(["true"])
    pid.wait()
    gone = {"pid": pid.pid, "host": socket.gethostname(), "since": "2021-03-01T12:00:00+00:00"}
    (run / "driver.json").write_text(json.dumps(gone))

    resumed = oddsound("search", "--resume", run)
    assert resumed.returncode == 0, resumed.stderr
    assert f"taking over from process {pid.pid} on {socket.gethostname()}" in resumed.stderr
    for bundle, flaw in (
        (fan[0], "result.json"),
        (fan[1], "scores.npz is missing or damaged"),
        (fan[2], "config.json is damaged"),
        (valve[0], "checkpoint.pt is damaged"),
        (valve[2], "weights.safetensors is missing or damaged"),
    ):
        where = bundle.path.relative_to(run / "trials")
        (line,) = [line for line in resumed.stderr.splitlines() if line.startswith(f"{where}: ")]
        assert flaw in line
        assert line.endswith(f"moved to {run / 'set_aside' / where}")
        assert (run / "set_aside" / where / "0").is_dir()
    assert said_finished(resumed.stderr) == {"fan": 3, "valve": 2}
    for machine in MACHINES:
        assert_each_once(run, machine, N)
    assert {path: path.read_bytes() for path in valve[1].path.iterdir()} == untouched
    assert {bundle: bundle.scores_path.read_bytes() for bundle in scores} == scores, "the same trials again"
    assert not (run / "driver.json").exists()


def test_more_trials_extend_the_search_by_exactly_those(run: Path) -> None:
    before = content(run)
    extended = oddsound("search", "--resume", run, "--machines", "fan", "--trials", N + 1)
    assert extended.returncode == 0, extended.stderr
    assert said_finished(extended.stderr) == {"fan": 1}
    assert_each_once(run, "fan", N + 1)
    assert len(finished(run / "trials", "valve")) == N
    assert before.items() <= content(run).items()


def test_a_changed_setting_is_refused_unless_accepted_and_what_fails_ends_with_5(run: Path) -> None:
    """With so small a rho, eq. 4 overflows."""
    before, change = content(run), ["--set", "loss.rho=1e-40"]
    refused = oddsound("search", "--resume", run, *change)
    assert refused.returncode == 2
    assert "was begun with fan.base.loss.rho None, now it is 1e-40" in refused.stderr
    assert "--accept-change" in refused.stderr
    assert content(run) == before

    asked = ["--machines", "fan", "--trials", 1, *change, "--accept-change"]
    failed = oddsound("search", "--resume", run, *asked)
    assert failed.returncode == 5, failed.stderr
    (bundle,) = [b for b in bundles(run / "trials", "fan") if not b.is_whole]
    reason = bundle.failure()
    assert re.fullmatch(r"TrialError: fan: loss \(total\) became (nan|-?inf) in epoch 1", reason or "")
    assert failed.stderr.splitlines()[-2:] == [
        f"failed: fan {bundle.path.name}: {reason}",
        f"oddsound: 1 trial(s) failed, the rest is in {run}; the same command retries them",
    ]
    assert "Traceback" not in failed.stderr
    assert before.items() <= content(run).items()
    (change_kept,) = read_record(run).changes
    assert any("loss.rho" in what for what in change_kept["what"])


def test_a_run_whose_record_is_cut_is_one_line(run: Path) -> None:
    truncate(run / "run.json")
    before = content(run)
    refused = oddsound("search", "--resume", run)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"oddsound: {run}/run.json: not a run's record")
    assert "move it away" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert content(run) == before


def test_resume_wants_a_run_and_nothing_beside(tmp_path: Path, small_data: Path) -> None:
    refused = oddsound("search", "--resume", tmp_path)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"oddsound: {tmp_path}: no run.json here")
    refused = oddsound("search", small_data, "--resume", tmp_path)
    assert refused.returncode == 2
    assert "--resume RUN takes its recordings and its folder from RUN" in refused.stderr
    assert not list(tmp_path.iterdir())
