"""Work of which each piece is best done by one thread, spread over the CPUs."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch

_starting = threading.Lock()


def n_workers() -> int:
    """The CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def single_threads(workers: int) -> Iterator[ThreadPoolExecutor]:
    """A pool of `workers` threads that have one thread of torch's each.

    Every other thread of the process keeps its number of torch's threads, and new ones get the caller's.
    """
    with ThreadPoolExecutor(workers, "single", _have_one_thread) as pool:
        with _starting:
            before = torch.get_num_threads()
            together = threading.Barrier(workers)  # each task waits, so each has a thread of its own
            try:
                list(pool.map(lambda _: together.wait(), range(workers)))
            except BaseException:
                together.abort()  # or the threads that have begun would wait for ever
                raise
            finally:
                torch.set_num_threads(before)
        yield pool


def _have_one_thread() -> None:
    """For the calling thread. A thread's first look takes the number that the process has, whatever was set
    before; so it looks first, and what is set then stays."""
    torch.get_num_threads()
    torch.set_num_threads(1)
