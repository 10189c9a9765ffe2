"""How a clip is cut, against slices by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from oddsound.config import ModelConfig
from oddsound.errors import DataError
from oddsound.training.segments import Segments


@pytest.mark.parametrize(
    ("frames", "segment", "hop", "n"),
    [(311, 0, 8, 1), (311, 311, 8, 1), (311, 64, 8, 31), (313, 64, 8, 32), (313, 5, 1, 309), (64, 64, 8, 1)],
)
def test_the_papers_the_authors_and_the_baselines_numbers(
    frames: int, segment: int, hop: int, n: int
) -> None:
    segments = Segments.of("fan", frames, ModelConfig(segment_frames=segment, segment_hop=hop))
    assert (segments.frames, segments.n) == (segment or frames, n)


def test_a_clip_shorter_than_a_segment_is_refused() -> None:
    with pytest.raises(DataError, match=r"fan: a clip has 61 frames, fewer than model\.segment_frames 64"):
        Segments.of("fan", 61, ModelConfig(segment_frames=64))


def test_vectors_longer_than_a_segment_are_refused() -> None:
    with pytest.raises(DataError, match=r"fan: a segment has 4 frames, fewer than model\.ae_context 5"):
        Segments.of("fan", 61, ModelConfig(segment_frames=4))
    Segments.of("fan", 61, ModelConfig(segment_frames=4, architecture="classifier"))
    Segments.of("fan", 61, ModelConfig(segment_frames=4, ae_view="segment"))


@given(st.integers(5, 40), st.data())
def test_gather_and_unfold_are_slices(frames: int, data: st.DataObject) -> None:
    width, hop = data.draw(st.integers(1, frames)), data.draw(st.integers(1, 9))
    segments = Segments.of(
        "fan", frames, ModelConfig(architecture="classifier", segment_frames=width, segment_hop=hop)
    )
    features = np.random.default_rng(0).normal(size=(3, 4, frames)).astype(np.float32)
    rows = np.array([2, 0, 1, 2])
    numbers = np.array([data.draw(st.integers(0, segments.n - 1)) for _ in rows])
    tensors = [torch.from_numpy(each) for each in (features, rows, numbers)]
    gathered = segments.gather(*tensors).numpy()
    everything = segments.unfold(torch.from_numpy(features)).numpy()
    assert everything.shape == (3 * segments.n, 4, width)
    for i, (row, number) in enumerate(zip(rows, numbers, strict=True)):
        by_hand = features[row, :, number * hop : number * hop + width]
        np.testing.assert_array_equal(gathered[i], by_hand)
        np.testing.assert_array_equal(everything[row * segments.n + number], by_hand)
