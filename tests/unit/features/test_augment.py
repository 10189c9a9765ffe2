from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.overrides import TorchFunctionMode

from oddsound.config import AugmentConfig
from oddsound.features.augment import augment, draw_mix, time_mask, time_shift


def clips(n: int = 6, frames: int = 40) -> torch.Tensor:
    return torch.randn(n, 8, frames, generator=torch.Generator().manual_seed(1))


@given(st.integers(0, 10_000))
def test_shift_rotates_each_clip_within_its_reach(seed: int) -> None:
    x = clips()
    shifted = time_shift(x, 0.15, np.random.default_rng(seed))
    for before, after in zip(x, shifted, strict=True):
        fits = [torch.equal(after, before.roll(s, dims=1)) for s in range(-6, 7)]
        assert sum(fits) == 1


def test_shifts_reach_both_ends_and_nothing_beyond() -> None:
    ramp = torch.arange(40.0).expand(2000, 1, 40)
    first = time_shift(ramp, 0.15, np.random.default_rng(0))[:, 0, 0]
    assert set(first.tolist()) == {float(s % 40) for s in range(-6, 7)}


@given(seed=st.integers(0, 10_000), widest=st.integers(1, 60))
def test_mask_is_one_run_of_the_mean_over_all_bands(seed: int, widest: int) -> None:
    x = clips()
    masked = time_mask(x, widest, np.random.default_rng(seed))
    for before, after in zip(x, masked, strict=True):
        changed = (before != after).all(dim=0).nonzero().flatten()
        assert len(changed) <= min(widest, 40)
        torch.testing.assert_close(after[:, changed], before.mean().expand(8, len(changed)))
        assert len(changed) == 0 or int(changed[-1] - changed[0]) + 1 == len(changed)
        assert (before != after).any(dim=0).sum() == len(changed)


@given(seed=st.integers(0, 10_000), alpha=st.floats(0.05, 5))
def test_mix_is_convex_and_index_aligned(seed: int, alpha: float) -> None:
    x, mix = clips(), draw_mix(6, alpha, np.random.default_rng(seed))
    assert 0 <= mix.weight <= 1
    assert sorted(mix.partner.tolist()) == list(range(6))
    mixed = mix.of(x)
    for i, partner in enumerate(mix.partner.tolist()):
        torch.testing.assert_close(mixed[i], mix.weight * x[i] + (1 - mix.weight) * x[partner])


def test_mix_weight_follows_beta() -> None:
    rng = np.random.default_rng(0)
    weights = np.array([draw_mix(2, 0.2, rng).weight for _ in range(20_000)])
    assert weights.mean() == pytest.approx(0.5, abs=0.01)
    assert weights.var() == pytest.approx(1 / (4 * (2 * 0.2 + 1)), rel=0.03)


def test_all_off_is_the_batch_itself() -> None:
    x = clips()
    out, mix = augment(x, AugmentConfig(time_mask_frames=0, time_shift=0), np.random.default_rng(0))
    assert out is x
    assert mix is None


def test_the_batch_that_comes_back_is_mixed() -> None:
    off = AugmentConfig(time_mask_frames=0, time_shift=0, mixup_alpha=0.5)
    out, mix = augment(clips(), off, np.random.default_rng(0))
    assert mix is not None
    assert torch.equal(out, mix.of(clips()))
    assert not torch.equal(out, clips())


class Calls(TorchFunctionMode):
    """Counts what torch is asked for."""

    n = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.n += 1
        return func(*args, **(kwargs or {}))


def test_a_batch_is_augmented_as_one() -> None:
    config = AugmentConfig(mixup_alpha=0.5, time_mask_frames=10)
    asked = []
    for n in (2, 64):
        x = clips(n)
        with Calls() as calls:
            augment(x, config, np.random.default_rng(0))
        asked.append(calls.n)
    assert asked[0] == asked[1] > 0, "more clips, more calls: a loop over the clips"


def test_the_same_generator_gives_the_same_batch() -> None:
    config = AugmentConfig(mixup_alpha=0.5, time_mask_frames=10)
    a, _ = augment(clips(), config, np.random.default_rng(3))
    b, _ = augment(clips(), config, np.random.default_rng(3))
    assert torch.equal(a, b)
