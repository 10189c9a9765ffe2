"""The closed registry of convolutional backbones, each from timm, without its pooling and its head.

- `efficientnet_b0`: Tan and Le, "EfficientNet: Rethinking model scaling for convolutional neural
  networks", ICML 2019; §3.2 takes it as it is but for the input channel and the pooling.
- `tf_efficientnet_b0`: the same as TensorFlow computes it, batch norm's ε 1e-3 and padding that is
  one more at the end where it can't be even; weights trained there are right only so.
- `tf_efficientnet_lite0`: without squeeze-excite and with ReLU6; the stem and the head keep their
  channels and the first and last stage their layers, whatever `width` and `depth` say.
- `mobilenetv2`: Sandler et al., "MobileNetV2: Inverted residuals and linear bottlenecks", CVPR 2018,
  as Keras has it, `width` being its alpha: the head has 1280 channels for every alpha up to 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from timm.models.efficientnet import _gen_efficientnet, _gen_efficientnet_lite, _gen_mobilenet_v2
from torch import Tensor, nn

from oddsound.config import ModelConfig

Activation = Literal["swish", "relu6"]
AS_TENSORFLOW: dict[str, Any] = {"pad_type": "same", "bn_eps": 1e-3}


@dataclass(frozen=True)
class Backbone:
    """A generator of timm's (its public entry points fix both multipliers), and what it is called with."""

    generator: Callable[..., nn.Module]
    variant: str
    activation: Activation
    settings: dict[str, Any]

    def build(self, config: ModelConfig) -> nn.Module:
        return self.generator(
            self.variant,
            channel_multiplier=config.width,
            depth_multiplier=config.depth,
            pretrained=False,
            in_chans=config.input_channels,
            num_classes=0,
            global_pool="",
            act_layer=activation_of(config),
            **self.settings,
        )


BACKBONES: dict[str, Backbone] = {
    "efficientnet_b0": Backbone(_gen_efficientnet, "efficientnet_b0", "swish", {}),
    "tf_efficientnet_b0": Backbone(_gen_efficientnet, "tf_efficientnet_b0", "swish", AS_TENSORFLOW),
    "tf_efficientnet_lite0": Backbone(
        _gen_efficientnet_lite, "tf_efficientnet_lite0", "relu6", AS_TENSORFLOW
    ),
    "mobilenetv2": Backbone(_gen_mobilenet_v2, "mobilenetv2_100", "relu6", AS_TENSORFLOW),
}


def activation_of(config: ModelConfig) -> Activation:
    """The activation that `config` comes to: with `auto` the backbone's own, relu6 under `imagenet`."""
    if config.activation != "auto":
        return config.activation
    return "relu6" if config.pretrained == "imagenet" else BACKBONES[config.backbone].activation


def build_backbone(config: ModelConfig) -> tuple[nn.Module, int]:
    """The network, (batch, 1, bands, time) to (batch, channels, bands', time'), and its channels.

    With `input_channels` 3 it sees the one channel three times.
    """
    network = BACKBONES[config.backbone].build(config)
    if config.input_channels > 1:
        # A hook, not a module around it: the names of the weights stay those of timm.
        network.register_forward_pre_hook(_repeat_channel)
    return network, int(network.num_features)  # type: ignore[arg-type]


def _repeat_channel(network: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
    return (inputs[0].expand(-1, int(network.in_chans), -1, -1),)  # type: ignore[arg-type]
