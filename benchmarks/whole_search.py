"""A whole `oddsound search` against the same trials, one after another in a plain process.

    python -m benchmarks.whole_search                                              # two rounds
    python -m benchmarks.whole_search --machines fan --trials 3 --epochs 1 --rounds 1   # quicker

Synthetic machines of all seven types, a small network, every worker with one CPU; the features are cached
beforehand for all. The plain process reads the finished search's configurations and calls `run_trial` on
each: no Ray, no MLflow, no Optuna. When a trial began and ended is what its bundle's files say. Tables on
stdout, talk on stderr.
"""

from __future__ import annotations

import argparse
import gc
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.measure import in_turns, load, ratios, say, spread, table

ROOT = Path(__file__).resolve().parents[1]
TARGET_S, TARGET_RATIO = 0.5, 1.15
OURS, PLAIN = "oddsound search", "plain process"
SHOWN = 2000
"""Characters of what a process said that failed."""


# When trials began and ended.


@dataclass(frozen=True)
class Span:
    """A trial in its process; times in s since the epoch."""

    trial: str
    process: str
    began: float
    ended: float
    omega: float

    @property
    def seconds(self) -> float:
        return self.ended - self.began


def spans(trials: Path) -> list[Span]:
    """Of the whole bundles below the folder `trials`: from the configuration, their first file, to the
    result, their last. The process is the one that the trial's log names, if it has one."""
    from oddsound.training.bundle import Bundle

    found = []
    for result in trials.glob("*/*/result.json"):
        bundle = Bundle(result.parent)
        log = bundle.log.read_text() if bundle.log.is_file() else ""
        named = re.findall(r"process (\d+)$", log, re.MULTILINE)
        process = named[-1] if named else str(trials)
        began = (bundle.path / "config.json").stat().st_mtime
        found.append(Span(bundle.path.name, process, began, result.stat().st_mtime, bundle.result().omega))
    return sorted(found, key=lambda span: span.ended)


def pairs(ended: Sequence[Span]) -> list[tuple[Span, Span]]:
    """Each trial but the first of its process, behind the one before it."""
    of: dict[str, list[Span]] = {}
    for span in ended:
        of.setdefault(span.process, []).append(span)
    return [pair for each in of.values() for pair in pairwise(each)]


def overhead(ours: Sequence[Span], plain: Sequence[Span]) -> float:
    """Seconds a trial, see `MEANING`."""
    took, bare = ({now.trial: now.ended - before.ended for before, now in pairs(of)} for of in (ours, plain))
    both = took.keys() & bare.keys()
    return fmean(took[trial] - bare[trial] for trial in both) if both else math.nan


MEANING = (
    "Overhead of a trial: from the end of the one before it in the same process to its own end, less the "
    "same in the plain process (plain processes); the mean over the trials that are the first of no process."
)


# The contenders.


@dataclass(frozen=True)
class Told:
    """One contender, once: when it was started, when all of it had ended, and its trials."""

    started: float
    exited: float
    spans: list[Span]

    @property
    def parts(self) -> dict[str, float]:
        """Seconds."""
        first, last = min(span.began for span in self.spans), max(span.ended for span in self.spans)
        return {
            "total": self.exited - self.started,
            "to the first trial": first - self.started,
            "trials": last - first,
            "after the last": self.exited - last,
            "a trial": median(span.seconds for span in self.spans),
        }


