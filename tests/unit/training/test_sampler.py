import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oddsound.config import TrainingConfig
from oddsound.training.sampler import batches, draw_epoch
from oddsound.training.schedule import learning_rates


def domains(n_source: int, n_target: int) -> np.ndarray:
    return np.arange(n_source + n_target) >= n_source


def test_a_fifth_of_the_draws_is_from_the_target_domain() -> None:
    is_target, rng = domains(3000, 9), np.random.default_rng(0)
    drawn = np.concatenate([draw_epoch(is_target, 0.2, rng)[0] for _ in range(34)])
    assert len(drawn) > 1e5
    error = 4 * np.sqrt(0.2 * 0.8 / len(drawn))
    assert is_target[drawn].mean() == pytest.approx(0.2, abs=error)
    # PAPER: each of the 9 target clips is drawn about 67 times an epoch of 3,009
    counts = np.bincount(drawn[is_target[drawn]] - 3000) / 34
    assert counts == pytest.approx(np.full(9, 0.2 * 3009 / 9), rel=0.1)


@pytest.mark.parametrize(("n_source", "n_target", "share"), [(50, 0, 0.2), (0, 50, 0.2), (40, 10, 0.0)])
def test_without_two_domains_every_clip_is_drawn_once(n_source: int, n_target: int, share: float) -> None:
    drawn, segments = draw_epoch(domains(n_source, n_target), share, np.random.default_rng(0))
    assert sorted(drawn) == list(range(50))
    assert not segments.any()


@pytest.mark.parametrize("per_clip", [0, 4, 31, 99])
def test_no_segment_is_drawn_twice_and_each_clip_as_often(per_clip: int) -> None:
    clips, segments = draw_epoch(domains(20, 0), 0.2, np.random.default_rng(0), 31, per_clip)
    wanted = min(per_clip, 31) or 31
    assert np.bincount(clips).tolist() == [wanted] * 20
    assert len(set(zip(clips.tolist(), segments.tolist(), strict=True))) == 20 * wanted
    assert clips.tolist() != sorted(clips.tolist())


def test_segments_are_drawn_evenly_beside_the_domains() -> None:
    is_target = domains(300, 9)
    clips, segments = draw_epoch(is_target, 0.2, np.random.default_rng(0), 31)
    assert len(clips) == 309 * 31
    assert is_target[clips].mean() == pytest.approx(0.2, abs=0.017)
    counts = np.bincount(segments, minlength=31)
    assert counts.min() > 0.8 * 309 and counts.max() < 1.2 * 309
    assert len(draw_epoch(is_target, 0.2, np.random.default_rng(0), 31, per_clip=2)[0]) == 309 * 2


@given(n=st.integers(0, 200), size=st.integers(2, 40))
def test_batches_are_pairs_at_least_and_lose_one_clip_at_most(n: int, size: int) -> None:
    parts = [np.arange(n)[batch] for batch in batches(n, size)]
    assert all(2 <= len(part) <= size for part in parts)
    together = np.concatenate([*parts, np.array([], dtype=int)])
    assert n - len(together) == (1 if n % size == 1 else 0)
    assert together.tolist() == list(range(len(together)))


def test_rates_stay_where_they_are_never_halved() -> None:
    config = TrainingConfig(lr_autoencoder=1e-3, lr_backbone=1e-5, halve_every=0)
    assert learning_rates(1, config) == learning_rates(300, config) == (1e-3, 1e-5)


def test_rates_halve_every_30_epochs() -> None:
    config = TrainingConfig(lr_autoencoder=1e-3, lr_backbone=8e-4)
    assert learning_rates(1, config) == learning_rates(30, config) == (1e-3, 8e-4)
    assert learning_rates(31, config) == (5e-4, 4e-4)
    assert learning_rates(300, config) == pytest.approx((1e-3 / 2**9, 8e-4 / 2**9))
