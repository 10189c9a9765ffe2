"""Pretraining: what it learns, its bundle, resuming bit for bit, and each way it can fail."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.corpora import audioset_corpus, esc_corpus

from oddsound.config import AugmentConfig, ModelConfig
from oddsound.errors import BundleError, DataError, TrialError, WeightsError
from oddsound.features.corpus_cache import CorpusFeatures, build_corpus_cache, open_corpus_cache
from oddsound.models.backbones import build_backbone
from oddsound.models.pretrained import first_block_sha256, load_pretrained, sha256_of
from oddsound.recordings.corpus import read_corpus
from oddsound.training.pretrain_bundle import PretrainBundle
from oddsound.training.pretrain_config import PretrainConfig
from oddsound.training.pretraining import evaluate, learning_rate, pretrain

pytestmark = pytest.mark.trained

SMALL: dict[str, Any] = {
    "corpus": "tiny",
    "features": {"n_mels": 64},
    "augment": {"time_mask_frames": 4, "mixup_alpha": 0.2},
    "model": {"width": 0.1, "depth": 0.3, "dropout": 0.1},
    "training": {"epochs": 3, "batch_size": 6},
}


@pytest.mark.parametrize("epochs", [True, 3.0, "3"])
def test_settings_are_of_their_type(epochs: Any) -> None:
    with pytest.raises(ValueError, match="valid integer"):
        PretrainConfig.model_validate(SMALL | {"training": {"epochs": epochs}})


@pytest.fixture(scope="module")
def config() -> PretrainConfig:
    return PretrainConfig.model_validate(SMALL)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, config: PretrainConfig) -> CorpusFeatures:
    folder = tmp_path_factory.mktemp("corpus")
    corpus = read_corpus(esc_corpus(folder / "esc"))
    return open_corpus_cache(build_corpus_cache(corpus, config.features, 1.0, folder / "cache"))


def silent(_entry: dict[str, float]) -> None:
    pass


def stop_after(epoch: int) -> Callable[[dict[str, float]], None]:
    def report(entry: dict[str, float]) -> None:
        if entry["epoch"] == epoch:
            raise KeyboardInterrupt

    return report


def with_model(config: PretrainConfig, **model: object) -> PretrainConfig:
    return config.model_copy(update={"model": config.model.model_copy(update=model)})


def with_training(config: PretrainConfig, **training: object) -> PretrainConfig:
    return config.model_copy(update={"training": config.training.model_copy(update=training)})


def test_a_whole_bundle(config: PretrainConfig, data: CorpusFeatures, tmp_path: Path) -> None:
    reports: list[dict[str, float]] = []
    bundle = pretrain(config, data, reports.append, folder=tmp_path)
    assert bundle.path == tmp_path / config.identity
    assert sorted(path.name for path in bundle.path.iterdir()) == [
        "config.json", "history.json", "labels.json", "result.json", "weights.safetensors",
    ]  # fmt: skip
    assert bundle.settings() == config
    result = bundle.outcome()
    assert (result.identity, result.corpus_digest) == (config.identity, data.digest)
    assert (result.n_clips, result.n_held_out, result.n_classes) == (24, 12, 3)
    assert result.metrics.keys() == {"accuracy", "chance"}
    assert result.metrics["chance"] == pytest.approx(1 / 3)
    assert result.weights_sha256 == sha256_of(bundle.weights)
    assert [entry["epoch"] for entry in bundle.history()] == [1, 2, 3]
    assert [entry["epoch"] for entry in reports] == [1, 2, 3]
    assert reports[-1]["accuracy"] == result.score


def test_it_learns(config: PretrainConfig, tmp_path: Path) -> None:
    corpus = read_corpus(esc_corpus(tmp_path / "esc", n_each=8, n_folds=3))
    data = open_corpus_cache(build_corpus_cache(corpus, config.features, 1.0, tmp_path / "cache"))
    plain = config.model_copy(update={"augment": AugmentConfig(time_mask_frames=0)})
    longer = with_training(plain, epochs=16, lr=3e-3)
    bundle = pretrain(longer, data, silent, folder=tmp_path)
    last = [entry["accuracy"] for entry in bundle.history()[-4:]]
    assert sum(last) / 4 >= 0.5, "chance is a third; three seeds had 0.75 to 1.00"


def test_a_detectors_backbone_takes_the_weights(
    config: PretrainConfig, data: CorpusFeatures, tmp_path: Path
) -> None:
    bundle = pretrain(config, data, silent, folder=tmp_path)
    model = ModelConfig(width=0.1, depth=0.3)
    backbone, _ = build_backbone(model)
    before = first_block_sha256(backbone)
    assert load_pretrained(backbone, bundle.weights, model).fraction == 1.0
    assert first_block_sha256(backbone) == bundle.outcome().first_block_sha256 != before


@pytest.mark.parametrize("stopped", [1, 2])
def test_resumed_training_gives_the_same_bytes(
    stopped: int, config: PretrainConfig, data: CorpusFeatures, tmp_path: Path
) -> None:
    whole = pretrain(config, data, silent, folder=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        pretrain(config, data, stop_after(stopped), folder=tmp_path / "cut")
    cut = PretrainBundle(tmp_path / "cut" / config.identity)
    assert cut.checkpoint.is_file() and not cut.is_whole
    reports: list[dict[str, float]] = []
    pretrain(config, data, reports.append, folder=tmp_path / "cut")
    assert [entry["epoch"] for entry in reports] == list(range(stopped + 1, 4))
    assert cut.weights.read_bytes() == whole.weights.read_bytes()
    assert cut.outcome().metrics == whole.outcome().metrics


def test_a_whole_bundle_is_left_as_it_is(
    config: PretrainConfig, data: CorpusFeatures, tmp_path: Path
) -> None:
    bundle = pretrain(config, data, silent, folder=tmp_path)
    before = {path: path.stat().st_mtime_ns for path in bundle.path.iterdir()}
    reports: list[dict[str, float]] = []
    pretrain(config, data, reports.append, folder=tmp_path)
    assert {path: path.stat().st_mtime_ns for path in bundle.path.iterdir()} == before
    assert [entry["epoch"] for entry in reports] == [3]


def test_several_labels_a_clip(config: PretrainConfig, tmp_path: Path) -> None:
    corpus = read_corpus(audioset_corpus(tmp_path / "audioset", n=24))
    cache = build_corpus_cache(corpus, config.features, 1.0, tmp_path / "cache")
    many = with_training(config, held_out_fold=corpus.folds[0])
    bundle = pretrain(many, open_corpus_cache(cache), silent, folder=tmp_path)
    result = bundle.outcome()
    assert result.metric == "mean_average_precision"
    assert 0 < result.metrics["chance"] < 1 and 0 < result.score <= 1
    assert '"Tone, so called"' in (bundle.path / "labels.json").read_text()


def test_weights_to_start_from(config: PretrainConfig, data: CorpusFeatures, tmp_path: Path) -> None:
    first = pretrain(config, data, silent, folder=tmp_path)
    sha256 = first.outcome().weights_sha256
    again = with_model(config, pretrained=str(first.weights), pretrained_sha256=sha256)
    assert again.identity != config.identity
    slow = with_training(again, lr=1e-12, epochs=1)
    bundle = pretrain(slow, data, silent, folder=tmp_path, weights=first.weights)
    other = with_training(config, lr=1e-12, epochs=1)
    assert (
        weights_moved(bundle, first)
        < 1e-6
        < weights_moved(pretrain(other, data, silent, folder=tmp_path), first)
    )
    with pytest.raises(WeightsError, match="not the weights"):
        wrong = with_model(config, pretrained="x", pretrained_sha256="0" * 64)
        pretrain(wrong, data, silent, folder=tmp_path, weights=first.weights)


def weights_moved(a: PretrainBundle, b: PretrainBundle) -> float:
    """How far apart the first convolutions are."""
    stems = []
    for bundle in (a, b):
        model = ModelConfig(width=0.1, depth=0.3)
        network, _ = build_backbone(model)
        load_pretrained(network, bundle.weights, model)
        stems.append(network.state_dict()["conv_stem.weight"])
    return float((stems[0] - stems[1]).abs().max())


def test_standardised_features(config: PretrainConfig, data: CorpusFeatures, tmp_path: Path) -> None:
    bundle = pretrain(with_model(config, standardise="per_machine"), data, silent, folder=tmp_path)
    plain = pretrain(config, data, silent, folder=tmp_path)
    assert bundle.weights.read_bytes() != plain.weights.read_bytes()


def test_bfloat16(config: PretrainConfig, data: CorpusFeatures, tmp_path: Path) -> None:
    bundle = pretrain(with_training(config, precision="bfloat16"), data, silent, folder=tmp_path)
    assert math.isfinite(bundle.history()[-1]["loss"])


def test_another_corpus_is_refused(config: PretrainConfig, data: CorpusFeatures, tmp_path: Path) -> None:
    pretrain(config, data, silent, folder=tmp_path / "whole")
    other = replace(data, digest="other")
    with pytest.raises(DataError, match="another corpus"):
        pretrain(config, other, silent, folder=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        pretrain(config, data, stop_after(1), folder=tmp_path / "cut")
    with pytest.raises(DataError, match="other recordings"):
        pretrain(config, other, silent, folder=tmp_path / "cut")


@pytest.mark.parametrize("fold", [0, 3])
def test_a_fold_that_is_not_there(
    fold: int, config: PretrainConfig, data: CorpusFeatures, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=f"fold {fold} has 0 of 24 clips; it has the folds 1, 2"):
        pretrain(with_training(config, held_out_fold=fold), data, silent, folder=tmp_path)


def test_a_fold_of_other_classes(config: PretrainConfig, data: CorpusFeatures, tmp_path: Path) -> None:
    targets = np.where((data.folds == 1)[:, None], [[1.0, 0, 0]], [[0.0, 1, 0]]).astype(np.float32)
    with pytest.raises(DataError, match="no class that the others have"):
        pretrain(config, replace(data, targets=targets), silent, folder=tmp_path)


def test_a_loss_that_is_not_finite_is_kept_as_the_reason(
    config: PretrainConfig, data: CorpusFeatures, tmp_path: Path
) -> None:
    broken = replace(data, features=np.full(data.features.shape, np.nan, np.float32))
    with pytest.raises(TrialError, match="loss became nan in epoch 1"):
        pretrain(config, broken, silent, folder=tmp_path)
    bundle = PretrainBundle(tmp_path / config.identity)
    assert bundle.failure().startswith("TrialError: tiny: loss became nan")
    assert pretrain(config, data, silent, folder=tmp_path).failure() == ""


def test_a_damaged_bundle_is_named(config: PretrainConfig, data: CorpusFeatures, tmp_path: Path) -> None:
    bundle = pretrain(config, data, silent, folder=tmp_path)
    (bundle.path / "result.json").write_text('{"identity": "x"}')
    with pytest.raises(BundleError, match=r"result\.json: not of a pretraining"):
        bundle.outcome()
    (bundle.path / "config.json").write_text("{}")
    with pytest.raises(BundleError, match=r"config\.json: not of a pretraining"):
        bundle.settings()


def test_accuracy_and_chance() -> None:
    targets = np.eye(3, dtype=np.float32)[[0, 0, 1, 2]]
    logits = np.array([[2.0, 1, 0], [0, 1, 0], [0, 1, 0], [0, 0, 9]])
    assert evaluate(logits, targets, multi_label=False) == {"accuracy": 0.75, "chance": 0.5}


def test_mean_average_precision_and_chance() -> None:
    """Class 0 is ranked rightly, class 1 in places 2 and 3 of 3, class 2 has no clip."""
    targets = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0]], np.float32)
    logits = np.array([[9.0, 9, 0], [1, 8, 0], [0, 7, 5]])
    measured = evaluate(logits, targets, multi_label=True)
    assert measured["mean_average_precision"] == pytest.approx((1 + (1 / 2 + 2 / 3) / 2) / 2)
    assert measured["chance"] == pytest.approx((1 / 3 + 2 / 3) / 2)


def test_the_learning_rate_falls_along_half_a_cosine(config: PretrainConfig) -> None:
    longer = with_training(config, epochs=10)
    rates = [learning_rate(epoch, longer) for epoch in (1, 6, 10)]
    assert rates == pytest.approx([1e-3, 5e-4, 1e-3 * 0.5 * (1 + math.cos(0.9 * math.pi))])


def test_what_is_a_default_or_irrelevant_is_no_part_of_the_identity() -> None:
    plain = PretrainConfig(corpus="tiny")
    spelt = PretrainConfig.model_validate({"corpus": "tiny", "training": {"epochs": 15}})
    assert plain.identity == spelt.identity
    assert plain.identity != PretrainConfig(corpus="other").identity
    with pytest.raises(ValueError, match=r"model\.ae_hidden changes nothing in pretraining"):
        PretrainConfig.model_validate({"corpus": "tiny", "model": {"ae_hidden": 5}})


def test_what_was_drawn_before_changes_nothing(
    config: PretrainConfig, data: CorpusFeatures, tmp_path: Path
) -> None:
    first = pretrain(config, data, silent, folder=tmp_path / "a")
    torch.manual_seed(1234)
    second = pretrain(config, data, silent, folder=tmp_path / "b")
    assert first.weights.read_bytes() == second.weights.read_bytes()
