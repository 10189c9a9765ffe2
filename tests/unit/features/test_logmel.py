"""The front ends against NumPy's own arithmetic, librosa and torchaudio; PAPER's front-end table."""

import sys
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchaudio.transforms import MelSpectrogram

from oddsound.config import FeatureConfig
from oddsound.errors import RecordingError
from oddsound.features.logmel import log_mel, n_frames

CONFIG = FeatureConfig()
EXACT = FeatureConfig(precision="float64")
BASELINE = FeatureConfig(
    center=True,
    mel_scale="slaney",
    mel_norm="slaney",
    power_floor=sys.float_info.epsilon,
    top_db=None,
    precision="float64",
)
"""The official baselines' front end."""


def reference(samples: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """The definition, frame by frame, in float64."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(config.n_fft) / config.n_fft)
    starts = range(0, len(samples) - config.n_fft + 1, config.hop_length)
    power = np.stack(
        [np.abs(np.fft.rfft(window * samples[s : s + config.n_fft])) ** 2 for s in starts], axis=1
    )
    decibel = 10 * np.log10(np.maximum(filters(config) @ power, 1e-10))
    return np.maximum(decibel, decibel.max() - 120)


def filters(config: FeatureConfig) -> np.ndarray:
    """Triangles between points that are evenly spaced on the HTK mel scale, (bands, bins)."""
    mel = np.linspace(0, 2595 * np.log10(1 + config.f_max / 700), config.n_mels + 2)
    hertz = 700 * (10 ** (mel / 2595) - 1)
    bins = np.linspace(0, config.sample_rate / 2, config.n_fft // 2 + 1)
    rising = (bins - hertz[:-2, None]) / np.diff(hertz)[:-1, None]
    falling = (hertz[2:, None] - bins) / np.diff(hertz)[1:, None]
    return np.maximum(0, np.minimum(rising, falling))


def librosas(samples: np.ndarray) -> np.ndarray:
    """The official baselines' front end as their code has it; pad_mode was librosa's default in 2021."""
    power = librosa.feature.melspectrogram(
        y=samples, sr=16_000, n_fft=1024, hop_length=512, n_mels=128, power=2.0, pad_mode="reflect"
    )
    return 20.0 / 2.0 * np.log10(np.maximum(power, sys.float_info.epsilon))


def signals(n: int) -> dict[str, np.ndarray]:
    rng, seconds = np.random.default_rng(0), np.arange(n) / 16_000
    tone = 0.5 * np.sin(2 * np.pi * 1000 * seconds)
    click = np.zeros(n)
    click[n // 2] = 1
    made = {
        "noise": rng.normal(0, 0.1, n),
        "tone": tone,
        "tone in noise": tone + rng.normal(0, 1e-3, n),
        "quiet": rng.normal(0, 1e-6, n),
        "chirp": np.sin(2 * np.pi * 300 * seconds**2),
        "click": click,
        "silence": np.zeros(n),
    }
    return {kind: samples.astype(np.float32) for kind, samples in made.items()}


@pytest.fixture(params=[*signals(8)])
def signal(request: pytest.FixtureRequest) -> np.ndarray:
    """Two seconds."""
    return signals(32_000)[request.param]


@pytest.fixture(scope="module")
def recording(small_data: Path) -> np.ndarray:
    """A second of a synthetic fan, from its 16-bit WAV."""
    samples, _ = soundfile.read(min((small_data / "fan").rglob("*.wav")), dtype="float32")
    return samples


def check(samples: np.ndarray, config: FeatureConfig, expected: np.ndarray, atol: float) -> None:
    ours = log_mel(torch.from_numpy(samples), config)
    assert ours.dtype == torch.float32
    np.testing.assert_allclose(ours.numpy(), expected, rtol=0, atol=atol)


def test_ten_seconds_give_128_by_311() -> None:
    assert log_mel(torch.zeros(160_000), CONFIG).shape == (128, 311)
    assert n_frames(160_000, CONFIG) == 311


def test_centred_ten_seconds_give_313_frames() -> None:
    assert log_mel(torch.zeros(160_000), BASELINE).shape == (128, 313)
    assert n_frames(160_000, BASELINE) == 313


def test_equals_the_numpy_reference(signal: np.ndarray) -> None:
    # The arithmetic is float64; what is left is the rounding of −100 dB to float32, 4e-6.
    check(signal, EXACT, reference(signal.astype(np.float64), CONFIG), atol=1e-5)


def test_equals_the_numpy_reference_on_a_recording(recording: np.ndarray) -> None:
    check(recording, EXACT, reference(recording.astype(np.float64), CONFIG), atol=1e-5)


@pytest.mark.parametrize("kind", ["noise", "tone in noise", "quiet", "silence"])
def test_single_precision_is_near_where_there_is_noise(kind: str) -> None:
    """Beside a tone the rounding of another transform weighs more: over 13 draws of the noise 0.0018 to
    0.0104 dB with MKL's."""
    samples = signals(32_000)[kind]
    atol = 5e-2 if kind == "tone in noise" else 5e-3
    check(samples, CONFIG, reference(samples.astype(np.float64), CONFIG), atol=atol)


def test_single_precision_is_near_on_a_recording(recording: np.ndarray) -> None:
    check(recording, CONFIG, reference(recording.astype(np.float64), CONFIG), atol=1e-3)


def test_single_precision_beside_a_tone_in_digital_silence_stays_below_minus_80_db() -> None:
    """Where it can't be exact: the rounding of a full tone stands above the floor."""
    samples = signals(32_000)["tone"]
    exact = reference(samples.astype(np.float64), CONFIG)
    ours = log_mel(torch.from_numpy(samples), CONFIG).numpy()
    assert np.abs(ours - exact)[exact > -60].max() < 0.05
    assert (exact < -70).any() and (ours[exact < -70] < -68).all()


def test_the_baselines_front_end_is_librosas(signal: np.ndarray) -> None:
    # librosa in float64. Each value is a float32 in the end: of −157 dB, a rounding of 8e-6.
    check(signal, BASELINE, librosas(signal.astype(np.float64)), atol=2e-5)


def test_the_baselines_front_end_is_librosas_on_a_recording(recording: np.ndarray) -> None:
    check(recording, BASELINE, librosas(recording), atol=1e-4)  # in float32, as the baselines run it


@pytest.mark.parametrize("config", [CONFIG, BASELINE], ids=["paper", "baseline"])
def test_is_torchaudios_within_the_rounding_of_its_filters(config: FeatureConfig) -> None:
    noise = torch.from_numpy(signals(32_000)["noise"])
    theirs = MelSpectrogram(
        n_fft=1024,
        hop_length=512,
        n_mels=128,
        f_max=8_000.0,
        center=config.center,
        mel_scale=config.mel_scale,
        norm=None if config.mel_norm == "none" else config.mel_norm,
    )
    check(noise.numpy(), config, 10 * theirs(noise).log10().numpy(), atol=1e-3)


def test_frames_are_centred_on_the_hops() -> None:
    click = torch.zeros(16_000)
    click[5 * 512] = 1.0
    energy = log_mel(click, BASELINE).mean(dim=0)
    assert energy.argmax() == 5
    assert energy[4] == energy[6] < energy[5], "a window of two hops has its zeros at the frames beside"


def test_the_ends_are_reflected() -> None:
    samples = torch.randn(4_000, generator=torch.manual_seed(0))
    padded = torch.cat([samples[1:513].flip(0), samples, samples[-513:-1].flip(0)])
    plain = BASELINE.model_copy(update={"center": False})
    assert torch.equal(log_mel(samples, BASELINE), log_mel(padded, plain))


def test_a_clip_does_not_depend_on_its_neighbours() -> None:
    quiet, loud = torch.randn(2, 16_000, generator=torch.manual_seed(0)) * torch.tensor([[1e-5], [100.0]])
    together = log_mel(torch.stack([quiet, loud]), CONFIG)
    assert together[1].max() - 120 > together[0].min(), "a clamp by the batch would have bitten"
    torch.testing.assert_close(together[0], log_mel(quiet, CONFIG), rtol=0, atol=1e-5)


def test_the_range_of_a_clip_is_top_db() -> None:
    click = torch.zeros(16_000)
    click[8_000] = 100.0
    for top_db in (60.0, 120.0):
        decibel = log_mel(click, CONFIG.model_copy(update={"top_db": top_db}))
        assert decibel.max() - decibel.min() == pytest.approx(top_db, abs=1e-3)
    unlimited = log_mel(click, CONFIG.model_copy(update={"top_db": None}))
    assert unlimited.min() == pytest.approx(-100, abs=1e-5)
    assert unlimited.max() == decibel.max()


@pytest.mark.parametrize(("floor", "decibel"), [(1e-10, -100.0), (1e-3, -30.0), (2.0**-52, -156.53559)])
def test_silence_is_the_floor(floor: float, decibel: float) -> None:
    config = FeatureConfig(power_floor=floor, top_db=None)
    assert log_mel(torch.zeros(2_048), config).unique().tolist() == [pytest.approx(decibel, abs=1e-5)]


@pytest.mark.parametrize("config", [CONFIG, BASELINE, FeatureConfig(center=True, n_fft=700, n_mels=20)])
@given(samples=st.integers(1024, 50_000))
def test_frames_are_counted_as_they_come_out(config: FeatureConfig, samples: int) -> None:
    assert log_mel(torch.zeros(samples), config).shape[-1] == n_frames(samples, config)


@pytest.mark.parametrize(("config", "fewest"), [(CONFIG, 1024), (BASELINE, 513)])
def test_too_few_samples_are_refused(config: FeatureConfig, fewest: int) -> None:
    assert log_mel(torch.zeros(fewest), config).shape[-1] == n_frames(fewest, config)
    with pytest.raises(RecordingError, match=rf"{fewest - 1} samples are (less than|too few)"):
        n_frames(fewest - 1, config)


def test_a_leading_shape_is_kept() -> None:
    assert log_mel(torch.zeros(2, 3, 2_048), CONFIG).shape == (2, 3, 128, 3)
