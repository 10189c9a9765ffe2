"""What it takes to fuse the trials of a whole challenge, and to say how sure the systems are.

    python benchmarks/ensembles.py                          # the table of docs/results/ensembles.md
    python benchmarks/ensembles.py --evaluation             # with sections 03-05, which the packages are of
    python benchmarks/ensembles.py --trials 20 --repeat 1   # quicker

Seven machine types of 200 trials each, as bundles' scores.npz on disk: 3,009 training clips and 1,200
labelled test clips (3 sections, 2 domains, 100 a class), of shared and own noise and a skill of each trial.
--evaluation: six classes, 6,018 training clips, and 1,200 evaluation clips without labels besides.
How the trials rank is known beforehand, as MLflow knows it (docs/results/tracking.md has what that takes).
What is timed is what `oddsound ensemble`, `submit` and `compare` call. Table on stdout, talk on stderr.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from oddsound.cli.choosing import Candidate, lean
from oddsound.ensemble import optimism
from oddsound.ensemble.fusions import FUSIONS
from oddsound.ensemble.optimism import estimate_optimism
from oddsound.ensemble.systems import (
    PAPER_FUSIONS,
    TOP_K,
    Member,
    System,
    all_fusions,
    build_systems,
)
from oddsound.scoring.anomaly import anomaly_score, softmax
from oddsound.scoring.bootstrap import N_RESAMPLES, bootstrap, paired
from oddsound.scoring.curves import omegas
from oddsound.scoring.omega import terms
from oddsound.scoring.table import ANOMALY, NORMAL, UNKNOWN, ScoreTable, Shared
from oddsound.submission.package import write_submission
from oddsound.training.bundle import Bundle

MACHINES = ("fan", "gearbox", "pump", "slider", "valve", "ToyCar", "ToyTrain")
SECTIONS, EVALUATION, DOMAINS = ("00", "01", "02"), ("03", "04", "05"), ("source", "target")
N_TRAIN, N_TEST = {"source": 1000, "target": 3}, 100
CONFIG: dict[str, Any] = {
    "features": {"sample_rate": 16_000, "median_frames": 0},
    "augment": {"mixup_alpha": 0.0, "time_mask_frames": 31, "time_shift": 0.15},
    "model": {"backbone": "efficientnet_b0", "pretrained": "none"},
    "loss": {"contrastive_weight": 1.0},
    "training": {"target_share": 0.2},
}
Result = TypeVar("Result")
Seconds = NDArray[np.float64]


# The trials.


def clips(evaluation: Sequence[str]) -> tuple[NDArray[Any], ...]:
    """file, section, domain, split and label of a machine type's clips, those of the sections `evaluation`
    with their test clips' labels hidden."""
    rows = [
        (f"section_{s}_{d}_train_normal_{i:04d}_strength_1_ambient.wav", s, d, "train", NORMAL)
        for s in (*SECTIONS, *evaluation)
        for d in DOMAINS
        for i in range(N_TRAIN[d])
    ]
    rows += [
        (f"section_{s}_{d}_test_{word}_{i:04d}.wav", s, d, "test", label)
        for s in SECTIONS
        for d in DOMAINS
        for label, word in ((NORMAL, "normal"), (ANOMALY, "anomaly"))
        for i in range(N_TEST)
    ]
    rows += [
        (f"section_{s}_{d}_test_{i:04d}.wav", s, d, "test", UNKNOWN)
        for s in evaluation
        for d in DOMAINS
        for i in range(2 * N_TEST)
    ]
    return tuple(np.array(column) for column in zip(*rows, strict=True))


def written(folder: Path, machine: str, n_trials: int, evaluation: Sequence[str] = ()) -> dict[str, float]:
    """A bundle a trial below `folder`, and by trial its Ω."""
    random = np.random.default_rng(MACHINES.index(machine))
    file, section, domain, split, label = clips(evaluation)
    sections = (*SECTIONS, *evaluation)
    own = np.array([sections.index(s) for s in section])
    shared = random.normal(size=(len(file), 1, len(sections)))
    found = {}
    for number in range(n_trials):
        logits = (shared + random.normal(size=shared.shape)) / 2**0.5
        logits[np.arange(len(file)), 0, own] += 3 - (0.3 + 0.3 * random.normal()) * (label == ANOMALY)
        table = ScoreTable(
            machine,
            sections,
            file,
            section,
            domain,
            split,
            label.astype(np.int8),
            anomaly_score(logits, own),
            softmax(logits),
        )
        bundle = Bundle(folder / machine / f"{number:016x}")
        bundle.path.mkdir(parents=True)
        table.save(bundle.scores_path)
        test = table.labelled()
        of = terms(test.section, test.domain, test.label, test.rules)
        found[bundle.path.name] = float(omegas(test.score[None], of)[0])
    return found


