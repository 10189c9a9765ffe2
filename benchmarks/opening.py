"""How long a trial takes to its first batch, and what memory the trials of a node share.

    python -m benchmarks.opening                             # the full size
    python -m benchmarks.opening --clips 300 --rounds 1      # a quick look

A machine type of made-up features lies in a feature cache that the system's page cache holds. Each figure
is of fresh processes, after all imports. Tables on stdout, talk on stderr.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from benchmarks.measure import load, met, ratios, say, spread, table
from benchmarks.packed import (
    DIGEST,
    MACHINE,
    N_BANDS,
    Pipe,
    answer,
    as_a_worker,
    children,
    made_up_clips,
    made_up_features,
    pss,
    pss_of_mapping,
)
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from oddsound.config import FeatureConfig, TrialConfig
from oddsound.features.cache import cache_path
from oddsound.training import epoch, trial
from oddsound.training.data import MachineData
from oddsound.training.device import exact_device
from oddsound.training.resident import resident
from oddsound.training.schedule import build_optimiser
from oddsound.training.segments import Segments

TARGET_S, TARGET_SHARED = 0.3, 0.05
N_FRAMES, BATCH = 311, 32
OURS, COPIES = "oddsound", "np.load"
OPENING, BUILDING = "opening the cache", "building the model and the optimiser"
FIRST_BATCH, REST = "the first batch", "the bundle's files and all else"
PARTS: dict[str, tuple[tuple[Any, str], ...]] = {
    "looking at the clips": (
        (trial, "refuse_unlearnable"),
        (trial, "refuse_unmeasurable"),
        (trial, "classes_of"),
    ),
    BUILDING: ((trial, "build_model"), (trial, "build_optimiser")),
    "drawing the epoch": ((epoch, "draw_epoch"),),
}
"""What a part of the start is: functions by the module that calls them."""


class _Enough(Exception):
    """Ends a trial."""


# The cache.


def written(folder: Path, n: int) -> Path:
    """A feature cache of `n` clips as `build_cache` leaves it, a fifth of them test clips."""
    cache = cache_path(MACHINE, DIGEST, FeatureConfig(), folder)
    cache.mkdir()
    shape = (n, N_BANDS, N_FRAMES)
    array = open_memmap(cache / "features.npy", mode="w+", dtype=np.float32, shape=shape)
    for first in range(0, n, BATCH):
        rows = array[first : first + BATCH]
        rows[:] = made_up_features(len(rows), N_FRAMES, seed=first)
    array.flush()
    clips = made_up_clips(n, max(1, n // 60))
    meta = {
        "data_digest": DIGEST,
        "lengths": [N_FRAMES] * n,
        "clips": [asdict(clip) | {"path": str(clip.path)} for clip in clips],
    }
    (cache / "meta.json").write_text(json.dumps(meta))
    return cache


# From the start to the first batch.


class Clock:
    """Seconds of each part of a trial's start."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.drawn = 0.0
        """When the first step began."""

    def watch(self, part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """`call`, what it takes being counted among `part`."""

        def timed(*arguments: Any, **named: Any) -> Any:
            begun = time.perf_counter()
            try:
                return call(*arguments, **named)
            finally:
                self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - begun

        return timed

    def step_begins(self) -> None:
        self.drawn = time.perf_counter()

    def forward_begins(self, *_: object) -> None:
        self.seconds[FIRST_BATCH] = time.perf_counter() - self.drawn
        raise _Enough


@contextlib.contextmanager
def until_forward(clock: Clock) -> Iterator[None]:
    """Watch the parts of a trial that begins in the block, and leave it when a network is first called."""
    before = [(module, name, getattr(module, name)) for of in PARTS.values() for module, name in of]
    for part, functions in PARTS.items():
        for module, name in functions:
            setattr(module, name, clock.watch(part, getattr(module, name)))
    hook = torch.nn.modules.module.register_module_forward_pre_hook(clock.forward_begins)
    try:
        with contextlib.suppress(_Enough), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        hook.remove()
        for module, name, function in before:
            setattr(module, name, function)


def start_of_trial(pipe: Pipe, cache: Path, threads: int, trials: Path) -> None:
    """Tell the seconds of each part, "" being the whole, of two trials, one after the other as in a
    worker that has its data open from the first on."""
    as_a_worker(threads)
    found, data = [], None
    for seed in range(2):
        clock, begun = Clock(), time.perf_counter()
        with until_forward(clock):
            config = TrialConfig.model_validate({"machine": MACHINE, "training": {"seed": seed}})
            data = data or clock.watch(OPENING, MachineData.open)(cache)
            trial.run_trial(config, data, print, trials=trials, alive=clock.step_begins)
        whole = clock.drawn + clock.seconds[FIRST_BATCH] - begun
        found.append({**clock.seconds, REST: whole - sum(clock.seconds.values()), "": whole})
    pipe.send(found)


def start_of_script(pipe: Pipe, cache: Path, threads: int, _: Path) -> None:
    """The same by a script that reads all features, builds the same network and takes a batch."""
    torch.set_num_threads(threads)
    clock, config, begun = Clock(), TrialConfig(machine=MACHINE), time.perf_counter()
    features, clips = clock.watch(OPENING, read_whole)(cache)
    train = np.flatnonzero([clip["split"] == "train" for clip in clips])
    with until_forward(clock):
        torch.manual_seed(0)
        model = trial.build_model(config, len({clip["section"] for clip in clips}), N_FRAMES)
        model.to(exact_device()).train()
        clock.watch(BUILDING, build_optimiser)(model, config.training)
        rows = np.random.default_rng(0).permutation(train)[:BATCH]
        clock.step_begins()
        model(torch.from_numpy(features[rows]).to(exact_device()))
    whole = clock.drawn + clock.seconds[FIRST_BATCH] - begun
    pipe.send([{**clock.seconds, REST: whole - sum(clock.seconds.values()), "": whole}])


def read_whole(cache: Path) -> tuple[NDArray[np.float32], list[dict[str, Any]]]:
    clips = json.loads((cache / "meta.json").read_text())["clips"]
    return np.load(cache / "features.npy"), clips


Starts = dict[tuple[str, int], list[list[dict[str, float]]]]
"""By contender and threads: of each round each trial's parts."""


def starts(cache: Path, folder: Path, threads: Sequence[int], rounds: int) -> Starts:
    """In turns."""
    contenders = {OURS: start_of_trial, COPIES: start_of_script}
    found: Starts = {(name, n): [] for n in threads for name in contenders}
    for turn in range(1, rounds + 1):
        for name, n in found:
            trials = folder / f"trials-{turn}-{n}"
            found[name, n].append(answer(contenders[name], cache, n, trials))
            say(f"{name}, {n} threads: {found[name, n][-1][0]['']:.3f} s (round {turn}, {load()})")
    return found


def table_of_starts(found: Starts) -> str:
    threads = list(dict.fromkeys(n for _, n in found))
    header = ["[ms]", *(f"{name}, {n} thread{'s' * (n > 1)}" for n in threads for name in (OURS, COPIES))]
    columns = [found[name, n] for n in threads for name in (OURS, COPIES)]
    rows = [
        [part, *(_milliseconds([one[0].get(part) for one in column]) for column in columns)]
        for part in (OPENING, *PARTS, FIRST_BATCH, REST)
    ]
    rows.append(["**start to first batch**", *(_milliseconds([o[0][""] for o in c]) for c in columns)])
    second = [[one[1][""] if len(one) > 1 else None for one in column] for column in columns]
    rows.append(["**a worker's second trial**", *map(_milliseconds, second)])
    return table(header, rows)


def _milliseconds(values: Sequence[float | None]) -> str:
    known = [1000 * value for value in values if value is not None]
    return spread(known) if known else ""


# Memory that is shared.


def hold(pipe: Pipe, cache: Path, contender: str) -> None:
    """Open the features, touch all of them in batches, and hold them until told."""
    as_a_worker(1)
    pipe.send("imported")
    pipe.recv()
    features = MachineData.open(cache).features if contender == OURS else np.load(cache / "features.npy")
    segments = Segments.of(MACHINE, N_FRAMES, TrialConfig(machine=MACHINE).model)
    there = resident(features, "cpu")
    for rows in torch.split(torch.randperm(len(features), generator=torch.manual_seed(0)), BATCH):
        segments.gather(there, rows, torch.zeros_like(rows))
    pipe.send("touched")
    pipe.recv()


def held(cache: Path, contender: str, n: int) -> tuple[int, int]:
    """Proportional set size, summed over `n` processes: how much it grew when they took the features,
    and that of the features' mapping. Bytes."""
    file = (cache / "features.npy").resolve()
    with children(hold, n, cache, contender) as started:
        for child in started:
            child.hear()
        before = sum(pss(child.pid) for child in started)
        for child in started:
            child.tell("take them")
        for child in started:
            child.hear()
        grown = sum(pss(child.pid) for child in started) - before
        return grown, sum(pss_of_mapping(child.pid, file) for child in started)


Held = dict[tuple[str, int], tuple[int, int]]
"""By contender and processes what `held` gives."""


def shared(cache: Path, processes: Sequence[int]) -> Held:
    found = {}
    for name in (OURS, COPIES):
        for n in processes:
            found[name, n] = held(cache, name, n)
            say(f"{name}, {n} processes: {found[name, n][0] / 1e6:,.0f} MB")
    return found


def growth(found: Mapping[int, int], cache_bytes: int) -> float:
    """By each process after the fewest, as a part of the cache."""
    least, most = min(found), max(found)
    return (found[most] - found[least]) / (most - least) / cache_bytes


def table_of_memory(found: Held, cache_bytes: int) -> tuple[str, dict[str, float]]:
    """The table, and by line how much each further process adds."""
    lines = {
        f"{OURS}: the mapping of the features": (OURS, 1),
        f"{OURS}: all that opening and reading them took": (OURS, 0),
        f"{COPIES}: all that opening and reading them took": (COPIES, 0),
    }
    processes = sorted({n for _, n in found})
    rows, grown = [], {}
    for line, (name, which) in lines.items():
        sums = {n: found[name, n][which] for n in processes}
        grown[line] = growth(sums, cache_bytes) if len(processes) > 1 else float("nan")
        rows.append([line, *(f"{sums[n] / 1e6:,.0f}" for n in processes), f"{grown[line]:.1%}"])
    header = ["sum of PSS [MB], processes:", *map(str, processes), "each further, of the cache"]
    return table(header, rows), grown


# The benchmark.


def tell_starts(found: Starts) -> None:
    print(table_of_starts(found))
    ours = {n: [one[0][""] for one in found[OURS, n]] for name, n in found if name == OURS}
    for n, seconds in ours.items():
        theirs = [one[0][""] for one in found[COPIES, n]]
        print(f"\n{n} thread{'s' * (n > 1)}: {COPIES} takes {spread(ratios(theirs, seconds))} times as long.")
    worst = max(median(seconds) for seconds in ours.values())
    print(f"\nTarget < {TARGET_S} s: {met(worst < TARGET_S)} ({worst:.3f} s)\n", flush=True)


def tell_memory(cache: Path, processes: Sequence[int]) -> None:
    size = (cache / "features.npy").stat().st_size
    text, grown = table_of_memory(shared(cache, processes), size)
    print(text)
    (mapping, of_mapping), (_, of_all), _ = grown.items()
    print(
        f"\nTarget < {TARGET_SHARED:.0%} of the cache ({size / 1e6:,.0f} MB) for each further trial: "
        f"{met(of_mapping < TARGET_SHARED)} ({mapping}: {of_mapping:.1%}; all: {of_all:.1%})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    options = parser.parse_args()
    print(
        f"## Opening\n\nA warm cache of {options.clips:,} clips of {N_BANDS} × {N_FRAMES} float32, "
        f"EfficientNet-B0 of full size on {exact_device()}. `{OURS}`: opening the cache and `run_trial`, "
        f"until the network is first called, after all imports. `{COPIES}`: a script that reads the "
        f"features whole and takes a batch of {BATCH} to the same network. Median (least to most) of "
        f"{options.rounds} fresh processes.\n",
        flush=True,
    )
    with TemporaryDirectory(prefix="opening-") as temporary:
        folder = Path(temporary)
        cache = written(folder, options.clips)
        tell_starts(starts(cache, folder, options.threads, options.rounds))
        if sys.platform == "linux":
            tell_memory(cache, options.processes)
        else:
            print("Proportional set sizes: not measured, for there is no /proc/PID/smaps.")


if __name__ == "__main__":
    main()
