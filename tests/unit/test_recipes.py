"""The systems of Table 1 as settings: each is valid, and says what the paper or its code says."""

import pytest

from oddsound.config import TrialConfig, overlay
from oddsound.errors import ConfigError
from oddsound.recipes import RECIPES, Reading, recipe_settings


def config_of(name: str, **reading: str) -> TrialConfig:
    read = Reading.model_validate(reading)
    return TrialConfig.model_validate(overlay({"machine": "fan"}, recipe_settings(name, read)))


@pytest.mark.parametrize("profile", ["paper", "authors"])
@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_a_valid_trial_of_its_name(name: str, profile: str) -> None:
    assert config_of(name, profile=profile).recipe == name


@pytest.mark.parametrize("profile", ["paper", "authors"])
def test_recipes_are_eight_trials(profile: str) -> None:
    assert len({config_of(name, profile=profile).identity for name in RECIPES}) == len(RECIPES) == 8


@pytest.mark.parametrize("name", [name for name in RECIPES if name.startswith("effnet")])
def test_a_rows_name_says_what_it_has(name: str) -> None:
    config = config_of(name)
    assert (config.features.median_frames == 30) == ("median" in name)
    assert (config.augment.mixup_alpha > 0) == ("mixup" in name)
    assert (config.model.pretrained == "imagenet") == ("pretrain" in name)
    assert (config.training.epochs, config.training.batch_size, config.training.halve_every) == (300, 32, 30)
    assert (config.loss.contrastive, config.loss.contrastive_weight) == ("eq4", 1.0)
    assert (config.model.segment_frames, config.model.ae_view, config.model.ae_bottleneck) == (
        0,
        "vectors",
        32,
    )
    assert (config.training.selection, config.training.target_share) == ("last", 0.2)
    assert (config.model.pooling, config.model.dropout) == ("gamp", 0.5)


@pytest.mark.parametrize("name", [name for name in RECIPES if name.startswith("effnet")])
def test_the_authors_reading(name: str) -> None:
    config = config_of(name, profile="authors")
    assert (config.features.median_frames == 31) == ("median" in name)
    assert (config.loss.contrastive, config.loss.contrastive_weight) == ("nt_xent", 0.0005)
    assert (config.model.segment_frames, config.model.segment_hop) == (64, 8)
    assert (config.model.ae_view, config.model.ae_bottleneck) == ("segment", 8)
    assert (config.model.normalise, config.training.selection) == ("backbone", "best_dev_omega")
    assert config.training.lr_backbone == 1e-5


@pytest.mark.parametrize("profile", ["paper", "authors"])
def test_the_baselines_are_the_official_ones(profile: str) -> None:
    autoencoder, mobilenet = (config_of(f"{name}_baseline", profile=profile) for name in ("ae", "mobilenet"))
    for config in (autoencoder, mobilenet):
        front_end = config.features
        assert (front_end.center, front_end.mel_scale, front_end.mel_norm) == (True, "slaney", "slaney")
        assert (front_end.top_db, front_end.power_floor) == (None, 2**-52)
        assert not any(config.augment.model_dump().values())
        assert (config.training.target_share, config.training.holdout) == (0.0, 0.1)
    of = autoencoder
    assert (of.training.epochs, of.training.batch_size, of.training.lr_autoencoder) == (100, 512, 1e-3)
    assert (of.model.segment_frames, of.model.segment_hop, of.model.ae_bottleneck) == (5, 1, 8)
    of = mobilenet
    assert (of.training.epochs, of.training.batch_size, of.training.lr_backbone) == (20, 32, 1e-5)
    assert (of.model.width, of.model.segment_frames, of.model.segment_hop) == (0.5, 64, 8)
    assert (of.model.backbone, of.model.input_channels, of.model.pooling) == ("mobilenetv2", 3, "avg")
    assert of.model.dropout == 0.0
    for config in (autoencoder, mobilenet):
        assert (config.model.initialisation, config.training.halve_every) == ("keras", 0)
        assert (config.training.selection, config.training.anomaly_score) == ("last", "eq3")
        assert (config.model.pretrained, config.model.standardise) == ("none", "none")


def test_the_pretrained_rows_take_other_weights() -> None:
    config = config_of("effnet_pretrain", pretrained="audioset", backbone="efficientnet_b0")
    assert (config.model.pretrained, config.model.backbone) == ("audioset", "efficientnet_b0")
    assert config_of("effnet", pretrained="audioset").model.pretrained == "none"


def test_pretrained_rows_alone_take_another_activation() -> None:
    """Weights of relu6, as those that begin from ImageNet's, leave the other rows as they are."""
    rows = {name: config_of(name, activation="relu6").model.activation for name in RECIPES}
    assert {name for name, activation in rows.items() if activation == "relu6"} == {
        name for name in RECIPES if "pretrain" in name
    }


def test_an_unknown_recipe_is_named() -> None:
    with pytest.raises(ConfigError, match="recipe 'resnet'; known are ae_baseline, mobilenet_baseline"):
        recipe_settings("resnet")
