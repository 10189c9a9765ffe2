"""Trials that were stopped early, in MLflow: there, once, and out of the way of those that finished."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from tests.unit.tracking.small_bundles import failed_bundle, small_bundle, stopped_bundle

from oddsound.config import flattened
from oddsound.errors import TrackingError
from oddsound.tracking.layout import Search
from oddsound.tracking.metrics import is_described
from oddsound.tracking.ranking import best_trials
from oddsound.tracking.registry import register_best
from oddsound.tracking.runs import close_search
from oddsound.tracking.store import Store, open_store
from oddsound.tracking.sync import SyncReport, sync
from oddsound.tracking.warm_start import best_of_search
from oddsound.tracking.writer import Writer
from oddsound.training.bundle import bundles
from oddsound.training.early_stops import Asha

pytestmark = pytest.mark.long

SEARCH = Search("s1", "demo", asha={"fan": Asha(2, 2)})


def runs(store: Store, kind: str) -> list[Run]:
    experiment = store.find_experiment("demo/fan")
    assert experiment is not None
    return list(store.client.search_runs([experiment], f"tags.`oddsound.kind` = '{kind}'"))


def send(store: Store, trials: Path, search: Search = SEARCH) -> SyncReport:
    return sync(store, search, {"fan": list(bundles(trials, "fan"))})


def again(tmp_path: Path) -> Store:
    """The store as another process opens it."""
    return open_store(None, tmp_path / "store")


def asha_json(store: Store, tmp_path: Path) -> Any:
    (parent,) = runs(store, "search")
    folder = tmp_path / "fetched"
    folder.mkdir(exist_ok=True)
    path = store.client.download_artifacts(parent.info.run_id, "asha.json", str(folder))
    return json.loads(Path(path).read_text())


def test_a_stopped_trial_is_a_run_of_its_own_kind(store: Store, tmp_path: Path) -> None:
    bundle = stopped_bundle(tmp_path / "trials", 7, [0.1, 0.3, 0.2], rung=2)
    report = send(store, tmp_path / "trials")
    (run,), (parent,) = runs(store, "stopped"), runs(store, "search")
    assert report.uploaded == {bundle.path.name: run.info.run_id}
    expected = {
        "mlflow.parentRunId": parent.info.run_id,
        "oddsound.search": "s1",
        "oddsound.dataset": "demo",
        "oddsound.machine": "fan",
        "oddsound.trial": bundle.path.name,
        "oddsound.number": "7",
        "oddsound.stop_epoch": "3",
        "oddsound.stop_rung": "2",
        "oddsound.stop_omega": "0.3",
        "oddsound.complete": "true",
    }
    assert expected.items() <= run.data.tags.items()
    assert run.data.params == {k: str(v) for k, v in flattened(bundle.config().model_dump()).items()}
    history = store.client.get_metric_history(run.info.run_id, "omega")
    assert [(m.step, m.value) for m in history] == [(1, 0.1), (2, 0.3), (3, 0.2)]
    artifacts = {artifact.path for artifact in store.client.list_artifacts(run.info.run_id)}
    assert artifacts == {"config.json", "history.json", "stopped.json"}
    assert (run.info.run_name, run.info.status) == (f"fan-007-{bundle.path.name[:8]}", "FINISHED")
    assert run.info.end_time - run.info.start_time == 1500


def test_no_ranking_sees_it(store: Store, tmp_path: Path) -> None:
    trials = tmp_path / "trials"
    stopped_bundle(trials, 0, [0.99, 0.99], rung=2)
    whole = small_bundle(trials, 1, 0.5)
    send(store, trials)
    assert [trial.trial for trial in best_trials(store, "demo", "fan")] == [whole.path.name]
    assert [place.trial.trial for place in register_best(store, "demo", "fan")] == [whole.path.name]
    assert best_of_search(store, "s1", "fan") == [whole.config()]


def test_it_is_neither_failed_nor_missing(store: Store, tmp_path: Path) -> None:
    trials = tmp_path / "trials"
    small_bundle(trials, 0, 0.6)
    stopped = stopped_bundle(trials, 1, [0.1, 0.2], rung=2)
    stopped.write("failure.json", {"reason": "of an earlier attempt"})
    failed_bundle(trials)
    report = send(store, trials)
    close_search(store, SEARCH, "fan", bundles(trials, "fan"), "FINISHED")
    tags = runs(store, "search")[0].data.tags
    counts = [tags[f"oddsound.n_{what}"] for what in ("finished", "stopped", "failed")]
    assert counts == ["1", "1", "1"]
    assert str(report) == "2 sent, 0 there already, 0 failed; 1 of these were stopped early"
    assert str(send(again(tmp_path), trials)).startswith("0 sent, 2 there already, 0 failed; 1 of these")


def test_a_second_sync_sends_nothing_and_asks_nothing(store: Store, tmp_path: Path) -> None:
    trials = tmp_path / "trials"
    small_bundle(trials, 0, 0.6, epochs=10)
    stopped_bundle(trials, 1, [0.1, 0.2], rung=2)
    first = send(store, trials)
    with patch.object(Store, "asking", side_effect=AssertionError("asked the server")):
        assert send(store, trials).already == set(first.uploaded)
    elsewhere = send(again(tmp_path), trials)
    assert (elsewhere.uploaded, elsewhere.already) == ({}, set(first.uploaded))
    assert (len(runs(store, "stopped")), len(runs(store, "trial"))) == (1, 1)
    (parent,) = runs(store, "search")
    assert len(store.client.get_metric_history(parent.info.run_id, "asha/stopped")) == 1


@pytest.mark.parametrize("call", ["log_batch", "log_artifact", "set_terminated", "set_tag"])
def test_a_run_cut_short_is_sent_again_and_stands_once(store: Store, tmp_path: Path, call: str) -> None:
    trials = tmp_path / "trials"
    stopped_bundle(trials, 0, [0.1, 0.2], rung=2)
    with patch.object(MlflowClient, call, side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        send(store, trials)
    report = send(again(tmp_path), trials)
    (run,) = runs(store, "stopped")
    assert list(report.uploaded.values()) == [run.info.run_id]
    assert run.data.tags["oddsound.complete"] == "true"


def test_a_double_is_deleted(store: Store, tmp_path: Path) -> None:
    stopped_bundle(tmp_path / "trials", 0, [0.1, 0.2], rung=2)
    send(store, tmp_path / "trials")
    (run,) = runs(store, "stopped")
    store.client.create_run(run.info.experiment_id, run.info.start_time + 1, run.data.tags)
    assert send(again(tmp_path), tmp_path / "trials").uploaded == {}
    assert [each.info.run_id for each in runs(store, "stopped")] == [run.info.run_id]


@pytest.mark.parametrize("cut", [False, True])
def test_one_that_finishes_after_all_is_a_finished_one(store: Store, tmp_path: Path, cut: bool) -> None:
    trials = tmp_path / "trials"
    whole = small_bundle(trials, 0, 0.7)
    result = (whole.path / "result.json").rename(tmp_path / "result.json")
    (whole.path / "stopped.json").write_text('{"number": 0, "epoch": 2, "rung": 2, "omega": 0.1}')
    report = send(store, trials)
    assert (report.stopped, len(runs(store, "stopped"))) == ({whole.path.name}, 1)
    result.rename(whole.path / "result.json")
    if cut:
        with (
            patch.object(MlflowClient, "delete_run", side_effect=KeyboardInterrupt),
            pytest.raises(KeyboardInterrupt),
        ):
            send(store, trials)
        store = again(tmp_path)
    sync(store, SEARCH, {"fan": bundles(trials, "fan")}, report=report)
    assert (report.stopped, report.already & report.uploaded.keys()) == (set(), set())
    assert (len(runs(store, "stopped")), len(runs(store, "trial"))) == (0, 1)


def test_a_damaged_one_is_named_and_holds_up_no_other(store: Store, tmp_path: Path) -> None:
    trials = tmp_path / "trials"
    made = [stopped_bundle(trials, n, [0.1, 0.2], rung=2) for n in range(5)]
    good, odd, infinite, unread, missing = made
    (odd.path / "stopped.json").write_text('{"number": 1}')
    (infinite.path / "stopped.json").write_text('{"number": 2, "epoch": 2, "rung": 2, "omega": Infinity}')
    (unread.path / "history.json").write_text("[")
    (missing.path / "history.json").unlink()
    report = send(store, trials)
    assert list(report.uploaded) == [good.path.name]
    wanted = {
        odd: "not a trial's stop",
        infinite: "omega is inf",
        unread: "can't be read",
        missing: "can't be",
    }
    assert {b.path.name for b in wanted} == report.failed.keys()
    for bundle, reason in wanted.items():
        assert reason in report.failed[bundle.path.name]


def test_the_search_says_what_early_stopping_saved(store: Store, tmp_path: Path) -> None:
    trials = tmp_path / "trials"
    stopped_bundle(trials, 0, [0.1, 0.2], rung=2)
    send(store, trials)
    (parent,) = runs(store, "search")
    assert parent.data.metrics == {"asha/stopped": 1, "asha/epochs_trained": 2, "asha/epochs_saved": 8}
    settings = {"oddsound.asha_grace_epochs": "2", "oddsound.asha_reduction": "2"}
    assert settings.items() <= parent.data.tags.items()

    stopped_bundle(trials, 1, [0.1, 0.5, 0.4, 0.4, 0.2], rung=4)
    small_bundle(trials, 2, 0.6, epochs=10)
    send(store, trials)
    (parent,) = runs(store, "search")
    saved = {"asha/stopped": 2, "asha/epochs_trained": 17, "asha/epochs_saved": 13}
    assert parent.data.metrics == saved | {"best_omega": 0.6}
    assert all(map(is_described, parent.data.metrics))
    figures = asha_json(store, tmp_path)
    assert [figures[key] for key in ("grace_epochs", "reduction", "n_trials", "n_stopped")] == [2, 2, 3, 2]
    rungs = [[rung[k] for k in ("epoch", "n_reached", "n_stopped")] for rung in figures["rungs"]["10"]]
    assert rungs == [[2, 3, 1], [4, 2, 1], [8, 1, 0]]
    assert figures["rungs"]["10"][0]["cutoff"] == pytest.approx(0.5)


def set_tag_until_the_savings(client: MlflowClient, run: str, key: str, value: str) -> None:
    if key == "oddsound.asha_sha256":
        raise KeyboardInterrupt
    real_set_tag(client, run, key, value)


real_set_tag = MlflowClient.set_tag


@pytest.mark.parametrize("call", ["log_dict", "set_tag"])
def test_savings_cut_short_are_sent_again(store: Store, tmp_path: Path, call: str) -> None:
    trials = tmp_path / "trials"
    small_bundle(trials, 0, 0.6, epochs=10)
    cut = {"side_effect": KeyboardInterrupt} if call == "log_dict" else {"new": set_tag_until_the_savings}
    with patch.object(MlflowClient, call, **cut), pytest.raises(KeyboardInterrupt):
        send(store, trials)
    store = again(tmp_path)
    assert send(store, trials).uploaded == {}
    (parent,) = runs(store, "search")
    assert parent.data.metrics["asha/epochs_trained"] == 10
    assert asha_json(store, tmp_path)["n_trials"] == 1
    assert "oddsound.asha_sha256" in parent.data.tags


def test_a_search_without_early_stopping_says_nothing_of_it(store: Store, tmp_path: Path) -> None:
    small_bundle(tmp_path / "trials", 0, 0.6)
    stopped_bundle(tmp_path / "trials", 1, [0.1, 0.2], rung=2)  # of when it had some
    assert len(send(store, tmp_path / "trials", Search("s1", "demo")).uploaded) == 2
    (parent,) = runs(store, "search")
    assert parent.data.metrics == {"best_omega": 0.6}
    assert not [tag for tag in parent.data.tags if "asha" in tag]


def test_after_an_outage_all_of_it_arrives(store: Store, tmp_path: Path) -> None:
    trials = tmp_path / "trials"
    stopped_bundle(trials, 0, [0.1, 0.2], rung=2)
    away = TrackingError("nobody answers")
    with (
        patch.object(Store, "probe", side_effect=away),
        patch("oddsound.tracking.sync.log_stopped", side_effect=away),
    ):
        writer = Writer(lambda: store, SEARCH, trials, pause_s=60)
        writer.nudge("fan")
        assert (writer.close().uploaded, writer.problem) == ({}, "1 of 1 trial(s) unsynced: nobody answers")
    writer = Writer(lambda: store, SEARCH, trials)
    writer.nudge("fan")
    assert (len(writer.close().uploaded), writer.problem) == (1, "")
    (parent,) = runs(store, "search")
    assert (parent.info.status, parent.data.metrics["asha/stopped"]) == ("FINISHED", 1)
