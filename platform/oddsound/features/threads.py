"""Work of which each piece is best done by one thread, spread over the CPUs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

from oddsound.features.freed_memory import keep_freed_memory

Item = TypeVar("Item")
Result = TypeVar("Result")


def n_workers() -> int:
    """The CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def single_threads(workers: int) -> Iterator[ThreadPoolExecutor]:
    """A pool of `workers` threads that have one thread of torch's each.

    The process keeps freed memory from then on: a clip's arrays are a megabyte each, and having them
    zeroed anew takes longer than the arithmetic.
    """
    keep_freed_memory()
    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(workers, "features", torch.set_num_threads, (1,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(before)  # what a thread sets holds for MKL everywhere


def in_threads(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """`work` of each item, in their order; of several by a thread a CPU. Raises what the first raises."""
    if len(items) < 2:
        return [work(item) for item in items]
    with single_threads(min(n_workers(), len(items))) as pool:
        return list(pool.map(work, items))
