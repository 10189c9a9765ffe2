"""timm's poolings on maps whose means and maxima can be seen."""

import pytest
import torch

from oddsound.models.pooling import MeanMaxPool, build_pool

MAPS = torch.tensor([[[[1.0, 3.0], [0.0, 8.0]], [[-1.0, -1.0], [-1.0, -5.0]]]])  # (1, 2, 2, 2)


@pytest.mark.parametrize(
    ("pooling", "pooled"),
    [
        ("gamp", [3.0 + 5.5, -2.0 - 1.0]),
        ("avg", [3.0, -2.0]),
        ("max", [8.0, -1.0]),
        ("avgmax", [5.5, -1.5]),
        ("catavgmax", [3.0, -2.0, 8.0, -1.0]),
    ],
)
def test_pooling(pooling: str, pooled: list[float]) -> None:
    pool, width = build_pool(pooling, channels=2)
    assert width == len(pooled)
    assert pool(MAPS).tolist() == [pooled]


def test_gamp_is_the_papers() -> None:
    assert isinstance(build_pool("gamp", 3)[0], MeanMaxPool)
