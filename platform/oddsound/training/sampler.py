"""Which segments an epoch draws: a fixed share from the target domain (§3.2)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.intp]


def draw_epoch(
    is_target: NDArray[np.bool_],
    target_share: float,
    rng: np.random.Generator,
    n_segments: int = 1,
    per_clip: int = 0,
) -> tuple[Indices, Indices]:
    """Clips (positions in `is_target`) and segments (below `n_segments`) of an epoch, both (draws,).

    There are as many draws as there are segments, or `per_clip` times as many as clips. Each is from
    the target domain with probability `target_share`, evenly within each domain and over a clip's
    segments, with replacement. Where there is only one domain, or the share is 0, no segment is drawn
    twice and each clip as often as any other, in random order.
    """
    n, n_target = len(is_target), int(is_target.sum())
    per_clip = min(per_clip or n_segments, n_segments)
    if target_share == 0 or n_target in (0, n):
        return _once_each(n, n_segments, per_clip, rng)
    weight = np.where(is_target, target_share / n_target, (1.0 - target_share) / (n - n_target))
    clips = rng.choice(n, size=n * per_clip, p=weight)
    return clips, rng.integers(0, n_segments, size=len(clips))


def _once_each(n: int, n_segments: int, per_clip: int, rng: np.random.Generator) -> tuple[Indices, Indices]:
    segments = rng.permuted(np.tile(np.arange(n_segments), (n, 1)), axis=1)[:, :per_clip].ravel()
    order = rng.permutation(n * per_clip)
    return np.repeat(np.arange(n), per_clip)[order], segments[order]


def batches(n: int, size: int) -> Iterator[slice]:
    """`n` draws in batches of `size`; a last one of a single draw is dropped, for eq. 4 needs a pair."""
    for start in range(0, n, size):
        if min(size, n - start) > 1:
            yield slice(start, start + size)
