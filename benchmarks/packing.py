"""How many training clips a second trials get through that share a machine, or its GPU.

    python -m benchmarks.packing                                     # the full size
    python -m benchmarks.packing --width 0.25 --seconds 4 --rounds 1 # a quick look

Each trial is a fresh process that trains as `run_trial` does, on made-up features; those of a contender
begin together, after a step to warm up, and are counted in the same seconds. Tables on stdout, talk on
stderr.
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import wait
from statistics import median
from typing import Any

import numpy as np
import torch
from benchmarks.measure import in_turns, load, ratios, say, spread, table
from benchmarks.packed import (
    DIGEST,
    MACHINE,
    N_BANDS,
    Child,
    Pipe,
    answer,
    as_a_worker,
    children,
    made_up_clips,
    made_up_features,
    together,
)

from oddsound.config import TrialConfig
from oddsound.training.checkpoint import seed_epoch
from oddsound.training.classes import classes_of
from oddsound.training.data import MachineData
from oddsound.training.device import exact_device
from oddsound.training.epoch import Lesson, train_epoch
from oddsound.training.footprint import measure_footprint
from oddsound.training.schedule import build_optimiser
from oddsound.training.segments import Segments
from oddsound.training.trial import build_model
from oddsound.training.usage import forget_peaks, host_peak

ON_A_GPU = (1, 2, 4, 8)
_CPU_OF_A_TRIAL = 1
"""What the search gives a trial unless told otherwise."""


@dataclass(frozen=True)
class Size:
    """Of what each trial trains on, and how long it is counted."""

    settings: dict[str, Any]
    n_clips: int
    n_frames: int
    seconds: float

    @property
    def config(self) -> TrialConfig:
        return TrialConfig.model_validate(self.settings)

    def data(self) -> MachineData:
        features = made_up_features(self.n_clips, self.n_frames)
        return MachineData(MACHINE, made_up_clips(self.n_clips, 0), features, DIGEST)


@dataclass(frozen=True)
class Contender:
    """So many trials at once, each of so many threads."""

    name: str
    trials: int
    threads: int
    on_gpu: bool


@dataclass(frozen=True)
class Memory:
    """Of one trial at its peak, and of the GPU that all of them held then. Bytes."""

    host: int
    gpu: int
    gpu_of_all: int


# A trial.


class _Enough(Exception):
    """Ends an epoch."""


def train(pipe: Pipe, size: Size, threads: int, on_gpu: bool) -> None:
    """Train until told to stop: tell when each step began, then what memory it took."""
    if not on_gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    as_a_worker(threads)
    config, data = size.config, size.data()
    segments = Segments.of(MACHINE, size.n_frames, config.model)
    lesson = Lesson(data, classes_of(data.clips, config.training.labels), segments)
    seed_epoch(config.identity, 0)
    model = build_model(config, len(lesson.classes.names), segments.frames).to(exact_device()).train()
    optimiser = build_optimiser(model, config.training)
    steps = itertools.count()
    forget_peaks()

    def step_begins() -> None:
        step = next(steps)
        if step == 1:  # the first one warmed up
            pipe.send("warm")
            pipe.recv()
        if step:
            pipe.send(time.monotonic())
            if pipe.poll():
                raise _Enough

    try:
        for epoch in itertools.count(1):
            train_epoch(model, optimiser, config, lesson, epoch, step_begins)
    except _Enough:
        pipe.send(_memory())
    pipe.recv()  # holds its memory until all have told theirs


def _memory() -> Memory:
    if not torch.cuda.is_available():
        return Memory(host_peak(), 0, 0)
    free, has = torch.cuda.mem_get_info()
    return Memory(host_peak(), torch.cuda.max_memory_reserved(), has - free)


# Trials at once.


def measured(contender: Contender, size: Size, told: list[list[Memory]]) -> float:
    """Clips a second of all its trials together; what memory each took is added to `told`."""
    with children(train, contender.trials, size, contender.threads, contender.on_gpu) as trials:
        together(trials)
        begun = [[trial.hear()] for trial in trials]
        start = max(times[0] for times in begun)
        _listen(trials, begun, start + size.seconds)
        for trial in trials:
            trial.tell("stop")
        told.append([_last_word(trial) for trial in trials])
    return sum(n_steps(times, start, size.seconds) for times in begun) * _batch(size) / size.seconds


def _listen(trials: Sequence[Child], begun: Sequence[list[float]], until: float) -> None:
    """Hear all of them until each has begun a step after `until`: they slow each other down to the end."""
    by_pipe = {trial.pipe: (trial, times) for trial, times in zip(trials, begun, strict=True)}
    while any(times[-1] < until for times in begun):
        for pipe in wait(list(by_pipe)):
            trial, times = by_pipe[pipe]  # type: ignore[index]  # only what is waited for is ready
            times.append(trial.hear())


def _last_word(trial: Child) -> Memory:
    while not isinstance(said := trial.hear(), Memory):
        pass
    return said


def n_steps(begun: Sequence[float], start: float, seconds: float) -> float:
    """Steps in the `seconds` from `start` on, those that are only partly in them in proportion."""
    first, last = np.interp([start, start + seconds], begun, np.arange(len(begun)))
    return float(last - first)


def _batch(size: Size) -> int:
    return size.config.training.batch_size


# The tables.


@dataclass(frozen=True)
class Found:
    """Of each contender clips a second in each round, and each round's memory of each trial."""

    rates: Mapping[str, list[float]]
    memory: Mapping[str, list[list[Memory]]]


