"""The closed registry of convolutional backbones, each from timm with one input channel.

EfficientNet: Tan and Le, "EfficientNet: Rethinking model scaling for convolutional neural networks",
ICML 2019; the paper's §3.2 takes B0 as it is but for the input channel and the pooling.
"""

from __future__ import annotations

from collections.abc import Callable

from timm.models.efficientnet import _gen_efficientnet
from torch import nn

from oddsound.config import ModelConfig


def _efficientnet_b0(config: ModelConfig) -> nn.Module:
    # timm's public entry point fixes both multipliers at 1; the generator behind it takes them.
    network: nn.Module = _gen_efficientnet(
        "efficientnet_b0",
        channel_multiplier=config.width,
        depth_multiplier=config.depth,
        pretrained=False,
        in_chans=1,
        num_classes=0,
        global_pool="",
    )
    return network


BACKBONES: dict[str, Callable[[ModelConfig], nn.Module]] = {"efficientnet_b0": _efficientnet_b0}


def build_backbone(config: ModelConfig) -> tuple[nn.Module, int]:
    """The network, (batch, 1, bands, time) to (batch, channels, bands', time'), and its channels."""
    network = BACKBONES[config.backbone](config)
    return network, int(network.num_features)  # type: ignore[arg-type]
