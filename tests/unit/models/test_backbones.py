"""The registry: parameters by the published counts, one smoke test over every name and pooling."""

import copy

import pytest
import timm
import torch
from torch import nn

from oddsound.config import ModelConfig
from oddsound.models.autoencoder import Autoencoder
from oddsound.models.backbones import BACKBONES, activation_of, build_backbone
from oddsound.models.pooling import build_pool

pytestmark = pytest.mark.long


def config_of(**settings: object) -> ModelConfig:
    return ModelConfig.model_validate(settings)


def n_as_keras_counts(network: nn.Module) -> int:
    """Parameters and batch norms' running statistics, which Keras counts as non-trainable ones."""
    statistics = [b for name, b in network.named_buffers() if not name.endswith("num_batches_tracked")]
    return sum(t.numel() for t in [*network.parameters(), *statistics])


def n_parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("pooling", ["gamp", "avg", "max", "avgmax", "catavgmax"])
def test_every_backbone_feeds_every_pooling(name: str, pooling: str) -> None:
    network, channels = build_backbone(config_of(backbone=name, width=0.1, depth=0.3))
    pool, width = build_pool(pooling, channels)
    x = torch.randn(2, 1, 64, 21)
    with torch.inference_mode():
        maps = network.eval()(x)
        assert maps.shape == (2, channels, 2, 1)  # 64 / 32 and ⌈21 / 32⌉
        assert pool(maps).shape == (2, width)


@pytest.mark.parametrize("name", BACKBONES)
def test_width_and_depth_multiply(name: str) -> None:
    counts = [
        n_parameters(build_backbone(config_of(backbone=name, width=width, depth=depth))[0])
        for width, depth in [(0.5, 0.5), (0.5, 1), (1, 1), (1.4, 1), (1.4, 1.2)]
    ]
    assert counts == sorted(set(counts))


def test_keras_mobilenetv2_of_alpha_one_half() -> None:
    """706,224 without its top and 710,067 with three classes, as keras.applications counts them."""
    network, channels = build_backbone(config_of(backbone="mobilenetv2", width=0.5, input_channels=3))
    assert n_as_keras_counts(network) == 706_224
    assert n_as_keras_counts(nn.Sequential(network, nn.Linear(channels, 3))) == 710_067
    assert {m.eps for m in network.modules() if isinstance(m, nn.BatchNorm2d)} == {1e-3}


def test_mobilenetv2_of_alpha_one_has_its_published_parameters() -> None:
    network, channels = build_backbone(config_of(backbone="mobilenetv2", input_channels=3))
    assert n_parameters(nn.Sequential(network, nn.Linear(channels, 1000))) == 3_504_872


@pytest.mark.parametrize("alpha", [0.1, 0.35, 1.0])
def test_mobilenetv2_has_1280_channels_up_to_alpha_1(alpha: float) -> None:
    assert build_backbone(config_of(backbone="mobilenetv2", width=alpha))[1] == 1280


def test_mobilenetv2_has_more_channels_beyond_alpha_1() -> None:
    assert build_backbone(config_of(backbone="mobilenetv2", width=1.4))[1] == 1792


@pytest.mark.parametrize(
    ("name", "published"),
    [("efficientnet_b0", 5_288_548), ("tf_efficientnet_b0", 5_288_548), ("tf_efficientnet_lite0", 4_652_008)],
)
def test_efficientnets_have_their_published_parameters(name: str, published: int) -> None:
    """Published with 1000 classes and three input channels."""
    network, channels = build_backbone(config_of(backbone=name, input_channels=3))
    assert n_parameters(nn.Sequential(network, nn.Linear(channels, 1000))) == published
    one_channel, _ = build_backbone(config_of(backbone=name))
    assert n_parameters(network) - n_parameters(one_channel) == 2 * 32 * 9


def test_autoencoder_baseline_as_keras_counts_it() -> None:
    """128×4–8–128×4 on 5 frames of 128 bands: 269,992, of which 2,064 are running statistics."""
    network = Autoencoder(640, 128, 8)
    assert n_as_keras_counts(network) == 269_992
    assert n_parameters(network) == 269_992 - 2 * (8 * 128 + 8)


def test_autoencoder_of_table_2() -> None:
    assert n_parameters(Autoencoder()) == 274_144
    assert n_as_keras_counts(Autoencoder()) == 276_256


@pytest.mark.parametrize("name", ["efficientnet_b0", "tf_efficientnet_b0", "tf_efficientnet_lite0"])
def test_full_width_is_timms_own(name: str) -> None:
    ours, _ = build_backbone(config_of(backbone=name))
    theirs = timm.create_model(name, in_chans=1, num_classes=0)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(1, 1, 64, 33)
    with torch.inference_mode():
        torch.testing.assert_close(ours.eval()(x), theirs.eval().forward_features(x), rtol=0, atol=0)


@pytest.mark.parametrize("name", BACKBONES)
def test_three_channels_are_the_one_three_times(name: str) -> None:
    torch.manual_seed(0)
    one, _ = build_backbone(config_of(backbone=name, width=0.5, depth=0.5))
    three, _ = build_backbone(config_of(backbone=name, width=0.5, depth=0.5, input_channels=3))
    assert list(three.state_dict()) == list(one.state_dict())
    state = three.state_dict()
    state["conv_stem.weight"] = state["conv_stem.weight"].sum(dim=1, keepdim=True)
    one.load_state_dict(state)
    x = torch.randn(2, 1, 64, 33)
    three = copy.deepcopy(three).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    with torch.inference_mode():
        torch.testing.assert_close(three.eval()(x), one.eval()(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "activation"),
    [
        ({}, "swish"),
        ({"backbone": "tf_efficientnet_b0"}, "swish"),
        ({"backbone": "tf_efficientnet_b0", "pretrained": "imagenet"}, "relu6"),
        ({"backbone": "tf_efficientnet_b0", "pretrained": "imagenet", "activation": "swish"}, "swish"),
        ({"backbone": "tf_efficientnet_b0", "pretrained": "weights.pth"}, "swish"),
        ({"backbone": "tf_efficientnet_lite0"}, "relu6"),
        ({"backbone": "tf_efficientnet_lite0", "activation": "swish"}, "swish"),
        ({"backbone": "mobilenetv2"}, "relu6"),
    ],
)
def test_activation(settings: dict[str, str], activation: str) -> None:
    config = config_of(width=0.1, depth=0.3, **settings)
    assert activation_of(config) == activation
    kinds = {type(m) for m in build_backbone(config)[0].modules() if isinstance(m, nn.SiLU | nn.ReLU6)}
    assert kinds == {{"swish": nn.SiLU, "relu6": nn.ReLU6}[activation]}
