"""What a network gives for a clip depends on that clip alone, whatever it is scored with."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from oddsound.config import FeatureConfig, ModelConfig
from oddsound.models.joint import JointModel
from oddsound.training.inference import in_full_batches, outputs_by_clip
from oddsound.training.segments import Segments

BANDS, FRAMES, N = 128, 40, 23
SMALL = {"width": 0.2, "depth": 0.3, "ae_hidden": 24}
KINDS = {
    "joint": {},
    "classifier": {"architecture": "classifier", "backbone": "mobilenetv2"},
    "autoencoder": {"architecture": "autoencoder"},
    "autoencoder of segments": {"architecture": "autoencoder", "ae_view": "segment", "segment_frames": 8},
    "segments": {"segment_frames": 12, "segment_hop": 5},
}


@pytest.fixture
def threads() -> Iterator[None]:
    """Whatever a test sets, the next one has one thread."""
    yield
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def clips() -> Tensor:
    """(N, bands, frames) in dB, like a log-mel's."""
    return torch.randn(N, BANDS, FRAMES, generator=torch.Generator().manual_seed(3)) * 9 - 40


def network_of(kind: str) -> tuple[nn.Module, Segments]:
    config = ModelConfig.model_validate({"pretrained": "none", **SMALL, **KINDS[kind]})
    segments = Segments.of("fan", FRAMES, config)
    torch.manual_seed(1)
    return JointModel(config, FeatureConfig(), 4, segments.frames).eval(), segments


def outputs(kind: str, clips: Tensor) -> np.ndarray:
    model, segments = network_of(kind)
    network = model.logits if model.classifies else model.errors
    return outputs_by_clip(network, lambda i: clips[i], len(clips), segments, "cpu")


@pytest.mark.trained
@pytest.mark.parametrize("kind", KINDS)
def test_outputs_do_not_depend_on_other_clips(kind: str, clips: Tensor) -> None:
    together = outputs(kind, clips)
    assert together.shape[:2] == (N, network_of(kind)[1].n) and together.dtype == np.float64
    np.testing.assert_array_equal(outputs(kind, clips.flip(0)), together[::-1])
    np.testing.assert_array_equal(outputs(kind, clips[4:9]), together[4:9])
    for number in (0, 11, N - 1):
        np.testing.assert_array_equal(outputs(kind, clips[number : number + 1]), together[[number]])


@pytest.mark.trained
@pytest.mark.parametrize("kind", KINDS)
def test_outputs_do_not_depend_on_the_number_of_threads(kind: str, clips: Tensor, threads: None) -> None:
    one = outputs(kind, clips)
    for n in (2, 3):
        torch.set_num_threads(n)
        np.testing.assert_array_equal(outputs(kind, clips), one)
        assert torch.get_num_threads() == n, "as it was"


@pytest.mark.parametrize("size", [5, 23, 64])
def test_batches_on_a_gpu_have_one_shape_and_the_last_is_filled(size: int, clips: Tensor) -> None:
    """Run on the CPU, which takes the same path but for the device."""
    seen: list[tuple[int, ...]] = []

    def network(x: Tensor) -> Tensor:
        seen.append(tuple(x.shape))
        return x.mean(dim=(1, 2))[:, None] * torch.arange(3)

    segments = Segments(8, 8, 5)
    parts = list(in_full_batches(network, lambda i: clips[i], N, segments, "cpu", size))
    assert set(seen) == {(size * 5, BANDS, 8)}
    assert sum(len(part) for part in parts) == N
    by_clip = np.concatenate(parts)
    expected = clips.unfold(2, 8, 8).mean(dim=(1, 3)).double().numpy()
    np.testing.assert_allclose(by_clip[:, :, 1], expected, rtol=1e-5)


def test_each_clip_is_a_sign_of_life(clips: Tensor) -> None:
    lives: list[int] = []
    whole = Segments(FRAMES, 1, 1)
    outputs_by_clip(
        lambda x: x.mean(dim=(1, 2)), lambda i: clips[i], N, whole, "cpu", lambda: lives.append(1)
    )
    assert len(lives) == N


def test_whoever_asks_for_a_sign_of_life_can_end_it(clips: Tensor) -> None:
    loaded: list[int] = []

    def load(i: int) -> Tensor:
        loaded.append(i)
        return clips[0]

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        outputs_by_clip(lambda x: x, load, 100_000, Segments(FRAMES, 1, 1), "cpu", stop)
    assert len(loaded) < 100_000


def test_what_loading_raises_is_raised(clips: Tensor) -> None:
    def load(i: int) -> Tensor:
        if i > 2:
            raise ValueError(f"clip {i}")
        return clips[i]

    with pytest.raises(ValueError, match="clip 3"):
        outputs_by_clip(lambda x: x, load, N, Segments(FRAMES, 1, 1), "cpu")
