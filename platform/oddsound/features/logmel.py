"""Log-mel spectrogram (§3: 64 ms windows, 32 ms hop, 128 bands; 10 s at 16 kHz give 128 × 311).

    S[m, t]   = Σ_k W[m, k] · |STFT[k, t]|²           periodic Hann, center=False
    L[m, t]   = 10 · log10(max(S[m, t], 1e-10))       dB
    out[m, t] = max(L[m, t], max(L of this clip) − top_db)

The clamp is per clip: torchaudio's AmplitudeToDB takes the maximum of a whole batch, which would
make a clip's features depend on its neighbours.
"""

from __future__ import annotations

import warnings
from functools import lru_cache

import torch
from torch import Tensor
from torchaudio.transforms import MelSpectrogram

from oddsound.config import FeatureConfig
from oddsound.errors import RecordingError

POWER_FLOOR = 1e-10


def n_frames(n_samples: int, config: FeatureConfig) -> int:
    """Frames that `n_samples` samples give without padding. Raises RecordingError for less than one."""
    if n_samples < config.n_fft:
        raise RecordingError(f"{n_samples} samples are less than one analysis window of {config.n_fft}")
    return (n_samples - config.n_fft) // config.hop_length + 1


def log_mel(waveform: Tensor, config: FeatureConfig) -> Tensor:
    """(..., samples) float32 in [-1, 1] to (..., n_mels, frames) float32 in dB."""
    power = _mel_transform(config)(waveform)
    decibel = 10.0 * torch.log10(power.clamp(min=POWER_FLOOR))
    loudest = decibel.amax(dim=(-2, -1), keepdim=True)
    return torch.maximum(decibel, loudest - config.top_db)


@lru_cache(maxsize=8)
def _mel_transform(config: FeatureConfig) -> MelSpectrogram:
    with warnings.catch_warnings():
        # Of 128 HTK bands some lie between two bins of a 1024-point FFT; they stay at the floor.
        warnings.filterwarnings("ignore", message="At least one mel filterbank has all zero values")
        return MelSpectrogram(
            sample_rate=config.sample_rate,
            n_fft=config.n_fft,
            hop_length=config.hop_length,
            f_min=config.f_min,
            f_max=config.f_max,
            n_mels=config.n_mels,
            power=2.0,
            center=False,
        )
