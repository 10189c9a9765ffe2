"""Pretrained backbones in a real store: recorded and registered once, fetched back byte for byte."""

from __future__ import annotations

import hashlib
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from safetensors.numpy import save_file
from tests.unit.tracking.small_bundles import small_bundle

from oddsound.errors import BundleError, TrackingError, WeightsError
from oddsound.tracking.layout import Search
from oddsound.tracking.metrics import is_described
from oddsound.tracking.pretrained import fetch_pretrained, record_pretrained
from oddsound.tracking.registry import register_best
from oddsound.tracking.store import Store
from oddsound.tracking.sync import sync
from oddsound.training.bundle import bundles
from oddsound.training.pretrain_bundle import PretrainBundle, PretrainResult
from oddsound.training.pretrain_config import PretrainConfig

pytestmark = pytest.mark.long

NAME = "esc10.pretrained.efficientnet_b0"
DIGEST = "c" * 64


def bundle_of(folder: Path, seed: int, accuracy: float, digest: str = DIGEST) -> PretrainBundle:
    config = PretrainConfig.model_validate({"corpus": "esc10", "training": {"seed": seed, "epochs": 2}})
    bundle = PretrainBundle(folder / config.identity)
    bundle.path.mkdir(parents=True)
    bundle.write("config.json", config.model_dump())
    save_file({"conv_stem.weight": np.full((4, 4), seed, np.float32)}, bundle.weights)
    bundle.write("labels.json", {"classes": ["a", "b"], "names": {"a": "a", "b": "b"}})
    entries = [{"epoch": e, "loss": 1 / e, "accuracy": accuracy, "seconds": 0.5} for e in (1, 2)]
    bundle.write("history.json", entries)
    bundle.write_outcome(
        PretrainResult(
            identity=config.identity,
            corpus="esc10",
            metric="accuracy",
            metrics={"accuracy": accuracy, "chance": 0.1},
            n_clips=400,
            n_held_out=80,
            n_classes=10,
            n_parameters=1234,
            corpus_digest=digest,
            weights_sha256=hashlib.sha256(bundle.weights.read_bytes()).hexdigest(),
            first_block_sha256="f" * 64,
            seconds=1.0,
            finished="2026-01-02T03:04:05+00:00",
        )
    )
    return bundle


@pytest.fixture
def bundle(tmp_path: Path) -> PretrainBundle:
    return bundle_of(tmp_path / "pretrain", 1, 0.7)


def champion(store: Store) -> int:
    return int(store.client.get_model_version_by_alias(NAME, "champion").version)


def test_a_run_says_everything(store: Store, bundle: PretrainBundle) -> None:
    registered = record_pretrained(store, bundle)
    assert (registered.uri, registered.champion) == (f"models:/{NAME}/1", True)
    experiment = store.client.get_experiment_by_name("esc10/pretrain")
    assert experiment is not None
    (run,) = store.client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert (run.data.params["model.backbone"], run.data.params["training.seed"]) == ("efficientnet_b0", "1")
    assert run.data.metrics["accuracy"] == 0.7
    assert all(map(is_described, run.data.metrics))
    losses = store.client.get_metric_history(run.info.run_id, "loss")
    assert [(m.step, m.value) for m in losses] == [(1, 1.0), (2, 0.5)]
    assert (run.inputs.dataset_inputs[0].dataset.name, run.data.tags["oddsound.corpus_digest"]) == (
        "esc10",
        DIGEST,
    )
    names = [a.path for a in store.client.list_artifacts(run.info.run_id)]
    assert sorted(names) == ["config.json", "history.json", "labels.json", "model", "result.json"]
    version = store.client.get_model_version(NAME, "1")
    assert version.tags["oddsound.score"] == "0.7" and version.tags["oddsound.chance"] == "0.1"
    assert "accuracy 70.00 %** on 80 held-out of 400 clips, chance 10.00 %" in version.description


