"""Rows written by several threads: the same bytes for any number of them, kept through a kill."""

import multiprocessing
import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from oddsound.errors import CacheError, RecordingError
from oddsound.features import rows
from oddsound.features.rows import finished, write_rows

pytestmark = pytest.mark.long

SHAPE = (40, 4, 9)


def row(index: int) -> NDArray[np.float32]:
    """Of another length each."""
    values = np.random.default_rng(index).standard_normal((4, 3 + index % 7))
    return values.astype(np.float32)


def written(folder: Path) -> NDArray[np.float32]:
    array: NDArray[np.float32] = np.load(folder / "features.npy")
    return array


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "made"
    made.mkdir()
    return made


@pytest.mark.parametrize("workers", [1, 2, 7, None])
def test_each_row_is_there_and_ends_in_zeros(folder: Path, workers: int | None) -> None:
    write_rows(folder, SHAPE, "float32", row, workers=workers)
    array = written(folder)
    for index in range(SHAPE[0]):
        own = row(index)
        np.testing.assert_array_equal(array[index, :, : own.shape[1]], own)
        assert (array[index, :, own.shape[1] :] == 0).all()
    finished(folder, folder.with_name("finished"))
    assert [path.name for path in folder.with_name("finished").iterdir()] == ["features.npy"]
    assert not folder.exists()


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_the_bytes_are_the_same_for_any_number_of_workers(tmp_path: Path, dtype: str) -> None:
    files = []
    for workers in (1, 2, 5):
        made = tmp_path / str(workers)
        made.mkdir()
        write_rows(made, SHAPE, dtype, row, workers=workers)
        files.append((made / "features.npy").read_bytes())
    assert files[0] == files[1] == files[2]


@pytest.mark.parametrize("workers", [1, 3])
def test_the_first_row_that_fails_is_the_one_that_is_named(folder: Path, workers: int) -> None:
    slow = threading.Event()

    def failing(index: int) -> NDArray[np.float32]:
        if index == 6:
            slow.wait(0.2)  # while another thread comes to a later one
        if index in (6, 7, 8):
            slow.set() if index != 6 else None
            raise RecordingError(f"row {index}")
        return row(index)

    with pytest.raises(RecordingError, match="row 6"):
        write_rows(folder, SHAPE, "float32", failing, workers=workers)


def test_told_how_far_it_is(folder: Path) -> None:
    heard: list[tuple[int, int]] = []
    write_rows(folder, SHAPE, "float32", row, lambda done, total: heard.append((done, total)))
    assert heard[0] == (0, 40)
    assert heard[-1] == (40, 40)
    assert [done for done, _ in heard] == sorted(done for done, _ in heard)


def _killed_at_20(folder: Path) -> None:
    def dying(index: int) -> NDArray[np.float32]:
        if index == 20:
            os.kill(os.getpid(), signal.SIGKILL)
        return row(index)

    write_rows(folder, SHAPE, "float32", dying, workers=1)


@pytest.fixture
def killed(folder: Path) -> Path:
    """What a process leaves that was killed with 20 of 40 rows written."""
    child = multiprocessing.get_context("spawn").Process(target=_killed_at_20, args=(folder,))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    return folder


def gone_on(folder: Path) -> list[int]:
    """Which rows a second call computes; the array must be whole then."""
    computed: list[int] = []

    def counting(index: int) -> NDArray[np.float32]:
        computed.append(index)
        return row(index)

    write_rows(folder, SHAPE, "float32", counting, workers=1)
    whole = folder.parent / "whole"
    whole.mkdir()
    write_rows(whole, SHAPE, "float32", row)
    assert (folder / "features.npy").read_bytes() == (whole / "features.npy").read_bytes()
    return computed


def test_a_kill_costs_the_row_in_work(killed: Path) -> None:
    assert gone_on(killed) == list(range(20, 40))


def test_a_row_that_did_not_reach_the_disk_is_written_again(killed: Path) -> None:
    array = np.load(killed / "features.npy", mmap_mode="r+")
    array[3] = 0
    array[11, 2, 5] += 1
    array.flush()
    assert gone_on(killed) == [3, 11, *range(20, 40)]


@pytest.mark.parametrize("damage", ["marks gone", "marks cut", "array cut", "another shape", "no header"])
def test_what_is_damaged_is_written_again(killed: Path, damage: str) -> None:
    array, marks = killed / "features.npy", killed / "written"
    if damage == "marks gone":
        marks.unlink()
    elif damage == "marks cut":
        marks.write_bytes(marks.read_bytes()[:-1])
    elif damage == "array cut":
        array.write_bytes(array.read_bytes()[:300])
    elif damage == "another shape":
        np.save(array, np.zeros((40, 4, 8), np.float32))
    else:
        array.write_bytes(b"")
    assert len(gone_on(killed)) >= 20


def test_a_row_that_the_disk_takes_in_parts_is_whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pwrite
    monkeypatch.setattr(
        os, "pwrite", lambda fd, data, at: real(fd, bytes(data)[: max(1, len(data) // 2)], at)
    )
    write_rows(folder, SHAPE, "float32", row)
    for index in range(SHAPE[0]):
        own = row(index)
        np.testing.assert_array_equal(written(folder)[index, :, : own.shape[1]], own)


def test_ctrl_c_ends_it_with_the_rows_in_work_and_the_next_call_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it is pressed again while the threads end: none may write into a closed file."""
    begun, go_on, ended = threading.Event(), threading.Event(), list[int]()
    real = rows.wait

    def slow(index: int) -> NDArray[np.float32]:
        begun.set()
        assert go_on.wait(20)
        ended.append(index)
        return row(index)

    def interrupted(futures: object, timeout: float | None = None) -> object:
        assert begun.wait(20)
        if timeout is None:  # the second time: it waits for the threads
            go_on.set()
            real(futures)
        raise KeyboardInterrupt

    monkeypatch.setattr(rows, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_rows(folder, SHAPE, "float32", slow, workers=2)
    monkeypatch.undo()
    assert 1 <= len(ended) <= 2
    assert gone_on(folder) == [index for index in range(SHAPE[0]) if index not in ended]


def test_an_error_of_whoever_is_told_is_not_the_disks(folder: Path) -> None:
    def gone(done: int, total: int) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    with pytest.raises(BrokenPipeError):
        write_rows(folder, SHAPE, "float32", row, gone)


def test_torchs_threads_are_as_before(folder: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        write_rows(folder, SHAPE, "float32", row, workers=2)
        later: list[int] = []
        thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert (torch.get_num_threads(), later) == (3, [3])
    finally:
        torch.set_num_threads(before)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def full(path: Path, *args: int) -> int:
        return real("/dev/full" if Path(path).name == "features.npy" else path, *args)

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(
        CacheError, match=r"features can't be written there \(No space left on device\); make room"
    ):
        write_rows(folder, SHAPE, "float32", row)
