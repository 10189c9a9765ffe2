"""The main job from recordings to checked submissions, by the command line as a user types it, with a
real Ray and a real MLflow store."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import IO

import pytest
from tests.command_line import ODDSOUND, oddsound, typed

from oddsound.ensemble.fusions import fuse
from oddsound.search.record import read_record
from oddsound.search.space import load_space
from oddsound.tracking.metrics import is_described
from oddsound.tracking.ranking import best_trials
from oddsound.tracking.store import Store, open_store
from oddsound.training.bundle import Bundle, bundles, finished

MACHINES = ("fan", "valve")
SETTINGS = """
model: {pretrained: none, width: 0.1, depth: 0.3, ae_hidden: 16}
augment: {time_mask_frames: 3}
features: {median_frames: 5}
training: {epochs: 2, batch_size: 8}
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("settings") / "tiny.yaml"
    path.write_text(SETTINGS)
    return path


def arguments(data: Path, out: Path, settings: Path, trials: int = 3, *more: str) -> list[str]:
    line = ["run", data, "--out", out, "--config", settings, "--trials", trials, *more]
    return [str(part) for part in line]


@pytest.fixture(scope="module")
def run(small_data: Path, settings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two machine types with three trials each. Its folder is given relatively."""
    folder = tmp_path_factory.mktemp("run")
    line = arguments(small_data, Path("out"), settings)
    ended = subprocess.run([ODDSOUND, *line], cwd=folder, capture_output=True, text=True, timeout=280)
    assert ended.returncode == 0, ended.stderr
    (folder / "stdout").write_text(ended.stdout)
    (folder / "stderr").write_text(ended.stderr)
    return folder / "out"


@pytest.fixture
def store(run: Path) -> Store:
    return open_store(None, run / "mlflow")


def test_stdout_is_the_omega_table(run: Path) -> None:
    rows = [line.split() for line in (run.parent / "stdout").read_text().splitlines()]
    assert rows[0] == ["omega", "[%]", "S1", "S2", "S3", "S4"]
    assert [row[0] for row in rows[1:4]] == ["fan", "valve", "mean"]
    best = {machine: max(b.result().omega for b in finished(run / "trials", machine)) for machine in MACHINES}
    assert [row[1] for row in rows[1:3]] == [f"{100 * best[machine]:.2f}" for machine in MACHINES]


def test_stderr_says_where_things_lie_and_what_is_next(run: Path) -> None:
    talk = (run.parent / "stderr").read_text()
    assert f"next        oddsound submission check {run}/submission --data" in talk
    assert "fewer than the 5" in talk
    assert "Traceback" not in talk


def test_what_libraries_say_is_in_a_file_and_not_between_our_lines(run: Path) -> None:
    kept = (run / "libraries.log").read_text()
    assert "Started a local Ray instance" in kept and "MLflow database tables" in kept
    ours = re.compile(
        r"$|\S+ trial \d+ (finished|stopped)|features of |searching: |sending to |(fan|valve): |registering |"
        r"The authors |(trials|systems|submission|MLflow|next|report) |report of |taking over|\d+ clips "
    )
    strangers = [line for line in (run.parent / "stderr").read_text().splitlines() if not ours.match(line)]
    assert strangers == []


def test_a_report_lies_beside_and_is_what_the_command_writes(run: Path) -> None:
    page = (run / "report.html").read_bytes()
    assert b"Report of out" in page and b"As submission/systems.json has them" in page
    assert b"<audio" in page and b"still running" not in page
    assert "report      " in (run.parent / "stderr").read_text()
    again = oddsound("report", run, "--out", run.parent / "again.html")
    assert again.returncode == 0, again.stderr
    assert (run.parent / "again.html").read_bytes() == page


def test_every_bundle_is_whole_and_the_papers_configuration_came_first(run: Path) -> None:
    for machine in MACHINES:
        whole = finished(run / "trials", machine)
        assert [b.result().number for b in whole] == [0, 1, 2]
        assert len({b.path.name for b in whole}) == 3
        paper = load_space(machine).paper
        first = whole[0].config()
        assert (first.loss.rho, first.augment.mixup_alpha) == (
            paper["loss.rho"],
            paper["augment.mixup_alpha"],
        )
        digest = read_record(run).machines[machine]["data"]
        assert {b.result().data_digest for b in whole} == {digest}


def test_mlflow_has_one_parent_and_each_trial_once(run: Path, store: Store) -> None:
    for machine in MACHINES:
        experiment = store.client.get_experiment_by_name(f"tiny/{machine}")
        assert experiment is not None
        runs = store.client.search_runs([experiment.experiment_id])
        assert {r.info.status for r in runs} == {"FINISHED"}
        parents = [r for r in runs if "mlflow.parentRunId" not in r.data.tags]
        children = {r.data.tags["oddsound.trial"]: r for r in runs if "mlflow.parentRunId" in r.data.tags}
        assert (len(parents), len(runs)) == (1, 4)
        assert all(is_described(name) for each in runs for name in each.data.metrics)
        for bundle in finished(run / "trials", machine):
            child = children[bundle.path.name]
            assert child.data.metrics["omega"] == pytest.approx(bundle.result().omega, abs=1e-12)
            assert float(child.data.params["loss.rho"]) == bundle.config().loss.rho
            assert bundle.result().metrics.items() <= child.data.metrics.items()
            losses = store.client.get_metric_history(child.info.run_id, "loss/total")
            assert [m.value for m in losses] == [entry["loss/total"] for entry in bundle.history()]


def test_the_best_are_registered_and_the_best_of_all_is_champion(run: Path, store: Store) -> None:
    for machine in MACHINES:
        versions = store.client.search_model_versions(f"name='tiny.{machine}'")
        assert len(versions) == 3
        champion = store.client.get_model_version_by_alias(f"tiny.{machine}", "champion")
        best = min(finished(run / "trials", machine), key=lambda b: (-b.result().omega, b.path.name))
        assert champion.tags["oddsound.trial"] == best.path.name


def test_submission_is_of_the_evaluation_clips_and_passes_the_check(run: Path, small_data: Path) -> None:
    systems = sorted(p.name for p in (run / "submission" / "task2").iterdir())
    assert systems == [f"Lastname_INST_task2_{n}" for n in (1, 2, 3, 4)]
    csv = run / "submission" / "task2" / systems[0] / "anomaly_score_fan_section_03_source_test.csv"
    assert csv.read_text().startswith("section_03_source_test_0000.wav,")
    checked = typed("submission", "check", run / "submission", "--data", small_data)
    assert checked.returncode == 0, checked.stderr
    csv_lines = csv.read_text().splitlines(keepends=True)
    broken = run.parent / "broken"
    shutil.copytree(run / "submission", broken, dirs_exist_ok=True)
    (broken / "task2" / systems[0] / csv.name).write_text("".join(csv_lines[:-1]))
    refused = typed("submission", "check", broken, "--data", small_data)
    assert refused.returncode == 3
    assert csv.name in refused.stdout + refused.stderr


def test_s2_is_the_mean_of_the_best(run: Path, store: Store) -> None:
    best = [t.trial for t in best_trials(store, "tiny", "fan")]
    tables = [Bundle(run / "trials" / "fan" / trial).scores() for trial in best]
    mean = fuse("mean", tables)
    assert mean.score == pytest.approx(sum(table.score for table in tables) / 3)


def test_the_same_command_again_redoes_nothing(run: Path, small_data: Path, settings: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in (run / "trials").rglob("*") if p.is_file()}
    again = oddsound(*arguments(small_data, run, settings))
    assert again.returncode == 0, again.stderr
    assert {p: p.stat().st_mtime_ns for p in (run / "trials").rglob("*") if p.is_file()} == before
    assert "finished: omega" not in again.stderr
    assert again.stdout == (run.parent / "stdout").read_text()


def test_other_settings_are_refused(run: Path, small_data: Path, settings: Path) -> None:
    refused = typed(*arguments(small_data, run, settings, 3, "--epochs", "5"))
    assert refused.returncode == 2
    assert "training.epochs 2, now it is 5" in refused.stderr


def test_the_choice_of_machine_types_can_be_narrowed(
    run: Path, small_data: Path, settings: Path, tmp_path: Path
) -> None:
    """One machine type's trials are gone and its search is left out: the other's systems are still made."""
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    shutil.rmtree(copy / "trials" / "valve")
    shutil.rmtree(copy / "mlflow")
    ended = oddsound(*arguments(small_data, copy, settings, 3, "--machines", "fan"))
    assert ended.returncode == 0, ended.stderr
    assert "valve: no finished trial, so it is left out" in ended.stderr
    assert "valve" not in ended.stdout


def test_what_was_lost_is_made_again_and_a_search_is_extended(
    run: Path, small_data: Path, settings: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    lost = finished(copy / "trials", "fan")[1]
    scores, result = lost.scores_path.read_bytes(), lost.result()
    (lost.path / "result.json").unlink()
    lost.scores_path.unlink()
    ended = oddsound(*arguments(small_data, copy, settings, 4))
    assert ended.returncode == 0, ended.stderr
    for machine in MACHINES:
        assert len(finished(copy / "trials", machine)) == len(list(bundles(copy / "trials", machine))) == 4
    assert lost.result().number == result.number
    assert lost.result().metrics == result.metrics
    assert lost.scores_path.read_bytes() == scores
    said = Counter(line.split()[0] for line in ended.stderr.splitlines() if "finished: omega" in line)
    assert said == {"fan": 2, "valve": 1}


def test_a_request_that_no_node_has_is_refused(small_data: Path, settings: Path, tmp_path: Path) -> None:
    line = arguments(
        small_data, tmp_path / "out", settings, 1, "--cpus-per-trial", "100000", "--machines", "fan"
    )
    refused = oddsound(*line)
    assert refused.returncode == 2
    assert "a trial wants 100000 CPUs" in refused.stderr and "no node has both" in refused.stderr


def test_ctrl_c_and_sigterm_end_with_130_and_the_same_command_completes(
    small_data: Path, settings: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    line = arguments(small_data, out, settings, 3, "--machines", "fan", "--max-concurrent", "1")
    done: set[str] = set()
    for n, stop in enumerate((signal.SIGTERM, signal.SIGINT), start=1):
        assert_stopped(line, stop)
        before, done = done, {b.path.name for b in finished(out / "trials", "fan")}
        assert before < done and n <= len(done) < 3
    ended = oddsound(*line)
    assert ended.returncode == 0, ended.stderr
    assert done < {b.path.name for b in finished(out / "trials", "fan")}
    experiment = (store := open_store(None, out / "mlflow")).client.get_experiment_by_name("tiny/fan")
    assert experiment is not None
    runs = store.client.search_runs([experiment.experiment_id], "tags.`oddsound.complete` = 'true'")
    assert len(runs) == 3


def assert_stopped(line: list[str], stop: signal.Signals) -> None:
    """`line` is stopped after its first trial: exit 130, one line that says how to go on."""
    with subprocess.Popen(
        [ODDSOUND, *line], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        talk = until(process.stderr, "finished: omega")
        process.send_signal(stop)
        talk += process.stderr.read()
    assert process.returncode == 130, talk
    assert "the same command goes on" in talk
    assert "Traceback" not in talk
    assert "SIGTERM" not in talk


def until(stream: IO[str], text: str) -> str:
    """What `stream` says up to and with the line that has `text`."""
    said = ""
    for line in stream:
        said += line
        if text in line:
            return said
    raise AssertionError(f"it ended without {text!r}: {said}")
