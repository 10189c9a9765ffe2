"""What other libraries call the tensors of the same networks.

timm's names are ours: stages of blocks, `blocks.<stage>.<block>`. torchvision numbers stages the same
way, from 1, behind the stem; efficientnet_pytorch (the name of a package, and of what many AudioSet
checkpoints are written with) numbers blocks through. A block of the first stage has no expansion.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

from oddsound.errors import WeightsError

BLOCK = re.compile(r"blocks\.(\d+)\.(\d+)\.(.+)\.(\w+)")

EFFICIENTNET_PYTORCH_ENDS = {
    "conv_stem": "_conv_stem",
    "bn1": "_bn0",
    "conv_head": "_conv_head",
    "bn2": "_bn1",
}
EFFICIENTNET_PYTORCH_GATES = {"se.conv_reduce": "_se_reduce", "se.conv_expand": "_se_expand"}
EFFICIENTNET_PYTORCH_PLAIN = {
    "conv_dw": "_depthwise_conv",
    "bn1": "_bn1",
    **EFFICIENTNET_PYTORCH_GATES,
    "conv_pw": "_project_conv",
    "bn2": "_bn2",
}
EFFICIENTNET_PYTORCH_EXPANDING = {
    "conv_pw": "_expand_conv",
    "bn1": "_bn0",
    "conv_dw": "_depthwise_conv",
    "bn2": "_bn1",
    **EFFICIENTNET_PYTORCH_GATES,
    "conv_pwl": "_project_conv",
    "bn3": "_bn2",
}
TORCHVISION_PLAIN = {
    "conv_dw": "block.0.0",
    "bn1": "block.0.1",
    "se.conv_reduce": "block.1.fc1",
    "se.conv_expand": "block.1.fc2",
    "conv_pw": "block.2.0",
    "bn2": "block.2.1",
}
TORCHVISION_EXPANDING = {
    "conv_pw": "block.0.0",
    "bn1": "block.0.1",
    "conv_dw": "block.1.0",
    "bn2": "block.1.1",
    "se.conv_reduce": "block.2.fc1",
    "se.conv_expand": "block.2.fc2",
    "conv_pwl": "block.3.0",
    "bn3": "block.3.1",
}


@dataclass(frozen=True)
class Numerics:
    """What names don't say and features hang on: batch norm's ε, and who pads more at the end."""

    eps: float
    pads_as_tensorflow: bool

    def __str__(self) -> str:
        return f"batch-norm eps {self.eps:g} and {'a' if self.pads_as_tensorflow else ''}symmetric padding"


TENSORFLOW = Numerics(1e-3, True)
TORCH = Numerics(1e-5, False)


@dataclass(frozen=True)
class Naming:
    """A library's names: `stem` is there in every file of its, `parts` begin what is the backbone's."""

    name: str
    stem: str
    parts: tuple[str, ...]
    numerics: Numerics | None
    """None: the library has backbones of both kinds under the same names."""


TIMM = Naming("timm", "conv_stem.weight", ("conv_stem.", "bn1.", "blocks.", "conv_head.", "bn2."), None)
EFFICIENTNET_PYTORCH = Naming(
    "efficientnet_pytorch",
    "_conv_stem.weight",
    ("_conv_stem.", "_bn0.", "_blocks.", "_conv_head.", "_bn1."),
    TENSORFLOW,
)
TORCHVISION = Naming("torchvision", "features.0.0.weight", ("features.",), TORCH)
NAMINGS = (TIMM, EFFICIENTNET_PYTORCH, TORCHVISION)


def recognise(names: Iterable[str]) -> tuple[Naming, str]:
    """The naming of a state dict and what stands before each of its names, such as `module.`.

    Raises WeightsError where it is none of `NAMINGS`, a network that none of our backbones computes, or
    there are several networks.
    """
    names = list(names)
    found = [
        (naming, name.removesuffix(naming.stem))
        for name in names
        for naming in NAMINGS
        if f".{name}".endswith(f".{naming.stem}")
    ]
    if not found:
        raise WeightsError(
            "no stem of an EfficientNet is in it by the names of "
            f"{', '.join(naming.name for naming in NAMINGS)}; give weights of model.backbone"
        )
    if len(found) > 1:
        both = " and ".join(f"{prefix or 'no prefix'} ({naming.name})" for naming, prefix in found[:2])
        raise WeightsError(f"several networks are in it, under {both}; save the state dict of one alone")
    naming, prefix = found[0]
    if naming is TORCHVISION and f"{prefix}features.1.conv.0.0.weight" in names:
        raise WeightsError(
            f"torchvision's MobileNetV2 has {TORCH}, Keras's, our mobilenetv2, {TENSORFLOW}; give weights of "
            "an EfficientNet and set model.backbone"
        )
    return naming, prefix


def names_in(naming: Naming, network: nn.Module) -> dict[str, str]:
    """{name in `naming`: timm's name} of every tensor of `network`, a timm EfficientNet or MobileNetV2."""
    names = list(network.state_dict())
    if naming is TIMM:
        return {name: name for name in names}
    translate = _to_torchvision if naming is TORCHVISION else _to_efficientnet_pytorch
    sizes = [len(stage) for stage in network.blocks]  # type: ignore[union-attr]
    expanding = {
        f"{block[1]}.{block[2]}" for block in map(BLOCK.fullmatch, names) if block and block[3] == "conv_pwl"
    }
    return {translate(name, sizes, expanding): name for name in names}


def _to_efficientnet_pytorch(name: str, sizes: list[int], expanding: set[str]) -> str:
    block = BLOCK.fullmatch(name)
    if block is None:
        module, _, tensor = name.rpartition(".")
        return f"{EFFICIENTNET_PYTORCH_ENDS[module]}.{tensor}"
    stage, number, module, tensor = block.groups()
    expands = f"{stage}.{number}" in expanding
    table = EFFICIENTNET_PYTORCH_EXPANDING if expands else EFFICIENTNET_PYTORCH_PLAIN
    return f"_blocks.{sum(sizes[: int(stage)]) + int(number)}.{table[module]}.{tensor}"


def _to_torchvision(name: str, sizes: list[int], expanding: set[str]) -> str:
    block = BLOCK.fullmatch(name)
    if block is None:
        module, _, tensor = name.rpartition(".")
        head = len(sizes) + 1
        ends = {"conv_stem": "0.0", "bn1": "0.1", "conv_head": f"{head}.0", "bn2": f"{head}.1"}
        return f"features.{ends[module]}.{tensor}"
    stage, number, module, tensor = block.groups()
    table = TORCHVISION_EXPANDING if f"{stage}.{number}" in expanding else TORCHVISION_PLAIN
    return f"features.{int(stage) + 1}.{number}.{table[module]}.{tensor}"
