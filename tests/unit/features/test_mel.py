"""Mel filters against librosa's, in float64."""

from typing import Any

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from oddsound.config import FeatureConfig
from oddsound.features.mel import mel_filters


def librosas(config: FeatureConfig) -> np.ndarray:
    return librosa.filters.mel(
        sr=config.sample_rate,
        n_fft=config.n_fft,
        n_mels=config.n_mels,
        fmin=config.f_min,
        fmax=config.f_max,
        htk=config.mel_scale == "htk",
        norm=None if config.mel_norm == "none" else "slaney",
        dtype=np.float64,
    )


@pytest.mark.filterwarnings("ignore:Empty filters detected")  # librosa's, of bands between two bins
@given(
    st.fixed_dictionaries(
        {
            "mel_scale": st.sampled_from(["htk", "slaney"]),
            "mel_norm": st.sampled_from(["none", "slaney"]),
            "n_mels": st.integers(1, 140),
            "n_fft": st.sampled_from([256, 1024, 2048]),
            "f_min": st.floats(0, 3_000),
            "f_max": st.floats(3_500, 8_000),
        }
    )
)
def test_equal_librosas(settings: dict[str, Any]) -> None:
    config = FeatureConfig.model_validate(settings)
    ours = mel_filters(config)
    assert ours.dtype == torch.float64
    np.testing.assert_allclose(ours.numpy(), librosas(config), rtol=1e-9, atol=1e-11)


def test_triangles_peak_at_1_or_have_unit_area() -> None:
    fine = {"n_fft": 2**16, "n_mels": 40}
    for scale in ("htk", "slaney"):
        plain = mel_filters(FeatureConfig.model_validate({**fine, "mel_scale": scale}))
        assert plain.amax(dim=1).numpy() == pytest.approx(np.ones(40), abs=0.01)
        area = mel_filters(FeatureConfig.model_validate({**fine, "mel_scale": scale, "mel_norm": "slaney"}))
        assert (area.sum(dim=1) * 16_000 / 2**16).numpy() == pytest.approx(np.ones(40), abs=0.01)


def test_every_band_of_the_two_front_ends_has_weight() -> None:
    for scale in ("htk", "slaney"):
        filters = mel_filters(FeatureConfig.model_validate({"mel_scale": scale}))
        assert filters.shape == (128, 513)
        assert (filters >= 0).all()
        assert (filters.sum(dim=1) > 0).all()