@dataclass
class Bench:
    """`folder` holds the recordings, `settings` of every trial, features, and a folder for each search."""

    folder: Path
    given: argparse.Namespace
    told: dict[str, list[Told]] = field(default_factory=dict)

    @property
    def cache(self) -> Path:
        return self.folder / "features"

    @property
    def settings(self) -> Path:
        return self.folder / "small.yaml"

    @property
    def together(self) -> str:
        return f"{self.given.workers} plain processes at once"

    def contenders(self) -> dict[str, Callable[[], float]]:
        return {
            OURS: self.search,
            PLAIN: lambda: self.plain(PLAIN, 1),
            self.together: lambda: self.plain(self.together, self.given.workers),
        }

    def search(self) -> float:
        run = self.run(len(self.told.get(OURS, ())))
        line = self.line(run, self.given.trials, self.given.machines)
        return self._keep(OURS, [line], [run / "trials"], {})

    def plain(self, name: str, n: int) -> float:
        """The trials of the last search, shared out among `n` processes with its workers' environment."""
        from oddsound.search.cluster import WORKER_ENVIRONMENT

        run = self.run(len(self.told[OURS]) - 1)
        outs = [run / f"plain-{part}-of-{n}" for part in range(n)]
        line = [sys.executable, "-m", "benchmarks.whole_search", "--plain", str(run), str(self.cache)]
        lines = [[*line, str(out), str(part), str(n)] for part, out in enumerate(outs)]
        return self._keep(name, lines, outs, WORKER_ENVIRONMENT)

    def run(self, number: int) -> Path:
        return self.folder / f"run-{number}"

    def line(self, run: Path, trials: int, machines: Sequence[str]) -> list[str]:
        line = f"search {self.folder}/data --out {run} --cache {self.cache} --config {self.settings} "
        line += f"--trials {trials} --machines {','.join(machines)} --max-concurrent {self.given.workers}"
        return [str(Path(sys.executable).parent / "oddsound"), *line.split()]

    def _keep(self, name: str, lines: list[list[str]], trials: list[Path], around: dict[str, str]) -> float:
        started = time.time()
        finish(lines, self.folder, **around)
        one = Told(started, time.time(), [span for of in trials for span in spans(of)])
        n = self.given.trials * len(self.given.machines)
        if len(one.spans) != n:
            raise SystemExit(f"{name}: {len(one.spans)} of {n} trials")
        self.told.setdefault(name, []).append(one)
        say(", ".join(f"{part} {seconds:.1f} s" for part, seconds in one.parts.items()))
        return one.exited - one.started


def finish(lines: Sequence[Sequence[str]], folder: Path, **environment: str) -> None:
    """Start all of them at once and wait for the last."""
    around = os.environ | {"RAY_TMPDIR": str(folder)} | environment
    started: list[subprocess.Popen[bytes]] = []
    with (folder / "said").open("w+b") as said:
        streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": said, "stderr": said}
        try:
            started += (subprocess.Popen(line, cwd=ROOT, env=around, **streams) for line in lines)
            codes = [process.wait() for process in started]
        finally:
            for process in started:
                process.terminate()
                process.wait()
        said.seek(0)
        if any(codes):
            raise SystemExit(said.read().decode(errors="replace")[-SHOWN:])


def plain(run: Path, cache: Path, out: Path, part: int, n: int) -> None:
    """Every `n`-th trial of the search in `run`, one after another, as a script would do it."""
    import torch

    from oddsound.features.cache import cache_path
    from oddsound.training.bundle import Bundle
    from oddsound.training.data import MachineData
    from oddsound.training.trial import run_trial

    torch.set_num_threads(1)
    gc.freeze()  # as a search's worker does
    opened: dict[Path, MachineData] = {}
    for path in sorted((run / "trials").glob("*/*"))[part::n]:
        config, digest = Bundle(path).config(), Bundle(path).seen()
        features = cache_path(config.machine, digest, config.features, cache)
        if features not in opened:
            opened[features] = MachineData.open(features)
        run_trial(config, opened[features], lambda _: None, trials=out)
    if besides := {"ray", "mlflow", "optuna"} & sys.modules.keys():
        raise SystemExit(f"this is no plain process: it has imported {besides}")


# What all of them find.


def prepare(bench: Bench) -> None:
    """Recordings, settings and features; and a search of one trial, so that libraries and code have been
    read from disk once."""
    from oddsound.features.cache import build_cache
    from oddsound.recordings.index import index_folder
    from oddsound.recordings.synth import synthesise
    from oddsound.search.space import load_space

    given, settings = bench.given, settings_of(bench.given)
    bench.settings.write_text("".join(f"{name}: {value}\n" for name, value in settings.items()))
    clips = {"n_train_source": given.train, "n_test": given.test}
    data = bench.folder / "data"
    synthesise(data, seconds=given.seconds, machines=given.machines, evaluation=False, **clips)
    index = index_folder(data)
    for machine in index.machines:
        digest = index.digest(machine)
        for config in load_space(machine, [settings]).front_ends():
            build_cache(index.of(machine), digest, config.features, bench.cache)
    say("warm-up")
    finish([bench.line(bench.folder / "warm-up", 1, given.machines[:1])], bench.folder)


