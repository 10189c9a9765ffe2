"""Which clips an epoch draws: a fixed share from the target domain (§3.2)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


def draw_epoch(
    is_target: NDArray[np.bool_], target_share: float, rng: np.random.Generator
) -> NDArray[np.intp]:
    """(clips,) positions drawn with replacement, as many as there are clips.

    Each draw is from the target domain with probability `target_share`, evenly within each domain.
    Where there is only one domain, or the share is 0, each clip is drawn once, in random order.
    """
    n, n_target = len(is_target), int(is_target.sum())
    if target_share == 0 or n_target in (0, n):
        return rng.permutation(n)
    weight = np.where(is_target, target_share / n_target, (1.0 - target_share) / (n - n_target))
    return rng.choice(n, size=n, p=weight)


def batches(positions: NDArray[np.intp], size: int) -> Iterator[NDArray[np.intp]]:
    """`positions` in batches of `size`; a last one of a single clip is dropped, for eq. 4 needs a pair."""
    for start in range(0, len(positions), size):
        if len(batch := positions[start : start + size]) > 1:
            yield batch
