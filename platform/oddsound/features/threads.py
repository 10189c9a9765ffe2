"""Work of which each piece is best done by one thread, spread over the CPUs."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch


def n_workers() -> int:
    """The CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def single_threads(workers: int) -> Iterator[ThreadPoolExecutor]:
    """A pool of `workers` threads that have one thread of torch's each."""
    with _own_threads_kept(), ThreadPoolExecutor(workers, "features", torch.set_num_threads, (1,)) as pool:
        yield pool


_using = 0
_threads_before = 1
_lock = threading.Lock()


@contextmanager
def _own_threads_kept() -> Iterator[None]:
    """What a thread sets holds for MKL, and for later threads, everywhere: the last pool restores it."""
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
