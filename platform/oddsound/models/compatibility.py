"""Whether weights are right on a backbone, beyond the names and shapes of their tensors.

An EfficientNet of torchvision and one of TensorFlow have the same tensors but another ε in batch norm
and another side that is padded more. Either alone moves Lite0's features, which lie between 0 and 6, by
more than 1 (measured on noise of 128 bands and 311 frames: 1.4 by ε, 6.0 by the padding).
"""

from __future__ import annotations

from collections.abc import Mapping

from timm.layers import Conv2dSame
from torch import nn

from oddsound.config import ModelConfig
from oddsound.errors import WeightsError
from oddsound.models.backbones import activation_of
from oddsound.models.naming import TENSORFLOW, Numerics

FORMAT = "oddsound-backbone-1"
"""`format` in the metadata of a backbone that we wrote."""
FAMILY = "oddsound-backbone-"
SET_THE_NETWORK = "set model.backbone, model.width and model.depth to those of the weights"


def what_it_is(config: ModelConfig) -> str:
    return f"{config.backbone} of width {config.width:g} and depth {config.depth:g}"


def check_numerics(what: str, wanted: Numerics | None, network: nn.Module, config: ModelConfig) -> None:
    """Refuse weights that were trained with another ε or padding than the network computes with."""
    has = Numerics(float(network.bn1.eps), isinstance(network.conv_stem, Conv2dSame))  # type: ignore[union-attr, arg-type]
    if wanted is None or has == wanted:
        return
    fits = "tf_efficientnet_b0 or tf_efficientnet_lite0" if wanted == TENSORFLOW else "efficientnet_b0"
    raise WeightsError(
        f"{what} weights need a network with {wanted}, {config.backbone} has {has} here; set "
        f"model.backbone to {fits} and model.initialisation to torch"
    )


def check_lite(network: nn.Module, config: ModelConfig) -> None:
    """Refuse weights without squeeze-excite, which are EfficientNet-Lite0's, where they aren't right."""
    check_numerics("EfficientNet-Lite0's", TENSORFLOW, network, config)
    if config.activation == "auto" and activation_of(config) != "relu6":
        raise WeightsError(
            "without squeeze-excite these are EfficientNet-Lite0's weights, which are right with ReLU6; set "
            "model.activation to relu6, or to swish all the same"
        )


def description(network: nn.Module, config: ModelConfig) -> dict[str, str]:
    """The metadata of a backbone's file: all that its weights are right with, settings by their names."""
    return {
        "format": FORMAT,
        "backbone": config.backbone,
        "width": repr(config.width),
        "depth": repr(config.depth),
        "input_channels": str(config.input_channels),
        "activation": activation_of(config),
        "batch_norm_eps": f"{network.bn1.eps:g}",  # type: ignore[union-attr]
    }


def is_ours(metadata: Mapping[str, str]) -> bool:
    """Whether a file says that `backbone_bytes`, of this version or another, wrote it."""
    return metadata.get("format", "").startswith(FAMILY)


def check_description(metadata: Mapping[str, str], network: nn.Module, config: ModelConfig) -> None:
    """Refuse one of our files that was written of another backbone; the message says what to set."""
    has = description(network, config)
    if metadata["format"] != FORMAT:
        raise WeightsError(
            f"its format is {metadata['format']}, not {FORMAT}; use the oddsound that wrote it"
        )
    other = {key: metadata.get(key, "(not said)") for key in has if metadata.get(key) != has[key]}
    eps = other.pop("batch_norm_eps", None)
    remedies = [f"model.{key} to {value}" for key, value in other.items()]
    if eps is not None and "backbone" not in other:
        remedies.append(f"model.initialisation to {'keras' if eps == '0.001' else 'torch'}")
    if remedies:
        raise WeightsError(f"this backbone was trained with other settings; set {', '.join(remedies)}")
