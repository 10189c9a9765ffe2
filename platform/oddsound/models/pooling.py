"""Global average and max pooling, GAMP (§3.2)."""

from __future__ import annotations

from torch import Tensor, nn


class MeanMaxPool(nn.Module):
    """(batch, channels, bands, time) to (batch, channels): mean over bands, then mean + max over time."""

    def forward(self, x: Tensor) -> Tensor:
        over_time = x.mean(dim=2)
        return over_time.mean(dim=2) + over_time.amax(dim=2)
