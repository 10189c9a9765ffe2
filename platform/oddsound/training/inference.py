"""Runs a network over clips so that what it gives for a clip depends on that clip alone.

The last bits of a convolution or a matrix product change with the shape of the batch, and on some
processors with the number of threads: in a batch of 16 the logits of a clip differ from those that the
same clip has alone. So a clip is given to the network by itself on the CPU, by one thread, and several
clips run in as many threads. On a GPU, where single clips would be slow, every batch has the same shape,
and the last one is filled up.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from oddsound.features.threads import n_workers, single_threads
from oddsound.training.segments import Segments

BATCH_FRAMES = 64 * 311
"""How many frames a batch has: 64 whole clips of 10 s."""
CPU_CALL_FRAMES = 8 * 311
"""How many frames of one clip's segments a CPU is given at once, or memory would grow with their overlap."""

Float = NDArray[np.float64]
Network = Callable[[Tensor], Tensor]
"""(n, bands, frames) to (n, …); row i of the result belongs to row i of the input."""


def outputs_by_clip(
    network: Network,
    load: Callable[[int], Tensor],
    n: int,
    segments: Segments,
    device: torch.device | str,
    alive: Callable[[], None] = lambda: None,
) -> Float:
    """Return what `network` gives for each segment of the clips 0 to n − 1: (n, segments, …) float64.

    Args:
        load: returns clip i, (bands, time), on any device. Called in other threads.
        n: number of clips, 1 at least.
        alive: called for each clip on the CPU and for each batch on a GPU.

    Raises what `network`, `load` and `alive` raise. The network must be in evaluation mode.
    """
    if torch.device(device).type == "cpu":
        parts = _one_by_one(network, load, n, segments)
    else:
        parts = in_full_batches(network, load, n, segments, device, batch_clips(segments))
    outputs: list[Float] = []
    with closing(parts):  # what `alive` raises ends the threads before it goes on
        for part in parts:
            alive()
            outputs.append(part)
    return np.concatenate(outputs)


def _one_by_one(
    network: Network, load: Callable[[int], Tensor], n: int, segments: Segments
) -> Generator[Float]:
    at_once = max(1, CPU_CALL_FRAMES // segments.frames)

    def outputs(clip: int) -> Float:
        with torch.inference_mode():  # holds for the thread that enters it
            x = segments.unfold(load(clip).float()[None])
            return _by_clip(torch.cat([network(part) for part in torch.split(x, at_once)]), 1)

    threads = torch.get_num_threads()
    if threads == 1:  # this thread is as good as another, and oneDNN keeps the kernels that it has made
        yield from map(outputs, range(n))
        return
    with single_threads(min(threads, n)) as pool:
        yield from pool.map(outputs, range(n))


@torch.inference_mode()
def in_full_batches(
    network: Network,
    load: Callable[[int], Tensor],
    n: int,
    segments: Segments,
    device: torch.device | str,
    size: int,
) -> Generator[Float]:
    """Yield the outputs of `size` clips after the other; the last clip stands in for those that lack."""
    with single_threads(n_workers()) as pool:
        for start in range(0, n, size):
            numbers = [min(start + i, n - 1) for i in range(size)]
            x = torch.stack(list(pool.map(load, numbers))).float().to(device)
            yield _by_clip(network(segments.unfold(x)), size)[: n - start]


@torch.inference_mode()
def outputs_in_batches(
    network: Network,
    load: Callable[[int], Tensor],
    n: int,
    segments: Segments,
    device: torch.device | str,
    alive: Callable[[], None] = lambda: None,
) -> Float:
    """Return what `outputs_by_clip` returns but for rounding, for small networks several times as fast.

    For figures on the way, an epoch's omega for instance; never for a score that anybody keeps.
    """
    size, outputs = batch_clips(segments), list[Float]()
    for start in range(0, n, size):
        alive()
        numbers = range(start, min(start + size, n))
        x = torch.stack([load(i) for i in numbers]).float().to(device)
        outputs.append(_by_clip(network(segments.unfold(x)), len(numbers)))
    return np.concatenate(outputs)


def batch_clips(segments: Segments) -> int:
    """How many clips a batch has."""
    return max(1, BATCH_FRAMES // (segments.n * segments.frames))


def _by_clip(outputs: Tensor, n: int) -> Float:
    """(n · segments, …) to (n, segments, …) float64 on the host."""
    by_clip: Float = outputs.reshape(n, -1, *outputs.shape[1:]).double().cpu().numpy()
    return by_clip
