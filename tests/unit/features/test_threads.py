"""Pools whose threads have one of torch's, whatever the process has."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from oddsound.features.threads import n_workers, single_threads


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def seen_by_a_new_thread() -> int:
    seen: list[int] = []
    new = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    new.start()
    new.join()
    return seen[0]


@pytest.mark.parametrize("workers", [1, 3])
def test_each_worker_has_one_thread_and_the_others_keep_theirs(workers: int) -> None:
    with single_threads(workers) as pool:
        assert list(pool.map(lambda _: torch.get_num_threads(), range(9))) == [1] * 9
        assert (torch.get_num_threads(), seen_by_a_new_thread()) == (2, 2)
    assert (torch.get_num_threads(), seen_by_a_new_thread()) == (2, 2)


def test_what_another_thread_sets_later_reaches_no_worker() -> None:
    with single_threads(1) as pool:
        other = threading.Thread(target=torch.set_num_threads, args=(3,))
        other.start()
        other.join()
        assert pool.submit(torch.get_num_threads).result() == 1


def test_a_pool_within_a_new_thread_leaves_that_thread_its_own_number() -> None:
    counts: list[int] = []

    def work() -> None:
        with single_threads(2) as pool:
            counts.extend(pool.map(lambda _: torch.get_num_threads(), range(2)))
        counts.append(torch.get_num_threads())

    with single_threads(1):
        inner = threading.Thread(target=work)
        inner.start()
        inner.join()
    assert counts == [1, 1, 2]
    assert torch.get_num_threads() == 2


def test_a_pool_ends_with_what_was_raised_in_it() -> None:
    with pytest.raises(ValueError, match="within"), single_threads(2):
        raise ValueError("within")
    assert not [each for each in threading.enumerate() if each.name.startswith("single")]


def test_the_workers_are_the_cpus_that_the_process_may_use() -> None:
    assert n_workers() >= 1
