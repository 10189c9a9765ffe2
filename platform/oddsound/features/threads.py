"""Work of which each piece is best done by one thread, spread over the CPUs."""

from __future__ import annotations

import os
import threading
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
    with _own_threads_kept(), ThreadPoolExecutor(workers, "features", torch.set_num_threads, (1,)) as pool:
        yield pool


_using = 0
_threads_before = 1
_lock = threading.Lock()


@contextmanager
def _own_threads_kept() -> Iterator[None]:
    """What a thread sets holds for MKL, and for later threads, everywhere: the last pool to end mends it."""
    global _using, _threads_before
    with _lock:
        _threads_before = _threads_before if _using else torch.get_num_threads()
        _using += 1
    try:
        yield
    finally:
        with _lock:
            _using -= 1
            if not _using:
                torch.set_num_threads(_threads_before)


def in_threads(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """`work` of each item, in their order; of several by a thread a CPU. Raises what the first raises."""
    if len(items) < 2:
        return [work(item) for item in items]
    with single_threads(min(n_workers(), len(items))) as pool:
        return list(pool.map(work, items))