def settings_of(given: argparse.Namespace) -> dict[str, Any]:
    return {
        "model": {"pretrained": "none", "width": given.width, "depth": 0.3, "standardise": "per_machine"},
        "augment": {"time_mask_frames": 6},
        "training": {"epochs": given.epochs, "batch_size": 8},
    }


# The tables.


def tell(bench: Bench) -> None:
    given, told = bench.given, bench.told
    n = given.trials * len(given.machines)
    print("## A whole search\n")
    print(
        f"{len(given.machines)} machine types x {given.trials} trials of {given.epochs} epochs "
        f"(EfficientNet-B0 of width {given.width:g}), {given.workers} workers of one CPU, against the same "
        f"{n} trials one after another in a plain process without Ray, MLflow and Optuna, and in as many "
        "such processes at once as there are workers: they share memory and caches as workers do. All have "
        f"the workers' settings of glibc. {given.rounds} rounds in turn, seconds from each start, imports "
        f"and all ({load()}).\n"
    )
    print(seconds_table(told))
    print(f"\n{MEANING}\n")
    found = figures(bench)
    print(table(["", "measured"], [[name, spread(values)] for name, values in found.items()]))
    print(f"\nThe trials' omega: {'the same' if same(told) else 'NOT the same'} in all of them.")
    print(_met(f"{TARGET_RATIO:g} x plain / workers", found[RATIO], TARGET_RATIO))
    print(_met(f"{TARGET_S:g} s a trial after the first", found[OVERHEAD], TARGET_S))


RATIO, BOUND = "total x workers / total of the plain process", "total / total of plain processes at once"
OVERHEAD = "overhead of a trial, s, over plain processes at once"
ALONE = "overhead of a trial, s, over the plain process, which shares the machine with none"
GAP = "between two trials of a worker, s, median"


def figures(bench: Bench) -> dict[str, list[float]]:
    """Round by round."""
    ours, plain, at_once = (bench.told[name] for name in (OURS, PLAIN, bench.together))
    totals = {name: [one.parts["total"] for one in of] for name, of in bench.told.items()}
    shares = [total / bench.given.workers for total in totals[PLAIN]]
    return {
        RATIO: ratios(totals[OURS], shares),
        BOUND: ratios(totals[OURS], totals[bench.together]),
        OVERHEAD: [overhead(a.spans, b.spans) for a, b in zip(ours, at_once, strict=True)],
        ALONE: [overhead(a.spans, b.spans) for a, b in zip(ours, plain, strict=True)],
        GAP: [median(now.began - before.ended for before, now in pairs(a.spans)) for a in ours],
    }


def seconds_table(told: Mapping[str, Sequence[Told]]) -> str:
    names = list(told[OURS][0].parts)
    rows = [[who, *(spread([one.parts[name] for one in of]) for name in names)] for who, of in told.items()]
    return table(["", *names], rows)


def same(told: Mapping[str, Sequence[Told]]) -> bool:
    """Whether the trials of each round have the same scores' omega, whoever ran them."""
    turns = zip(*told.values(), strict=True)
    return all(len({frozenset((s.trial, s.omega) for s in one.spans) for one in turn}) == 1 for turn in turns)


def _met(what: str, values: Sequence[float], target: float) -> str:
    found = median(values)
    return f"Target {what}: {found:.3g}, {'met' if found <= target else 'not met'}."


def main() -> None:
    if sys.argv[1:2] == ["--plain"]:
        run, cache, out = map(Path, sys.argv[2:5])
        plain(run, cache, out, int(sys.argv[5]), int(sys.argv[6]))
        return
    given = parsed()
    # Ray's sockets want short paths.
    with TemporaryDirectory(prefix="ws", dir="/tmp") as folder:
        bench = Bench(Path(folder), given)
        prepare(bench)
        in_turns(bench.contenders(), given.rounds, warm_up=False)
        tell(bench)


def parsed() -> argparse.Namespace:
    machines = "fan,gearbox,pump,slider,valve,ToyCar,ToyTrain"
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--machines", type=lambda names: names.split(","), default=machines)
    parser.add_argument("--trials", type=int, default=6, help="of each machine type")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--width", type=float, default=0.15, help="of the network")
    parser.add_argument("--seconds", type=float, default=2.0, help="of a clip")
    parser.add_argument("--train", type=int, default=12, help="source training clips of a section")
    parser.add_argument("--test", type=int, default=6, help="test clips of a section, domain and class")
    return parser.parse_args()


if __name__ == "__main__":
    main()
