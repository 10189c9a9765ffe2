"""A cache copied to a node's own disk: once, whole, and never in the way."""

import multiprocessing
import os
import resource
from pathlib import Path
from typing import Any

import pytest

from oddsound.features.staging import staged

CONTENT = {"features.npy": bytes(range(256)) * 40, "meta.json": b"{}"}


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    folder = tmp_path / "shared" / "fan-0123"
    folder.mkdir(parents=True)
    for name, content in CONTENT.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def node(tmp_path: Path) -> Path:
    return tmp_path / "node" / "disk"


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def inode(folder: Path) -> int:
    return (folder / "features.npy").stat().st_ino


def test_it_is_copied_once(cache: Path, node: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = staged(cache, node)
    assert copy == node / "fan-0123"
    assert content(copy) == CONTENT
    first = inode(copy)
    assert staged(cache, node) == copy
    assert inode(copy) == first
    assert capsys.readouterr().err == ""


def ask(cache: Path, node: Path, barrier: Any, answers: Any) -> None:
    barrier.wait(60)
    copy = staged(cache, node)
    answers.put((copy, inode(copy), content(copy) == CONTENT))


def test_two_workers_at_once_share_one_copy(cache: Path, node: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(2), context.Queue()
    workers = [context.Process(target=ask, args=(cache, node, barrier, answers)) for _ in range(2)]
    for worker in workers:
        worker.start()
    found = [answers.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(60)
    assert found == [(node / "fan-0123", inode(node / "fan-0123"), True)] * 2
    assert not list(node.glob("*.partial"))


def test_a_folder_that_can_not_be(cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert staged(cache, tmp_path / "file" / "disk") == cache
    assert f"{cache} is read where it lies: no copy in " in capsys.readouterr().err


def test_a_full_disk(cache: Path, node: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, before[1]))
    try:
        given = staged(cache, node)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert given == cache
    assert "is read where it lies" in capsys.readouterr().err
    assert [path.name for path in node.iterdir() if path.is_dir()] == []
    assert content(staged(cache, node)) == CONTENT, "there is room again"


def test_what_a_killed_worker_left_is_no_hindrance_and_goes(cache: Path, node: Path) -> None:
    for pid in (1, os.getpid()):
        left = node / f"fan-0123.{pid}.partial"
        left.mkdir(parents=True)
        (left / "features.npy").write_bytes(b"half")
    assert content(staged(cache, node)) == CONTENT
    assert not list(node.glob("*.partial"))


def test_a_copy_that_lost_something_is_made_anew(cache: Path, node: Path) -> None:
    copy = staged(cache, node)
    (copy / "meta.json").unlink()
    assert content(staged(cache, node)) == CONTENT
    os.truncate(copy / "features.npy", 100)
    assert content(staged(cache, node)) == CONTENT


def test_a_copy_outlives_the_shared_storage(cache: Path, node: Path) -> None:
    copy = staged(cache, node)
    cache.rename(cache.with_name("away"))
    assert content(staged(cache, node)) == content(copy) == CONTENT
