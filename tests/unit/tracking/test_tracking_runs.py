"""What a search leaves in MLflow: everything once, nothing invented, whatever was cut short."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from unittest.mock import patch

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from tests.unit.tracking.small_bundles import DIGEST, failed_bundle, small_bundle

from oddsound.config import flattened, nested
from oddsound.errors import ConfigError, TrackingError
from oddsound.scoring.table import ScoreTable
from oddsound.tracking.layout import Search, registered_name
from oddsound.tracking.ranking import best_trials
from oddsound.tracking.runs import close_search, open_search
from oddsound.tracking.store import Store, open_store
from oddsound.tracking.sync import SyncReport, sync
from oddsound.training.bundle import Bundle, bundles

pytestmark = pytest.mark.long

SEARCH = Search("s1", "demo")


def runs(store: Store, machine: str = "fan", kind: str = "trial") -> list[Run]:
    experiment = store.find_experiment(f"demo/{machine}")
    assert experiment is not None
    return list(store.client.search_runs([experiment], f"tags.`oddsound.kind` = '{kind}'"))


def everything(trials: Path, *machines: str) -> dict[str, list[Bundle]]:
    return {machine: list(bundles(trials, machine)) for machine in machines or ("fan",)}


def test_every_part_of_a_trial_is_read_back_equal(store: Store, tmp_path: Path) -> None:
    bundle = small_bundle(tmp_path / "trials", 7, 0.7)
    config, result = bundle.config(), bundle.result()
    report = sync(store, SEARCH, everything(tmp_path / "trials"), {"fan": {"train": 1000, "test": 200}})
    run = store.client.get_run(report.uploaded[config.identity])

    assert run.data.params == {key: str(v) for key, v in flattened(config.model_dump()).items()}
    assert run.data.params["loss.rho"] == "0.1"
    assert result.metrics.items() <= run.data.metrics.items()
    assert run.data.metrics["omega"] == 0.7
    assert "epoch" not in run.data.metrics and "note" not in run.data.metrics
    losses = store.client.get_metric_history(run.info.run_id, "loss")
    assert [(m.step, m.value) for m in losses] == [(e, 1 / e) for e in (1, 2, 3)]
    assert run.info.run_name == f"fan-007-{config.identity[:8]}"
    assert (run.info.status, run.info.end_time) == ("FINISHED", 1767323045250)
    assert run.info.end_time - run.info.start_time == 90_500


def test_tags_dataset_and_artifacts_of_a_trial(store: Store, tmp_path: Path) -> None:
    bundle = small_bundle(tmp_path / "trials", 7, 0.7)
    sync(store, SEARCH, everything(tmp_path / "trials"), {"fan": {"train": 1000}})
    (run,), (parent,) = runs(store), runs(store, kind="search")
    expected = {
        "mlflow.parentRunId": parent.info.run_id,
        "oddsound.search": "s1",
        "oddsound.dataset": "demo",
        "oddsound.trial": bundle.path.name,
        "oddsound.machine": "fan",
        "oddsound.number": "7",
        "oddsound.data_digest": DIGEST,
        "oddsound.n_parameters": "1234",
        "oddsound.weights_sha256": bundle.result().weights_sha256,
        "oddsound.complete": "true",
    }
    assert expected.items() <= run.data.tags.items()
    (data,) = run.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("demo/fan", DIGEST[:36])
    assert json.loads(data.dataset.profile) == {"train": 1000}
    assert_artifacts(store, run, bundle, tmp_path / "back")


def assert_artifacts(store: Store, run: Run, bundle: Bundle, folder: Path) -> None:
    folder.mkdir()
    back = Path(store.client.download_artifacts(run.info.run_id, "", str(folder)))
    stored = {p.relative_to(back).as_posix(): p.read_bytes() for p in back.rglob("*") if p.is_file()}
    top = {name: name for name in ("config.json", "history.json", "result.json", "scores.npz")}
    below = {f"model/{name}": name for name in ("config.json", "weights.safetensors")}
    expected = {place: (bundle.path / name).read_bytes() for place, name in (top | below).items()}
    assert {place: stored[place] for place in expected} == expected
    assert all(place.startswith("model/") for place in stored.keys() - expected.keys())
    assert hashlib.sha256(stored["model/manifest.json"]).hexdigest() == run.data.tags["oddsound.model_sha256"]
    assert ScoreTable.load(back / "scores.npz").machine == bundle.config().machine


def test_a_long_history_goes_in_several_calls(store: Store, tmp_path: Path) -> None:
    small_bundle(tmp_path / "trials", 0, 0.5, epochs=700)
    sync(store, SEARCH, everything(tmp_path / "trials"))
    (run,) = runs(store)
    assert len(store.client.get_metric_history(run.info.run_id, "loss")) == 700
    assert run.data.metrics["omega"] == 0.5


def test_the_parent_counts_and_is_closed_and_reopened(store: Store, tmp_path: Path) -> None:
    trials = tmp_path / "trials"
    small_bundle(trials, 0, 0.6)
    failed_bundle(trials)
    sync(store, SEARCH, everything(trials))
    close_search(store, SEARCH, "fan", bundles(trials, "fan"), "FINISHED")
    (parent,) = runs(store, kind="search")
    assert (parent.info.status, parent.info.run_name) == ("FINISHED", "s1")
    assert (parent.data.tags["oddsound.n_finished"], parent.data.tags["oddsound.n_failed"]) == ("1", "1")
    assert len(runs(store)) == 1

    small_bundle(trials, 1, 0.7)
    sync(store, SEARCH, everything(trials))
    (again,) = runs(store, kind="search")
    assert (again.info.run_id, again.info.status) == (parent.info.run_id, "RUNNING")
    assert again.data.tags["oddsound.n_finished"] == "2"


def test_a_second_sync_sends_nothing_and_asks_nothing(store: Store, tmp_path: Path) -> None:
    trials = tmp_path / "trials"
    made = [small_bundle(trials, n, 0.5 + n / 10) for n in range(3)]
    first = sync(store, SEARCH, everything(trials))
    assert list(first.uploaded) == [bundle.path.name for bundle in made]
    with patch.object(Store, "asking", side_effect=AssertionError("asked the server")):
        second = sync(store, SEARCH, everything(trials))
    assert (second.uploaded, second.already) == ({}, set(first.uploaded))

    elsewhere = sync(open_store(None, tmp_path / "store"), SEARCH, everything(trials))
    assert (elsewhere.uploaded, elsewhere.already) == ({}, set(first.uploaded))
    assert len(runs(store)) == 3


@pytest.mark.parametrize("call", ["log_inputs", "log_batch", "log_artifacts", "set_terminated", "set_tag"])
def test_a_run_cut_short_is_sent_again_and_stands_once(store: Store, tmp_path: Path, call: str) -> None:
    trials = tmp_path / "trials"
    small_bundle(trials, 0, 0.6)
    with patch.object(MlflowClient, call, side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        sync(store, SEARCH, everything(trials))
    assert best_trials(store, "demo", "fan") == []

    report = sync(open_store(None, tmp_path / "store"), SEARCH, everything(trials))
    (run,) = runs(store)
    assert list(report.uploaded.values()) == [run.info.run_id]
    assert run.data.tags["oddsound.complete"] == "true"


def test_after_an_outage_the_same_store_looks_again(store: Store, tmp_path: Path) -> None:
    trials = tmp_path / "trials"
    first, second = small_bundle(trials, 0, 0.6), small_bundle(trials, 1, 0.7)
    report = SyncReport()
    with (
        patch.object(MlflowClient, "log_artifacts", log_artifacts_until(2)),
        patch.object(Store, "probe", side_effect=TrackingError("nobody answers")),
        pytest.raises(TrackingError, match="nobody answers"),
    ):
        sync(store, SEARCH, everything(trials), report=report)
    assert list(report.uploaded) == [first.path.name] and len(runs(store)) == 2
    sync(store, SEARCH, everything(trials), report=report)
    assert (list(report.uploaded), report.failed) == ([first.path.name, second.path.name], {})
    assert {run.info.run_id for run in runs(store)} == set(report.uploaded.values())


def log_artifacts_until(trial: int) -> Callable[..., None]:
    """MlflowClient.log_artifacts that fails from the `trial`-th trial on."""
    calls, real = count(1), MlflowClient.log_artifacts

    def log_artifacts(*args: object) -> None:
        if next(calls) >= trial:
            raise MlflowException("connection lost")
        real(*args)

    return log_artifacts


def test_a_double_of_a_complete_run_is_deleted(store: Store, tmp_path: Path) -> None:
    trials = tmp_path / "trials"
    small_bundle(trials, 0, 0.6)
    sync(store, SEARCH, everything(trials))
    (run,) = runs(store)
    store.client.create_run(run.info.experiment_id, run.info.start_time + 1, run.data.tags)
    store.forget()
    assert sync(store, SEARCH, everything(trials)).uploaded == {}
    assert [each.info.run_id for each in runs(store)] == [run.info.run_id]


def test_another_search_records_the_trial_for_itself(store: Store, tmp_path: Path) -> None:
    trials = tmp_path / "trials"
    small_bundle(trials, 0, 0.6)
    for search in ("s1", "s2"):
        assert len(sync(store, Search(search, "demo"), everything(trials)).uploaded) == 1
    assert len(runs(store)) == 2


def test_a_damaged_bundle_is_named_and_holds_up_no_other(store: Store, tmp_path: Path) -> None:
    trials = tmp_path / "trials"
    swapped, not_finite, unreadable, missing, good = (small_bundle(trials, n, 0.6) for n in range(5))
    swapped.weights.write_bytes(b"other")
    (not_finite.path / "history.json").write_text('[{"epoch": 1, "loss": NaN}]')
    (unreadable.path / "result.json").write_text("{")
    missing.scores_path.unlink()
    report = sync(store, SEARCH, everything(trials))
    assert list(report.uploaded) == [good.path.name]
    wanted = {
        swapped: "SHA-256",
        not_finite: "nan",
        unreadable: "can't be read",
        missing: "scores.npz missing",
    }
    assert {b.path.name for b in wanted} == report.failed.keys()
    for bundle, reason in wanted.items():
        assert reason in report.failed[bundle.path.name]


def test_a_trial_that_mlflow_refuses_holds_up_no_other(store: Store, tmp_path: Path) -> None:
    trials = tmp_path / "trials"
    odd, good = small_bundle(trials, 0, 0.6), small_bundle(trials, 1, 0.6)
    odd.write("history.json", [{"epoch": 1, "no such name?": 1.0}])
    report = sync(store, SEARCH, everything(trials))
    assert list(report.uploaded) == [good.path.name]
    assert list(report.failed) == [odd.path.name]

    odd.write("history.json", [{"epoch": 1, "name": 1.0}])
    assert list(sync(store, SEARCH, everything(trials)).uploaded) == [odd.path.name]
    assert len(runs(store)) == 2


def test_a_result_of_another_trial_is_refused(store: Store, tmp_path: Path) -> None:
    bundle = small_bundle(tmp_path / "trials", 0, 0.6)
    bundle.write_result(replace(bundle.result(), machine="pump"))
    (reason,) = sync(store, SEARCH, everything(tmp_path / "trials")).failed.values()
    assert "result.json is of pump/" in reason


def test_machines_have_an_experiment_each(store: Store, tmp_path: Path) -> None:
    trials = tmp_path / "trials"
    for machine in ("fan", "pump"):
        small_bundle(trials, 0, 0.6, machine)
    assert len(sync(store, SEARCH, everything(trials, "fan", "pump", "valve")).uploaded) == 2
    assert [len(runs(store, machine)) for machine in ("fan", "pump")] == [1, 1]
    assert store.find_experiment("demo/valve") is None


def test_a_deleted_experiment_says_what_to_do(store: Store) -> None:
    store.client.delete_experiment(store.experiment("demo/fan"))
    store.forget()
    with pytest.raises(TrackingError, match="was deleted in MLflow"):
        open_search(store, SEARCH, "fan")


def test_names() -> None:
    assert registered_name("a/b:c", "fan") == "a-b-c.fan"
    assert nested(flattened({"a": {"b": 1, "c": {"d": 2}}, "e": 3})) == {"a": {"b": 1, "c": {"d": 2}}, "e": 3}
    with pytest.raises(ConfigError, match="dataset 'no/slash'"):
        Search("s", "no/slash")
    with pytest.raises(ConfigError, match="search id"):
        Search("it's", "demo")
