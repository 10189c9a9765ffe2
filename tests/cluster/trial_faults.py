"""Faults put into real trials, by the trial's number: what ends a trial, and what ends its worker."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn
from unittest.mock import patch

import torch

from oddsound.features.cache import open_cache
from oddsound.search.worker import train_trial
from oddsound.training import checkpoint, epoch, trial

HUNG, KILLED, NAN, MEMORY, CACHE, DISK, OTHER_CACHE, OTHER_MACHINE = range(8)
N_TRIALS = 10
"""The last two are healthy."""
HANG_S = 4.0
_DISK_BYTES = 1000


def faulty(handed: dict[str, Any]) -> None:
    """The real trial, with the fault of its number."""
    with _FAULTS.get(handed["number"], _healthy)(handed) as changed:
        train_trial(changed)


@contextmanager
def _healthy(handed: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield handed


def waits_for_ever(*_: object) -> NoReturn:
    threading.Event().wait()
    raise AssertionError


@contextmanager
def _hung(handed: dict[str, Any]) -> Iterator[dict[str, Any]]:
    with patch.object(epoch, "losses", waits_for_ever):
        yield handed | {"hang_s": HANG_S}


def _dies(*_: object) -> NoReturn:
    print("the bearing is hot\nthe belt is gone", file=sys.stderr)
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


@contextmanager
def _killed(handed: dict[str, Any]) -> Iterator[dict[str, Any]]:
    with patch.object(epoch, "losses", _dies):
        yield handed


@contextmanager
def _nan(handed: dict[str, Any]) -> Iterator[dict[str, Any]]:
    def spoilt(x: torch.Tensor, *rest: Any) -> Any:
        return augment(x * torch.nan, *rest)

    augment = epoch.augment
    with patch.object(epoch, "augment", spoilt):
        yield handed


def _too_much(*_: object) -> NoReturn:
    raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.\nGPU 0 has none")


@contextmanager
def _memory(handed: dict[str, Any]) -> Iterator[dict[str, Any]]:
    with patch.object(epoch, "losses", _too_much):
        yield handed


@contextmanager
def _cache(handed: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Half of the features are gone."""
    copy = Path(handed["trials"]).with_name("damaged") / Path(handed["cache"]).name
    shutil.copytree(handed["cache"], copy, dirs_exist_ok=True)
    os.truncate(copy / "features.npy", (copy / "features.npy").stat().st_size // 2)
    yield handed | {"cache": str(copy)}


@contextmanager
def _disk(handed: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """After the first epoch this process can't make a file longer than `_DISK_BYTES`."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def save(path: Path, model: Any, optimiser: Any, progress: checkpoint.Progress, digest: str) -> None:
        if len(progress.history) > 1:
            resource.setrlimit(resource.RLIMIT_FSIZE, (_DISK_BYTES, before[1]))
        checkpoint.save_checkpoint(path, model, optimiser, progress, digest)

    try:
        with patch.object(trial, "save_checkpoint", save):
            yield handed
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def _other_cache(handed: dict[str, Any]) -> Iterator[dict[str, Any]]:
    (other,) = (path for path in Path(handed["cache"]).parent.glob("valve-*") if path.is_dir())
    yield handed | {"cache": str(other)}


@contextmanager
def _other_machine(handed: dict[str, Any]) -> Iterator[dict[str, Any]]:
    with _other_cache(handed) as changed:
        yield changed | {"data_digest": open_cache(Path(changed["cache"])).data_digest}


_FAULTS: dict[int, Callable[[dict[str, Any]], Any]] = {
    HUNG: _hung,
    KILLED: _killed,
    NAN: _nan,
    MEMORY: _memory,
    CACHE: _cache,
    DISK: _disk,
    OTHER_CACHE: _other_cache,
    OTHER_MACHINE: _other_machine,
}