def test_recording_again_changes_nothing(store: Store, bundle: PretrainBundle) -> None:
    first = record_pretrained(store, bundle)
    writing = ["create_run", "create_model_version", "set_registered_model_alias", "create_registered_model"]
    with patch.multiple(MlflowClient, **dict.fromkeys(writing)):
        assert record_pretrained(store, bundle) == first


def test_a_half_written_run_is_written_anew(store: Store, bundle: PretrainBundle) -> None:
    with (
        patch.object(MlflowClient, "log_artifact", side_effect=MlflowException("the disk is full")),
        pytest.raises(TrackingError, match=r"the disk is full.*the same command sends them"),
    ):
        record_pretrained(store, bundle)
    record_pretrained(store, bundle)
    experiment = store.client.get_experiment_by_name("esc10/pretrain")
    assert experiment is not None
    assert len(store.client.search_runs([experiment.experiment_id])) == 1
    assert len(store.client.search_model_versions(f"name='{NAME}'")) == 1


def test_the_best_of_the_same_corpus_is_champion(store: Store, tmp_path: Path) -> None:
    scores = [(1, 0.7), (2, 0.8), (3, 0.8), (4, 0.6)]
    registered = [record_pretrained(store, bundle_of(tmp_path, seed, score)) for seed, score in scores]
    assert [r.version for r in registered] == [1, 2, 3, 4]
    assert [r.champion for r in registered] == [True, True, False, False]
    assert champion(store) == 2
    record_pretrained(store, bundle_of(tmp_path / "new", 5, 0.3, digest="e" * 64))
    assert champion(store) == 5, "another state of the corpus, so not comparable"


def test_weights_that_are_not_the_results_are_refused(store: Store, bundle: PretrainBundle) -> None:
    bundle.weights.write_bytes(b"other")
    with pytest.raises(BundleError, match="SHA-256"):
        record_pretrained(store, bundle)


@pytest.mark.parametrize("uri", [f"models:/{NAME}/1", f"models:/{NAME}@champion"])
def test_what_is_fetched_is_what_was_registered(
    uri: str, store: Store, bundle: PretrainBundle, tmp_path: Path
) -> None:
    record_pretrained(store, bundle)
    path = fetch_pretrained(store, uri, tmp_path / "weights")
    assert path.read_bytes() == bundle.weights.read_bytes()
    with patch.object(MlflowClient, "download_artifacts", side_effect=AssertionError):
        assert fetch_pretrained(store, uri, tmp_path / "weights") == path


def test_damaged_weights_are_refused_and_fetched_anew(
    store: Store, bundle: PretrainBundle, tmp_path: Path
) -> None:
    record_pretrained(store, bundle)
    path = fetch_pretrained(store, f"models:/{NAME}/1", tmp_path / "weights")
    path.write_bytes(b"other")
    with pytest.raises(WeightsError, match="isn't what was registered"):
        fetch_pretrained(store, f"models:/{NAME}/1", tmp_path / "weights")
    again = fetch_pretrained(store, f"models:/{NAME}/1", tmp_path / "weights")
    assert again.read_bytes() == bundle.weights.read_bytes()


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        (f"models:/{NAME}/7", "no such model, version or alias"),
        (f"models:/{NAME}@nobody", "no such model, version or alias"),
        ("models:/nothing@champion", "no such model, version or alias"),
        ("models:/nothing", "no address of a model; give models:/<name>/<version> or"),
        (f"models:/{NAME}/latest", "no address of a model"),
    ],
)
def test_addresses_that_lead_nowhere(
    uri: str, message: str, store: Store, bundle: PretrainBundle, tmp_path: Path
) -> None:
    record_pretrained(store, bundle)
    with pytest.raises(TrackingError, match=message):
        fetch_pretrained(store, uri, tmp_path)


def test_a_detector_is_no_backbone(store: Store, tmp_path: Path) -> None:
    small_bundle(tmp_path / "trials", 1, 0.7)
    sync(store, Search("s1", "demo"), {"fan": bundles(tmp_path / "trials", "fan")})
    register_best(store, "demo", "fan")
    with pytest.raises(WeightsError, match="no pretrained backbone"):
        fetch_pretrained(store, "models:/demo.fan@champion", tmp_path)
