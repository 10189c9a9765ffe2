"""A feature cache copied from the shared filesystem to a node's own disk, once for all its workers."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from filelock import FileLock


def staged(cache: Path, folder: Path) -> Path:
    """The copy of `cache` below `folder` on this node, made where it isn't there yet.

    Workers that ask at once wait for the first. A copy that has lost something is made anew. Where it
    can't be made (a full disk) it is said on stderr and `cache` itself is given: slower, and just as good.
    """
    copy = folder / cache.name  # the name is a hash of data and settings: what has it is the same
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{cache.name}.lock"):
            if not _is_whole(copy, cache):
                _copy(cache, copy)
        return copy
    except OSError as error:
        print(f"{cache} is read where it lies: no copy in {folder} ({error})", file=sys.stderr)
        return cache


def _is_whole(copy: Path, cache: Path) -> bool:
    """Whether nothing of `cache` is missing or shorter; a node that lost power may have kept a part."""
    files = [(copy / path.name, path.stat().st_size) for path in cache.glob("*")]
    return copy.is_dir() and all(path.is_file() and path.stat().st_size == size for path, size in files)


def _copy(cache: Path, copy: Path) -> None:
    for left in copy.parent.glob(f"{copy.name}.*.partial"):  # of a worker that was killed; we hold the lock
        shutil.rmtree(left, ignore_errors=True)
    partial = copy.with_name(f"{copy.name}.{os.getpid()}.partial")
    try:
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(cache, partial)
        partial.replace(copy)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
