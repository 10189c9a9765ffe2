"""Keras's initialisation by its bounds: U(−a, a), a = √(6 / (fan_in + fan_out))."""

import math

import pytest
import torch
from torch import nn

from oddsound.config import ModelConfig
from oddsound.models.backbones import build_backbone
from oddsound.models.initialise import KERAS_MOBILENETV2_MOMENTUM, keras_initialise


@pytest.mark.parametrize(
    ("layer", "fans"),
    [
        (nn.Linear(640, 128), 640 + 128),
        (nn.Conv2d(16, 96, 1), 16 + 96),
        (nn.Conv2d(3, 32, 3), 9 * 3 + 9 * 32),
        # Keras's depthwise kernel has the shape (3, 3, 96, 1), so that its fans are 9 · 96 and 9 · 1.
        (nn.Conv2d(96, 96, 3, groups=96), 9 * 96 + 9),
    ],
)
def test_weights_are_glorot_uniform_and_biases_zero(layer: nn.Linear | nn.Conv2d, fans: int) -> None:
    torch.manual_seed(0)
    keras_initialise(layer)
    bound = math.sqrt(6 / fans)
    n = layer.weight.numel()
    assert 0.98 * bound < layer.weight.abs().max() <= bound
    assert abs(layer.weight.mean()) < 5 * bound / math.sqrt(3 * n)
    assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=5 / math.sqrt(n))
    assert layer.bias is not None
    assert not layer.bias.any()


def test_every_batch_norm_is_as_keras_has_it() -> None:
    network = nn.Sequential(nn.BatchNorm1d(4), build_backbone(ModelConfig(width=0.1, depth=0.3))[0])
    network[0].running_mean.fill_(3.0)  # type: ignore[union-attr, operator]
    keras_initialise(network)
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert len(norms) > 20
    for norm in norms:
        assert (norm.eps, norm.momentum) == (1e-3, 0.01)
        assert norm.weight.unique().tolist() == [1]
        assert norm.running_mean is not None
        assert not norm.bias.any()
        assert not norm.running_mean.any()


def test_a_constant_batch_moves_the_running_mean_by_a_hundredth() -> None:
    norm = nn.BatchNorm1d(1)
    keras_initialise(norm)
    norm(torch.full((8, 1), 5.0))
    assert norm.running_mean is not None
    assert norm.running_mean.item() == pytest.approx(0.05)


def test_mobilenetv2s_own_momentum() -> None:
    norm = nn.BatchNorm2d(1)
    keras_initialise(norm, batch_norm_momentum=KERAS_MOBILENETV2_MOMENTUM)
    assert norm.momentum == pytest.approx(1 - 0.999)


def test_the_seed_decides() -> None:
    layers = [nn.Linear(5, 5) for _ in range(2)]
    for layer in layers:
        torch.manual_seed(3)
        keras_initialise(layer)
    assert torch.equal(layers[0].weight, layers[1].weight)