def compare(contenders: Sequence[Contender], size: Size, rounds: int) -> Found:
    """In turns; each trial warms up by itself."""
    memory: dict[str, list[list[Memory]]] = {of.name: [] for of in contenders}
    calls = {of.name: partial(measured, of, size, memory[of.name]) for of in contenders}
    return Found(in_turns(calls, rounds, warm_up=False), memory)


def table_of(contenders: Sequence[Contender], found: Found) -> str:
    """Beside the first of them."""
    base = found.rates[contenders[0].name]
    header = ["", "clips/s of all", "times the first's", "peak RSS of one [MB]", "of all [MB]"]
    on_gpu = contenders[0].on_gpu
    header += ["torch's GPU memory of one [MB]", "all in use of the GPU [MB]"] if on_gpu else []
    rows = []
    for name in (of.name for of in contenders):
        rates, rounds = found.rates[name], found.memory[name]
        cells = [spread(rates), spread(ratios(rates, base))]
        cells += [
            _mb(max(m.host for m in one) for one in rounds),
            _mb(sum(m.host for m in o) for o in rounds),
        ]
        if on_gpu:
            cells += [_mb(max(m.gpu for m in one) for one in rounds)]
            cells += [_mb(max(m.gpu_of_all for m in one) for one in rounds)]
        rows.append([name, *cells])
    return table(header, rows)


def _mb(values: Any) -> str:
    return f"{median(values) / 1e6:,.0f}"


def best(contenders: Sequence[Contender], found: Found) -> Contender:
    return max(contenders, key=lambda of: median(found.rates[of.name]))


# On CPUs.


def on_cpus(n: int) -> list[Contender]:
    """One trial that has all of the `n` CPUs, one a CPU, and two a CPU."""
    return [
        Contender(_named(1, n), 1, n, False),
        *([Contender(_named(n, 1), n, 1, False)] if n > 1 else []),
        Contender(_named(2 * n, 1), 2 * n, 1, False),
    ]


def _named(trials: int, threads: int) -> str:
    return f"{trials} trial{'s' * (trials > 1)} of {threads} thread{'s' * (threads > 1)}"


def tell_cpus(size: Size, rounds: int, n: int) -> None:
    contenders = on_cpus(n)
    found = compare(contenders, size, rounds)
    won = best(contenders, found)
    print(f"### {n} CPU{'s' * (n > 1)}\n\n{table_of(contenders, found)}\n")
    is_best = (won.trials, won.threads) == (n // _CPU_OF_A_TRIAL, _CPU_OF_A_TRIAL)
    print(
        f"Most clips a second: {won.name}. The search gives a trial {_CPU_OF_A_TRIAL} CPU, so {n} run at "
        f"once: {'the best' if is_best else 'not the best'} of these.\n",
        flush=True,
    )


# On a GPU.


def tell_gpu(size: Size, rounds: int) -> None:
    contenders = [Contender(f"{k} trial{'s' * (k > 1)} at once", k, _CPU_OF_A_TRIAL, True) for k in ON_A_GPU]
    found = compare(contenders, size, rounds)
    won = best(contenders, found)
    needed, has, share = answer(footprint, size)
    print(f"### {torch.cuda.get_device_name(0)}\n\n{table_of(contenders, found)}\n")
    print(
        f"Most clips a second: {won.name}, each on {1 / won.trials:g} of the GPU. By the search's "
        f"own measurement a trial needs {needed / 2**30:.2f} of {has / 2**30:.1f} GiB and is given {share:g} "
        "of the GPU."
    )


def footprint(pipe: Pipe, size: Size) -> None:
    """What the search would measure before its first trial, the GPU's memory and the part it would give."""
    from oddsound.search.resources import gpu_share

    as_a_worker(_CPU_OF_A_TRIAL)
    needed = measure_footprint(size.config, size.data()).gpu_bytes
    has = torch.cuda.get_device_properties(0).total_memory
    pipe.send((needed, has, gpu_share(needed, has)))


# The benchmark.


def main() -> None:
    options = parsed()
    model = {"width": options.width}
    training = {"precision": options.precision, "batch_size": options.batch}
    settings = {"machine": MACHINE, "model": model, "training": training}
    size = Size(settings, options.clips, options.frames, options.seconds)
    print(
        f"## Packing\n\nTraining steps of the whole model ({size.config.model.backbone}, width "
        f"{options.width:g}, {options.precision}), batches of {options.batch} clips of {N_BANDS} × "
        f"{options.frames}: clips a second of all trials that run at once, counted for "
        f"{options.seconds:g} s, against one trial that has the machine to itself. Median (least to most) "
        f"of {options.rounds} rounds. A trial's resident memory counts the libraries that all share.\n",
        flush=True,
    )
    say(load())
    if "cpu" in options.on:
        tell_cpus(size, options.rounds, options.cpus)
    if torch.cuda.is_available() and "gpu" in options.on:
        tell_gpu(size, options.rounds)
    elif "gpu" in options.on:
        print("### GPU\n\nno GPU at hand: not measured")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=float, default=1.0, help="of the backbone")
    parser.add_argument("--frames", type=int, default=311)
    parser.add_argument("--clips", type=int, default=96, help="a multiple of --batch")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--seconds", type=float, default=30.0, help="that are counted")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cpus", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--on", nargs="+", choices=("cpu", "gpu"), default=["cpu", "gpu"])
    options = parser.parse_args()
    if options.clips % options.batch:
        parser.error(f"--clips {options.clips} is no multiple of --batch {options.batch}")
    return options


if __name__ == "__main__":
    main()
