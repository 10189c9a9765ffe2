"""The front end against NumPy's own arithmetic, and the facts of PAPER's front-end table."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from oddsound.config import FeatureConfig
from oddsound.errors import RecordingError
from oddsound.features.logmel import log_mel, n_frames

CONFIG = FeatureConfig()


def reference(samples: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """The definition, frame by frame, in float64."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(config.n_fft) / config.n_fft)
    starts = range(0, len(samples) - config.n_fft + 1, config.hop_length)
    power = np.stack(
        [np.abs(np.fft.rfft(window * samples[s : s + config.n_fft])) ** 2 for s in starts], axis=1
    )
    decibel = 10 * np.log10(np.maximum(filters(config) @ power, 1e-10))
    return np.maximum(decibel, decibel.max() - config.top_db)


def filters(config: FeatureConfig) -> np.ndarray:
    """Triangles between points that are evenly spaced on the HTK mel scale, (bands, bins)."""
    mel = np.linspace(0, 2595 * np.log10(1 + config.f_max / 700), config.n_mels + 2)
    hertz = 700 * (10 ** (mel / 2595) - 1)
    bins = np.linspace(0, config.sample_rate / 2, config.n_fft // 2 + 1)
    rising = (bins - hertz[:-2, None]) / np.diff(hertz)[:-1, None]
    falling = (hertz[2:, None] - bins) / np.diff(hertz)[1:, None]
    return np.maximum(0, np.minimum(rising, falling))


def test_ten_seconds_give_128_by_311() -> None:
    assert log_mel(torch.zeros(160_000), CONFIG).shape == (128, 311)
    assert n_frames(160_000, CONFIG) == 311


@pytest.mark.parametrize("kind", ["noise", "tone", "quiet"])
def test_equals_the_numpy_reference(kind: str) -> None:
    rng = np.random.default_rng(0)
    samples = {
        "noise": rng.normal(0, 0.1, 16_000),
        "tone": 0.5 * np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000) + rng.normal(0, 1e-3, 16_000),
        "quiet": rng.normal(0, 1e-6, 16_000),
    }[kind].astype(np.float32)
    ours = log_mel(torch.from_numpy(samples), CONFIG).numpy()
    expected = reference(samples.astype(np.float64), CONFIG)
    # float32 arithmetic leaves rounding noise far below the loudest bin; compare where it can't reach.
    audible = expected > expected.max() - 80
    np.testing.assert_allclose(ours[audible], expected[audible], atol=5e-3)


def test_a_clip_does_not_depend_on_its_neighbours() -> None:
    quiet, loud = torch.randn(2, 16_000, generator=torch.manual_seed(0)) * torch.tensor([[1e-5], [100.0]])
    together = log_mel(torch.stack([quiet, loud]), CONFIG)
    assert together[1].max() - CONFIG.top_db > together[0].min(), "a clamp by the batch would have bitten"
    assert torch.equal(together[0], log_mel(quiet, CONFIG))


def test_the_range_of_a_clip_is_top_db() -> None:
    click = torch.zeros(16_000)
    click[8_000] = 100.0
    decibel = log_mel(click, CONFIG)
    assert decibel.max() - decibel.min() == pytest.approx(120.0, abs=1e-3)


def test_silence_is_the_floor() -> None:
    assert (log_mel(torch.zeros(2_048), CONFIG) == -100.0).all()


@given(st.integers(1024, 50_000))
def test_frames_are_counted_as_they_come_out(samples: int) -> None:
    assert log_mel(torch.zeros(samples), CONFIG).shape[-1] == n_frames(samples, CONFIG)


def test_less_than_a_window_is_refused() -> None:
    with pytest.raises(RecordingError, match="1023 samples are less than one analysis window of 1024"):
        n_frames(1023, CONFIG)
