"""What a network gives for a clip depends on that clip alone, whatever it is scored with."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from oddsound.config import FeatureConfig, ModelConfig
from oddsound.models.joint import JointModel
from oddsound.training.inference import in_full_batches, outputs_by_clip, outputs_in_batches
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
PROCESSOR_TOLERANCE = 1e-4
"""How far the outputs of the same weights may lie apart on two processors, of the largest output. Up to 8e-6
was seen (docs/results/processors.md)."""
ANOTHER_PROCESSOR = {
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    "OMP_NUM_THREADS": "2",
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


def outputs(kind: str, clips: Tensor, weights: dict[str, Tensor] | None = None) -> np.ndarray:
    model, segments = network_of(kind)
    if weights is not None:
        model.load_state_dict(weights)
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


@pytest.mark.trained
def test_outputs_do_not_depend_on_what_other_threads_set(clips: Tensor, threads: None) -> None:
    model, segments = network_of("joint")
    torch.set_num_threads(2)

    def load(i: int) -> Tensor:
        other = threading.Thread(target=torch.set_num_threads, args=(3,))
        other.start()
        other.join()
        return clips[i]

    found = outputs_by_clip(model.logits, load, N, segments, "cpu")
    torch.set_num_threads(1)
    np.testing.assert_array_equal(found, outputs("joint", clips))


def test_many_segments_of_a_clip_are_given_in_parts_of_one_size() -> None:
    seen: list[int] = []

    def network(x: Tensor) -> Tensor:
        seen.append(len(x))
        return x.mean(dim=(1, 2))

    clip = torch.randn(4, 311)
    found = outputs_by_clip(network, lambda i: clip, 2, Segments(64, 1, 248), "cpu")
    assert seen == [38, 38, 38, 38, 38, 38, 20] * 2 and found.shape == (2, 248)


@pytest.mark.trained
def test_outputs_on_another_processor_lie_within_the_stated_tolerance(clips: Tensor, tmp_path: Path) -> None:
    here = {kind: outputs(kind, clips) for kind in KINDS}
    code = f"""
import numpy as np, torch, sys
sys.path.insert(0, {os.fspath(Path(__file__).parents[3])!r})
from {__name__} import outputs
torch.set_num_threads(2)
given = torch.load('given.pt')
np.savez('outputs.npz', **{{kind: outputs(kind, given['clips'], w) for kind, w in given['weights'].items()}})
"""
    weights = {kind: network_of(kind)[0].state_dict() for kind in KINDS}
    torch.save({"clips": clips, "weights": weights}, tmp_path / "given.pt")
    environment = os.environ | ANOTHER_PROCESSOR
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True, timeout=300)
    with np.load(tmp_path / "outputs.npz") as there:
        for kind, expected in here.items():
            far = np.abs(there[kind] - expected).max()
            assert far <= PROCESSOR_TOLERANCE * np.abs(expected).max(), (kind, far)


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


@pytest.mark.trained
@pytest.mark.parametrize("kind", KINDS)
def test_batches_give_the_same_but_for_rounding(kind: str, clips: Tensor) -> None:
    model, segments = network_of(kind)
    network, lives = model.logits if model.classifies else model.errors, list[int]()
    many = torch.cat([clips] * 6)
    found = outputs_in_batches(
        network, lambda i: many[i], len(many), segments, "cpu", lambda: lives.append(1)
    )
    alone = np.concatenate([outputs(kind, clips)] * 6)
    assert lives and found.shape == alone.shape
    np.testing.assert_allclose(found, alone, rtol=0, atol=PROCESSOR_TOLERANCE * np.abs(alone).max())


def test_each_clip_is_a_sign_of_life(clips: Tensor) -> None:
    lives: list[int] = []
    whole = Segments(FRAMES, 1, 1)
    outputs_by_clip(
        lambda x: x.mean(dim=(1, 2)), lambda i: clips[i], N, whole, "cpu", lambda: lives.append(1)
    )
    assert len(lives) == N


def test_whoever_asks_for_a_sign_of_life_can_end_it(clips: Tensor, threads: None) -> None:
    loaded: list[int] = []

    def load(i: int) -> Tensor:
        loaded.append(i)
        return clips[0]

    def stop() -> None:
        raise KeyboardInterrupt

    torch.set_num_threads(2)
    whole = Segments(FRAMES, 1, 1)
    with pytest.raises(KeyboardInterrupt) as ended:
        outputs_by_clip(lambda x: x, load, 2_000, whole, "cpu", stop)
    n = len(loaded)
    assert n < 2_000 and ended.value.__traceback__ is not None
    assert not [each for each in threading.enumerate() if each.name.startswith("single")]
    assert len(loaded) == n, "nothing goes on beside whoever handles it"


def test_what_loading_raises_is_raised(clips: Tensor) -> None:
    def load(i: int) -> Tensor:
        if i > 2:
            raise ValueError(f"clip {i}")
        return clips[i]

    with pytest.raises(ValueError, match="clip 3"):
        outputs_by_clip(lambda x: x, load, N, Segments(FRAMES, 1, 1), "cpu")