def read(folder: Path, machine: str, known: Mapping[str, float], k: int | None = None) -> list[Member]:
    """The best `k`, all for None, as `oddsound submit` reads and holds them."""
    ranked = sorted(known, key=lambda trial: (-known[trial], trial))[:k]
    shared: Shared = {}
    made = [_candidate(Bundle(folder / machine / trial), known[trial], shared) for trial in ranked]
    return [(c if place < TOP_K else lean(c)).member for place, c in enumerate(made)]


def _candidate(bundle: Bundle, omega: float, shared: Shared) -> Candidate:
    member = Member(bundle.path.name, omega, 4_200_000, CONFIG, bundle.scores(shared), "0" * 64)
    return Candidate(None, member, bundle)  # type: ignore[arg-type]  # what MLflow says isn't looked at


# What is measured.


class Clock:
    """Wall and CPU seconds of each step, (turns, 2); what a step does several times in a turn is added up."""

    def __init__(self) -> None:
        self.turns: list[dict[str, Seconds]] = []

    def __call__(self, step: str, work: Callable[[], Result]) -> Result:
        begun = self._now()
        result = work()
        known = self.turns[-1].get(step, np.zeros(2))
        self.turns[-1][step] = known + self._now() - begun
        return result

    def of(self, steps: Sequence[str]) -> Seconds:
        return np.array([sum(turn[step] for step in steps) for turn in self.turns])

    @staticmethod
    def _now() -> Seconds:
        return np.array([time.perf_counter(), time.process_time()])


def turn(folder: Path, known: Mapping[str, Mapping[str, float]], clock: Clock, splits: int) -> None:
    """Everything once. Tables of all trials are held for one machine type after the other."""
    top = clock("read", lambda: {m: read(folder, m, of, TOP_K) for m, of in known.items()})
    systems = clock("build", lambda: build_systems(top))
    with TemporaryDirectory() as out:
        package = clock("write", lambda: write_submission(systems, Path(out)))
        assert len(package.archives) == len(systems) == 4
        assert package.n_clips == len(known) * 4 * len(SECTIONS) * N_TEST
    for machine, of in known.items():
        members = clock("read all", partial(read, folder, machine, of))
        fused = clock("fuse", partial(all_fusions, members))
        assert list(fused) == list(FUSIONS)
        candidates = {machine: [optimism.Candidate(member.table) for member in members]}
        clock("optimism", partial(estimate_optimism, candidates, PAPER_FUSIONS, TOP_K, splits))
    first, last = (tables_of(systems[place]) for place in (0, -1))
    clock("bootstrap", lambda: bootstrap(first, N_RESAMPLES))
    clock("paired", lambda: paired(first, last, N_RESAMPLES))


def tables_of(system: System) -> dict[str, ScoreTable]:
    return {machine: of.table for machine, of in system.machines.items()}


def rows(n_trials: int, splits: int) -> dict[str, tuple[str, ...]]:
    """What each line of the table adds up."""
    n = len(MACHINES)
    return {
        f"read the {n * TOP_K} tables of the top five": ("read",),
        "build S1-S4": ("build",),
        "write the four packages": ("write",),
        "**S1-S4 from disk to packages**": ("read", "build", "write"),
        f"read all {n * n_trials:,} tables": ("read all",),
        f"all {len(FUSIONS)} fusions of {n_trials} trials a machine type": ("fuse",),
        "**top five, all fusions, S1-S4, packages; tables in memory**": ("fuse", "build", "write"),
        "**the same, all tables read from disk**": ("read all", "fuse", "build", "write"),
        f"**bootstrap of a system, {N_RESAMPLES:,} resamples**": ("bootstrap",),
        f"**two systems compared, {N_RESAMPLES:,} resamples**": ("paired",),
        f"optimism of the paper's four fusions, {splits} splits, {n_trials} trials": ("optimism",),
    }


def talk(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=200, help="of each machine type")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--evaluation", action="store_true", help="with sections 03 to 05, labels hidden")
    parser.add_argument("--splits", type=int, default=25)
    options = parser.parse_args()
    clock = Clock()
    with TemporaryDirectory(prefix="ensembles-") as temporary:
        begun, folder = time.perf_counter(), Path(temporary)
        hidden = EVALUATION if options.evaluation else ()
        known = {machine: written(folder, machine, options.trials, hidden) for machine in MACHINES}
        talk(f"{len(MACHINES) * options.trials} tables written: {time.perf_counter() - begun:.0f} s")
        for number in range(options.repeat):
            clock.turns.append({})
            load = os.getloadavg()[0]
            turn(folder, known, clock, options.splits)
            talk(f"turn {number + 1} of {options.repeat}, load {load:.1f} to {os.getloadavg()[0]:.1f}")
    print("| step | seconds, median (least to most) | of a processor |\n| --- | ---: | ---: |")
    for name, steps in rows(options.trials, options.splits).items():
        wall, busy = clock.of(steps).T
        spread = f"{np.median(wall):.2f} ({wall.min():.2f} to {wall.max():.2f})"
        print(f"| {name} | {spread} | {np.median(busy):.2f} |")


if __name__ == "__main__":
    main()
