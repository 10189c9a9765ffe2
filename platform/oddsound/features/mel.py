"""Mel filter banks: triangles between frequencies that are evenly spaced on a mel scale.

    htk      m = 2595 · log10(1 + f/700)
    slaney   m = f/(200/3)                     below 1000 Hz, of the Auditory Toolbox
             m = 15 + 27 · log_6.4(f/1000)     from there

`norm` "slaney" divides each triangle by half its width in Hz, for unit area. Computed here in float64,
for torchaudio computes its own in float32, which moves the log-mel of noise by 3e-4 dB.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from oddsound.config import FeatureConfig

_HZ_PER_MEL = 200.0 / 3.0
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _HZ_PER_MEL
_MELS_PER_E = 27.0 / math.log(6.4)


def mel_filters(config: FeatureConfig) -> Tensor:
    """(n_mels, n_fft // 2 + 1) float64 weights W[m, k] ≥ 0 of the power in bin k.

    A band narrower than the distance of two bins may have no weight at all.
    """
    bins = torch.arange(config.n_fft // 2 + 1, dtype=torch.float64) * config.sample_rate / config.n_fft
    edges = _band_edges(config)
    below, centre, above = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (bins - below) / (centre - below), (above - bins) / (above - centre)
    triangles = torch.minimum(rising, falling).clamp(min=0.0)
    return triangles * 2.0 / (above - below) if config.mel_norm == "slaney" else triangles


def _band_edges(config: FeatureConfig) -> Tensor:
    """(n_mels + 2,) Hz: band m reaches from edge m to edge m + 2, its peak at m + 1."""
    ends = torch.tensor([config.f_min, config.f_max], dtype=torch.float64)
    to_mel, to_hertz = (_htk, _htk_hertz) if config.mel_scale == "htk" else (_slaney, _slaney_hertz)
    low, high = to_mel(ends).tolist()
    return to_hertz(torch.linspace(low, high, config.n_mels + 2, dtype=torch.float64))


def _htk(hertz: Tensor) -> Tensor:
    return 2595.0 * torch.log10(1.0 + hertz / 700.0)


def _htk_hertz(mel: Tensor) -> Tensor:
    return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)


def _slaney(hertz: Tensor) -> Tensor:
    above = _BREAK_MEL + _MELS_PER_E * torch.log(hertz.clamp(min=_BREAK_HZ) / _BREAK_HZ)
    return torch.where(hertz < _BREAK_HZ, hertz / _HZ_PER_MEL, above)


def _slaney_hertz(mel: Tensor) -> Tensor:
    above = _BREAK_HZ * torch.exp((mel - _BREAK_MEL) / _MELS_PER_E)
    return torch.where(mel < _BREAK_MEL, mel * _HZ_PER_MEL, above)
