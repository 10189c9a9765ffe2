import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import median_filter

from oddsound.features.median import median_along_time


def test_known_answer_even_window_takes_the_upper_middle() -> None:
    band = np.array([[1, 9, 2, 8, 3, 7]], np.float32)
    # The windows: 9 1 1 9, 1 1 9 2, 1 9 2 8, 9 2 8 3, 2 8 3 7, 8 3 7 7 (edges reflected)
    assert median_along_time(band, 4).tolist() == [[9, 2, 8, 8, 7, 7]]


def test_known_answer_odd_window() -> None:
    band = np.array([[5, 1, 4, 2, 3]], np.float32)
    assert median_along_time(band, 3).tolist() == [[5, 4, 2, 3, 3]]


@given(window=st.integers(2, 40), seed=st.integers(0, 1000))
def test_equals_scipy_on_the_whole_array(window: int, seed: int) -> None:
    features = np.random.default_rng(seed).normal(size=(5, 33)).astype(np.float32)
    np.testing.assert_array_equal(
        median_along_time(features, window), median_filter(features, size=(1, window), mode="reflect")
    )


@given(window=st.integers(2, 40), frames=st.integers(1, 70), seed=st.integers(0, 1000))
def test_equals_a_sort_of_each_window(window: int, frames: int, seed: int) -> None:
    band = np.random.default_rng(seed).normal(size=frames).astype(np.float32)
    mirror = np.concatenate([band, band[::-1]])  # c b a | a b c | c b a, for any distance
    expected = []
    for at in range(frames):
        first = at - window // 2
        values = sorted(mirror[index % (2 * frames)] for index in range(first, first + window))
        expected.append(values[window // 2])
    assert median_along_time(band[None], window)[0].tolist() == expected


@given(window=st.integers(2, 20), seed=st.integers(0, 100))
def test_bands_do_not_mix_and_order_statistics_commute_with_monotone_maps(window: int, seed: int) -> None:
    features = np.random.default_rng(seed).normal(size=(4, 30)).astype(np.float32)
    filtered = median_along_time(features, window)
    np.testing.assert_array_equal(filtered[2:3], median_along_time(features[2:3], window))
    np.testing.assert_array_equal(median_along_time(np.exp(features), window), np.exp(filtered))


@pytest.mark.parametrize("window", [0, 1])
def test_off_changes_nothing(window: int) -> None:
    features = np.random.default_rng(0).normal(size=(4, 30)).astype(np.float32)
    assert median_along_time(features, window) is features
