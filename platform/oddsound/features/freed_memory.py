"""Freed memory that a process keeps, so that the next tensor needn't be zeroed by the kernel again."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


def keep_freed_memory() -> None:
    """From now on, with glibc; elsewhere nothing happens.

    Large arrays come and go with every clip and batch, and by default glibc maps each anew. A search's
    workers have the same by their environment, which also holds for tensors beyond a thread's 64 MB.
    """
    _call("mallopt", _MMAP_MAX, 0)
    _call("mallopt", _TRIM_THRESHOLD, -1)


def give_back_freed_memory() -> None:
    """Once, what is freed by now, kept or not: what follows then shows what memory it takes itself."""
    gc.collect()
    _call("malloc_trim", 0)


def _call(function: str, *arguments: int) -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library
            getattr(ctypes.CDLL(None), function)(*arguments)
