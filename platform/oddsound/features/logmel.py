"""Log-mel spectrogram (§3: 64 ms windows, 32 ms hop, 128 bands; 10 s at 16 kHz give 128 × 311).

    S[m, t]   = Σ_k W[m, k] · |STFT[k, t]|²           periodic Hann; W: oddsound.features.mel
    L[m, t]   = 10 · log10(max(S[m, t], floor))       dB; floor: power_floor, 1e-10
    out[m, t] = max(L[m, t], max(L of this clip) − top_db)

The clamp is per clip: torchaudio's AmplitudeToDB takes the maximum of a whole batch, which would
make a clip's features depend on its neighbours. top_db None leaves it out.

The defaults are the paper's. The official baselines' front end, librosa's of 2021, is `center` (the
ends reflected, frame t centred on sample t · hop: 313 frames), `mel_scale` and `mel_norm` slaney,
`power_floor` 2.2e-16 (float64's epsilon) and `top_db` None.

Everything up to the decibels is float64: with a floor of −157 dB the rounding of a float32 STFT would
stand 30 dB above it beside a pure tone.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torchaudio.transforms import Spectrogram

from oddsound.config import FeatureConfig
from oddsound.errors import RecordingError
from oddsound.features.mel import mel_filters


def n_frames(n_samples: int, config: FeatureConfig) -> int:
    """Frames that `n_samples` samples give. Raises RecordingError for too few of them.

    That is less than one window, or with `center` no more than the half window that is reflected.
    """
    half = config.n_fft // 2
    if config.center and n_samples <= half:
        raise RecordingError(
            f"{n_samples} samples are too few to reflect half a window of {half} at each end"
        )
    padded = n_samples + 2 * half if config.center else n_samples
    if padded < config.n_fft:
        raise RecordingError(f"{n_samples} samples are less than one analysis window of {config.n_fft}")
    return (padded - config.n_fft) // config.hop_length + 1


def log_mel(waveform: Tensor, config: FeatureConfig) -> Tensor:
    """(..., samples) float32 in [-1, 1] to (..., n_mels, frames) float32 in dB."""
    power = _filters(config, waveform.device) @ _spectrogram(config, waveform.device)(waveform.double())
    decibel = 10.0 * torch.log10(power.clamp(min=config.power_floor))
    if config.top_db is not None:
        decibel = torch.maximum(decibel, decibel.amax(dim=(-2, -1), keepdim=True) - config.top_db)
    return decibel.float()


@lru_cache(maxsize=8)
def _filters(config: FeatureConfig, device: torch.device) -> Tensor:
    return mel_filters(config).to(device)


@lru_cache(maxsize=8)
def _spectrogram(config: FeatureConfig, device: torch.device) -> Spectrogram:
    """(..., samples) float64 to power (..., bins, frames)."""
    return Spectrogram(
        n_fft=config.n_fft,
        hop_length=config.hop_length,
        power=2.0,
        center=config.center,
        pad_mode="reflect",
        wkwargs={"dtype": torch.float64},
    ).to(device)
