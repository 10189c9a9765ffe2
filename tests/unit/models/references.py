"""EfficientNet in plain torch, written from the papers, on a state dict in efficientnet_pytorch's names.

Nothing of it is shared with what it tests: the table of stages, the padding and the names are its own.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Weights = dict[str, Tensor]
Activation = Callable[[Tensor], Tensor]
STAGES = [  # Tan and Le 2019, Table 1: layers, kernel, stride, expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
]
BLOCKS = [
    (kernel, stride if i == 0 else 1, expansion, channels)
    for layers, kernel, stride, expansion, channels in STAGES
    for i in range(layers)
]


def tensorflow_conv(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, groups: int) -> Tensor:
    """Output ⌈n / stride⌉ wide; of an odd number of zeros the one more comes last."""
    pads = []
    for n, kernel in zip(reversed(x.shape[2:]), reversed(weight.shape[2:]), strict=True):
        total = max((-(-n // stride) - 1) * stride + kernel - n, 0)
        pads += [total // 2, total - total // 2]
    return F.conv2d(F.pad(x, pads), weight, bias, stride, groups=groups)


def efficientnet_features(state: Weights, x: Tensor, activation: Activation, eps: float = 1e-3) -> Tensor:
    """(batch, channels, bands, time) to (batch, 1280, ⌈bands/32⌉, ⌈time/32⌉)."""

    def conv(x: Tensor, name: str, stride: int = 1, groups: int = 1) -> Tensor:
        return tensorflow_conv(x, state[f"{name}.weight"], state.get(f"{name}.bias"), stride, groups)

    def norm(x: Tensor, name: str) -> Tensor:
        mean, var, weight, bias = (
            state[f"{name}.{part}"][:, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / torch.sqrt(var + eps) * weight + bias

    x = activation(norm(conv(x, "_conv_stem", stride=2), "_bn0"))
    for i, (_, stride, expansion, _) in enumerate(BLOCKS):
        block, before = f"_blocks.{i}.", x
        if expansion > 1:
            x = activation(norm(conv(x, f"{block}_expand_conv"), f"{block}_bn0"))
        x = activation(norm(conv(x, f"{block}_depthwise_conv", stride, x.shape[1]), f"{block}_bn1"))
        if f"{block}_se_reduce.weight" in state:
            squeezed = activation(conv(x.mean(dim=(2, 3), keepdim=True), f"{block}_se_reduce"))
            x = x * torch.sigmoid(conv(squeezed, f"{block}_se_expand"))
        x = norm(conv(x, f"{block}_project_conv"), f"{block}_bn2")
        if before.shape == x.shape:
            x = x + before
    return activation(norm(conv(x, "_conv_head"), "_bn1"))


def random_b0(seed: int, channels: int = 3) -> Weights:
    """EfficientNet-B0 with its head, as efficientnet_pytorch saves it, of random weights."""
    generator = torch.Generator().manual_seed(seed)
    state: Weights = {}

    def conv(name: str, out: int, per_group: int, kernel: int, bias: bool = False) -> None:
        fan = per_group * kernel * kernel
        shape = (out, per_group, kernel, kernel)
        state[f"{name}.weight"] = torch.randn(shape, generator=generator) * (2 / fan) ** 0.5
        if bias:
            state[f"{name}.bias"] = torch.randn(out, generator=generator)

    def norm(name: str, channels: int) -> None:
        for part, least in {"weight": 0.5, "bias": -0.5, "running_mean": -0.5, "running_var": 0.5}.items():
            state[f"{name}.{part}"] = torch.rand(channels, generator=generator) + least
        state[f"{name}.num_batches_tracked"] = torch.tensor(7)

    conv("_conv_stem", 32, channels, 3)
    norm("_bn0", 32)
    width = 32
    for i, (kernel, _, expansion, out) in enumerate(BLOCKS):
        block, inner, squeezed = f"_blocks.{i}.", width * expansion, width // 4
        if expansion > 1:
            conv(f"{block}_expand_conv", inner, width, 1)
            norm(f"{block}_bn0", inner)
        conv(f"{block}_depthwise_conv", inner, 1, kernel)
        norm(f"{block}_bn1", inner)
        conv(f"{block}_se_reduce", squeezed, inner, 1, bias=True)
        conv(f"{block}_se_expand", inner, squeezed, 1, bias=True)
        conv(f"{block}_project_conv", out, inner, 1)
        norm(f"{block}_bn2", out)
        width = out
    conv("_conv_head", 1280, width, 1)
    norm("_bn1", 1280)
    state |= {"_fc.weight": torch.zeros(1000, 1280), "_fc.bias": torch.zeros(1000)}
    return state
