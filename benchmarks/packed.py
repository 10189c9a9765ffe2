"""What the benchmarks of several processes at once share: fresh processes that are talked to by a pipe, and
a made-up machine type for them."""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray

from oddsound.recordings.clip import Clip, Domain, Label
from oddsound.search.cluster import WORKER_ENVIRONMENT

MACHINE, DIGEST, N_BANDS = "fan", "0" * 64, 128
SECTIONS = ("00", "01", "02")
DOMAINS: tuple[Domain, ...] = ("source", "target")
LABELS: tuple[Label, ...] = ("normal", "anomaly")
N_TARGET = 3
"""Training clips of a section's target domain."""
_SPAWN = multiprocessing.get_context("spawn")


# Processes.


def as_a_worker(threads: int) -> None:
    """What a search's worker does before its first trial, `threads` being the CPUs that it was given."""
    torch.set_num_threads(threads)
    gc.freeze()


class Child:
    """A fresh process that runs `work(pipe, *arguments)`, in the environment of a search's worker or in
    ours."""

    def __init__(self, work: Callable[..., None], *arguments: object, as_worker: bool = True) -> None:
        self.pipe, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=work, args=(theirs, *arguments), daemon=as_worker)
        with patch.dict(os.environ, WORKER_ENVIRONMENT if as_worker else {}):  # it is read at the start
            self._process.start()
        theirs.close()  # so that its death is heard

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def hear(self) -> Any:
        """What it says next."""
        try:
            return self.pipe.recv()
        except EOFError:
            self._process.join()
            raise SystemExit(f"a child ended with {self._process.exitcode}: see above") from None

    def tell(self, what: object) -> None:
        self.pipe.send(what)

    def wait(self) -> None:
        """Until it has ended by itself, for some seconds."""
        self._process.join(20)

    def end(self) -> None:
        self._process.terminate()
        self._process.join()
        self.pipe.close()


@contextmanager
def children(work: Callable[..., None], n: int, *arguments: object) -> Iterator[list[Child]]:
    """`n` of them at once; none is left afterwards."""
    started: list[Child] = []
    try:
        started += (Child(work, *arguments) for _ in range(n))
        yield started
    finally:
        for child in started:
            child.end()


def answer(work: Callable[..., None], *arguments: object, as_worker: bool = True) -> Any:
    """The first thing that a process of its own says."""
    child = Child(work, *arguments, as_worker=as_worker)
    try:
        said = child.hear()
        child.wait()
        return said
    finally:
        child.end()


def together(started: Sequence[Child]) -> None:
    """Let them go on once each of them has said that it could."""
    for child in started:
        child.hear()
    for child in started:
        child.tell("go on")


Pipe = Connection


# Their memory.


def pss(pid: int) -> int:
    """Proportional set size of a process in bytes."""
    return _kilobytes(Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()) << 10


def pss_of_mapping(pid: int, file: Path) -> int:
    """The part of it in pages of `file`, in bytes."""
    lines, ours = [], False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if not line.split(maxsplit=1)[0].endswith(":"):  # the head of a mapping ends with its file
            ours = line.endswith(f" {file}")
        elif ours:
            lines.append(line)
    return _kilobytes(lines) << 10


def _kilobytes(lines: Sequence[str]) -> int:
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


# The machine type.


def made_up_clips(n: int, n_test: int) -> tuple[Clip, ...]:
    """`n` clips of three sections and two domains: `n_test` test clips of each section, domain and label,
    the others to train on."""
    test = [
        _clip(section, domain, label, number)
        for section in SECTIONS
        for domain in DOMAINS
        for label in LABELS
        for number in range(n_test)
    ]
    return (*(_training_clip(number) for number in range(n - len(test))), *test)


def made_up_features(n: int, n_frames: int, seed: int = 0) -> NDArray[np.float32]:
    """(n, bands, frames) in dB, without anything to be learnt from them."""
    drawn = np.random.default_rng(seed).standard_normal((n, N_BANDS, n_frames), np.float32)
    return 10 * drawn - 40


def _training_clip(number: int) -> Clip:
    section, place = SECTIONS[number % len(SECTIONS)], number // len(SECTIONS)
    domain: Domain = "target" if place < N_TARGET else "source"
    path = Path(f"section_{section}_{domain}_train_normal_{place:04d}.wav")
    return Clip(path, MACHINE, section, domain, "train", "normal")


def _clip(section: str, domain: Domain, label: Label, number: int) -> Clip:
    path = Path(f"section_{section}_{domain}_test_{label}_{number:04d}.wav")
    return Clip(path, MACHINE, section, domain, "test", label)
