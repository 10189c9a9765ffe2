"""From feature maps to one vector a segment: GAMP (§3.2), and timm's poolings."""

from __future__ import annotations

from timm.layers import SelectAdaptivePool2d
from torch import Tensor, nn


class MeanMaxPool(nn.Module):
    """(batch, channels, bands, time) to (batch, channels): mean over bands, then mean + max over time."""

    def forward(self, x: Tensor) -> Tensor:
        over_time = x.mean(dim=2)
        return over_time.mean(dim=2) + over_time.amax(dim=2)


def build_pool(pooling: str, channels: int) -> tuple[nn.Module, int]:
    """`ModelConfig.pooling`, (batch, channels, bands, time) to (batch, width), and that width.

    avg, max: over bands and time. avgmax: the mean of those two. catavgmax: both, one after the other,
    so that its width is twice the channels.
    """
    if pooling == "gamp":
        return MeanMaxPool(), channels
    pool = SelectAdaptivePool2d(pool_type=pooling, flatten=True)
    return pool, channels * int(pool.feat_mult())
