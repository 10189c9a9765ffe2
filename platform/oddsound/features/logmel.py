"""Log-mel spectrogram (§3: 64 ms windows, 32 ms hop, 128 bands; 10 s at 16 kHz give 128 × 311).

    S[m, t]   = Σ_k W[m, k] · |STFT[k, t]|²           periodic Hann; W: oddsound.features.mel
    L[m, t]   = 10 · log10(max(S[m, t], floor))       dB; floor: power_floor, 1e-10
    out[m, t] = max(L[m, t], max(L of this clip) − top_db)

The clamp is per clip: torchaudio's AmplitudeToDB takes the maximum of a whole batch, which would
make a clip's features depend on its neighbours. top_db None leaves it out.

The defaults are the paper's. The official baselines' front end, librosa's of 2021, is `center` (the
ends reflected, frame t centred on sample t · hop: 313 frames), `mel_scale` and `mel_norm` slaney,
`power_floor` 2.2e-16 (float64's epsilon) and `top_db` None.

`precision` is that of everything up to the decibels. In float32 the rounding of the transform lies some
140 dB below a frame's loudest bin: in recordings the noise covers it (docs/decisions.md has figures), beside
a pure tone in digital silence it doesn't. float64 is exact to the rounding of the result, and what the
baselines' floor of −157 dB needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from oddsound.config import FeatureConfig
from oddsound.errors import RecordingError
from oddsound.features.mel import mel_filters

_BANDS_AT_ONCE = 16


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
        raise RecordingError(
            f"{n_samples} samples are less than one analysis window of {config.n_fft}; record longer, or "
            "remove it"
        )
    return (padded - config.n_fft) // config.hop_length + 1


def log_mel(waveform: Tensor, config: FeatureConfig) -> Tensor:
    """(..., samples) float32 in [-1, 1] to (..., n_mels, frames) float32 in dB."""
    if waveform.ndim > 1:
        return torch.stack([log_mel(each, config) for each in waveform])
    decibel = 10.0 * torch.log10(_mel_power(waveform, config).clamp(min=config.power_floor))
    if config.top_db is not None:
        decibel = torch.maximum(decibel, decibel.max() - config.top_db)
    return decibel.float()


def _mel_power(waveform: Tensor, config: FeatureConfig) -> Tensor:
    """(samples,) to S (n_mels, frames) in the configured precision."""
    front_end = _front_end(config, waveform.device)
    spectrum = torch.stft(
        waveform.to(front_end.window.dtype),
        config.n_fft,
        config.hop_length,
        window=front_end.window,
        center=config.center,
        pad_mode="reflect",
        return_complex=True,
    )
    power = spectrum.real.square() + spectrum.imag.square()
    return torch.cat([filters @ power[low:high] for low, high, filters in front_end.bands])


@dataclass(frozen=True, eq=False)
class _FrontEnd:
    """window: (n_fft,). bands: groups of neighbouring mel bands, each with the bins from `low` to below
    `high` that its filters (bands, bins) reach: the others have no weight, and are most of the matrix."""

    window: Tensor
    bands: tuple[tuple[int, int, Tensor], ...]


@lru_cache(maxsize=8)
def _front_end(config: FeatureConfig, device: torch.device) -> _FrontEnd:
    dtype = torch.float64 if config.precision == "float64" else torch.float32
    window = torch.hann_window(config.n_fft, dtype=torch.float64).to(device, dtype)
    groups = torch.split(mel_filters(config), _BANDS_AT_ONCE)
    return _FrontEnd(window, tuple(_band(group, device, dtype) for group in groups))


def _band(filters: Tensor, device: torch.device, dtype: torch.dtype) -> tuple[int, int, Tensor]:
    reached = filters.any(dim=0).nonzero()
    low, high = (int(reached[0]), int(reached[-1]) + 1) if len(reached) else (0, 1)
    return low, high, filters[:, low:high].to(device, dtype).contiguous()
