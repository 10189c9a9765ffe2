"""Augmentation of a batch of log-mels (§2.4): time shift, time mask, mixup.

Each takes the numpy generator that decides it, so a batch is the same for the same seed on any device.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from oddsound.config import AugmentConfig


@dataclass(frozen=True)
class Mix:
    """`weight` · batch + (1 − weight) · batch[partner]; `partner`: (batch,) indices."""

    weight: float
    partner: Tensor

    def of(self, x: Tensor) -> Tensor:
        return self.weight * x + (1.0 - self.weight) * x[self.partner]


def time_shift(x: Tensor, farthest: float, rng: np.random.Generator) -> Tensor:
    """(batch, bands, time), each clip rotated by up to ± `farthest` of its length."""
    n, _, frames = x.shape
    reach = round(farthest * frames)
    shifts = torch.from_numpy(rng.integers(-reach, reach + 1, size=n)).to(x.device, non_blocking=True)
    source = (torch.arange(frames, device=x.device) - shifts[:, None]) % frames
    return x.gather(2, source[:, None, :].expand_as(x))


def time_mask(x: Tensor, widest: int, rng: np.random.Generator) -> Tensor:
    """(batch, bands, time), up to `widest` frames of each clip replaced by the clip's mean."""
    n, _, frames = x.shape
    width = rng.integers(0, min(widest, frames) + 1, size=n)
    start = rng.integers(0, frames - width + 1)
    at = np.arange(frames)
    masked = (at >= start[:, None]) & (at < (start + width)[:, None])
    inside = torch.from_numpy(masked).to(x.device, non_blocking=True)[:, None, :]
    return torch.where(inside, x.mean(dim=(1, 2), keepdim=True), x)


def draw_mix(n: int, alpha: float, rng: np.random.Generator) -> Mix:
    """One λ ~ Beta(α, α) for the batch and a partner for each of its `n` clips."""
    return Mix(float(rng.beta(alpha, alpha)), torch.from_numpy(rng.permutation(n)))


def augment(x: Tensor, config: AugmentConfig, rng: np.random.Generator) -> tuple[Tensor, Mix | None]:
    """(batch, bands, time) shifted, masked and mixed, and the mix (None where mixup is off)."""
    if config.time_shift > 0:
        x = time_shift(x, config.time_shift, rng)
    if config.time_mask_frames > 0:
        x = time_mask(x, config.time_mask_frames, rng)
    if config.mixup_alpha == 0:
        return x, None
    drawn = draw_mix(len(x), config.mixup_alpha, rng)
    mix = Mix(drawn.weight, drawn.partner.to(x.device, non_blocking=True))
    return mix.of(x), mix
