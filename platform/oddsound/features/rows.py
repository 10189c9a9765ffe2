"""An array of features on disk, one clip a row, written by several threads and gone on with after a kill.

    <folder>/features.npy   (rows, bands, frames)
             written        (rows,) uint64, what says that a row is there; removed by `finished`

A row is written as a whole and then marked with the sum of its words: after a kill or a loss of power the
rows whose marks are true stay. Each is computed by one thread, so the bytes are the same for any number
of workers. Rows are written, not mapped: a full disk is an error then, where a mapped one is a SIGBUS, and
what has been written is the kernel's memory, not ours.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from oddsound.errors import CacheError
from oddsound.features.freed_memory import keep_freed_memory
from oddsound.features.threads import n_workers, single_threads

Row = Callable[[int], NDArray[np.float32]]
"""Gives a clip's features, (bands, its own frames)."""
Told = Callable[[int, int], None]
"""Is told, several times a second, how many rows are there, and of how many."""

MARKS = "written"
_LOOK_S = 0.2


def nobody(done: int, total: int) -> None:
    """Told nothing."""


def write_rows(
    folder: Path,
    shape: tuple[int, int, int],
    dtype: str,
    row: Row,
    told: Told = nobody,
    workers: int | None = None,
) -> None:
    """Write `folder`/features.npy of `shape` (rows, bands, frames); shorter rows end in zeros.

    What an earlier call with the same arguments has written there is kept. `row` runs in `workers`
    threads (None: a CPU each), with one thread of torch's in each. Raises what `row` raises for the first
    row for which it does, and CacheError where the disk won't take it. The marks stay until `finished`.
    """
    with _opened(folder, shape, np.dtype(dtype)) as array:
        with writing(folder):
            missing = array.missing()
        told(len(array) - len(missing), len(array))
        _in_threads(array, missing, row, told, workers or n_workers())
        with writing(folder):
            os.fsync(array.features)


def finished(folder: Path, to: Path) -> None:
    """Rename `folder`, whole now, to what it is to be called, and leave the marks out: in this order, lest
    a kill in between cost every row."""
    with writing(folder):
        folder.replace(to)
        (to / MARKS).unlink()


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Raises CacheError for the OSError of a disk that won't take what is written below `folder`."""
    try:
        yield
    except OSError as error:
        raise CacheError(
            f"{folder.parent}: features can't be written there ({error.strerror or error}); make room, or "
            "choose another folder for them"
        ) from error


@dataclass(frozen=True)
class _Array:
    """The two files, open; `features` and `marks` are their descriptors, `offset` is the first row's."""

    folder: Path
    shape: tuple[int, int, int]
    dtype: np.dtype[np.floating]
    features: int
    marks: int
    offset: int

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def n_bytes(self) -> int:
        return self.shape[1] * self.shape[2] * self.dtype.itemsize

    def write(self, index: int, values: NDArray[np.float32]) -> None:
        padded = np.zeros(self.shape[1:], self.dtype)
        padded[:, : values.shape[1]] = values
        with writing(self.folder):
            _write(self.features, padded.data.cast("B"), self.offset + index * self.n_bytes)
            _write(self.marks, self._mark(index, padded).tobytes(), index * 8)

    def missing(self) -> list[int]:
        """The rows whose marks aren't there, or not true of them."""
        there = os.pread(self.marks, 8 * len(self), 0)
        marks = np.frombuffer(there.ljust(8 * len(self), b"\0"), np.uint64)
        return [index for index, mark in enumerate(marks) if not (mark and self._holds(index, mark))]

    def _holds(self, index: int, mark: np.uint64) -> bool:
        stored = np.frombuffer(
            os.pread(self.features, self.n_bytes, self.offset + index * self.n_bytes), "u1"
        )
        return stored.size == self.n_bytes and bool(self._mark(index, stored) == mark)

    def _mark(self, index: int, values: NDArray[np.generic]) -> np.uint64:
        """Never 0."""
        words = values.reshape(-1).view(f"u{self.dtype.itemsize}")
        return np.uint64(int(words.sum(dtype=np.uint64)) + index + 1)


@contextmanager
def _opened(folder: Path, shape: tuple[int, int, int], dtype: np.dtype[np.floating]) -> Iterator[_Array]:
    features, marks = folder / "features.npy", folder / MARKS
    with writing(folder):
        if not _is_begun(features, shape, dtype):
            marks.unlink(missing_ok=True)
            open_memmap(features, mode="w+", dtype=dtype, shape=shape)
        offset = int(np.load(features, mmap_mode="r").offset)
        descriptors = [os.open(path, os.O_RDWR | os.O_CREAT, 0o644) for path in (features, marks)]
    try:
        yield _Array(folder, shape, dtype, descriptors[0], descriptors[1], offset)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _is_begun(path: Path, shape: tuple[int, int, int], dtype: np.dtype[np.floating]) -> bool:
    try:
        begun = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception:  # NumPy raises half a dozen kinds for a damaged header
        return False
    return bool(begun.shape == shape and begun.dtype == dtype and begun.flags.c_contiguous)


def _write(descriptor: int, data: bytes | memoryview, offset: int) -> None:
    """All of it: a disk that fills up takes a part, and then raises OSError."""
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _wait_for(running: Sequence[Future[None]]) -> None:
    """Until each has ended its row, whatever signals come: their files must not be closed before."""
    interrupted = False
    while not all(future.done() for future in running):
        try:
            wait(running)
        except KeyboardInterrupt:
            interrupted = True
    if interrupted:
        raise KeyboardInterrupt


def _in_threads(array: _Array, missing: Sequence[int], row: Row, told: Told, workers: int) -> None:
    """Rows are claimed in order, so the lowest that fails is the same for any number of workers.

    The process keeps freed memory from then on: a clip's arrays are a megabyte each, and zeroing them again
    takes longer than the arithmetic.
    """
    keep_freed_memory()
    claims, written, failed = iter(missing), [len(array) - len(missing)], dict[int, BaseException]()
    stop, lock = threading.Event(), threading.Lock()

    def work() -> None:
        while not stop.is_set() and (index := next(claims, None)) is not None:
            try:
                array.write(index, row(index))
            except BaseException as error:
                failed[index] = error
                stop.set()
            else:
                with lock:
                    written[0] += 1

    with single_threads(workers) as pool:
        running = [pool.submit(work) for _ in range(workers)]
        try:
            while wait(running, _LOOK_S).not_done:
                told(written[0], len(array))
        finally:
            stop.set()
            _wait_for(running)
    if failed:
        raise failed[min(failed)]
    told(len(array), len(array))
