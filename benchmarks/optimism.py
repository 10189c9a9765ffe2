"""How near the corrected Ω comes to the truth, and the naive one, on synthetic trials of known skill.

    python -m benchmarks.optimism                # the table of docs/results/ensembles.md
    python -m benchmarks.optimism --searches 10  # quicker

A trial's score of a clip is noise that all trials share, noise of its own (as much), and its skill on an
anomalous clip. The truth is the Ω of what the labels chose, on 4,000 clips a class and cell.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from statistics import fmean

import numpy as np
from benchmarks.coverage import drawn
from numpy.typing import NDArray

from oddsound.ensemble.optimism import Candidate, estimate_optimism
from oddsound.scoring.curves import omegas
from oddsound.scoring.omega import terms
from oddsound.scoring.table import ScoreTable

CELLS, FRESH, K = 4, 4000, 5
SETTINGS = (
    ("60 trials of chance", 60, 25, 0.0, 0.0),
    ("60 trials of chance", 60, 100, 0.0, 0.0),
    ("60 nearly alike", 60, 100, 0.1, 0.8),
    ("60 unlike", 60, 100, 0.3, 0.8),
    ("200 unlike", 200, 100, 0.2, 1.0),
    ("20 unlike, few clips", 20, 40, 0.2, 1.0),
)
"""Name, trials, clips a class and cell, standard deviation and mean of the skills."""


def of_trials(skills: NDArray[np.float64], n: int, random: np.random.Generator) -> list[ScoreTable]:
    clips = drawn([0.0] * CELLS, n, random)
    shared = random.normal(size=len(clips))
    return [
        replace(clips, score=(shared + random.normal(size=len(clips))) / 2**0.5 + skill * (clips.label == 1))
        for skill in skills
    ]


def omegas_of(tables: list[ScoreTable]) -> NDArray[np.float64]:
    """(trials,): Ω of each."""
    first = tables[0]
    found = terms(first.section, first.domain, first.label, first.rules)
    return omegas(np.stack([table.score for table in tables]), found)


def measured(n_trials: int, n: int, spread: float, mean: float, n_searches: int) -> dict[str, list[float]]:
    """By fusion and kind the differences to the truth in points, one a search."""
    differences: dict[str, list[float]] = {}
    for seed in range(n_searches):
        random = np.random.default_rng(seed)
        skills = mean + spread * random.normal(size=n_trials)
        tables = of_trials(skills, n, random)
        order = np.argsort(-omegas_of(tables), kind="stable")[:K]
        fresh = of_trials(skills[order], FRESH, random)
        candidates = {"fan": [Candidate(table) for table in tables]}
        found = estimate_optimism(candidates, ["best", "mean"], K, 10, seed, fallback=False)
        for fusion, chosen in (("best", fresh[:1]), ("mean", fresh)):
            fused = np.mean([table.score for table in chosen], axis=0)
            truth = omegas_of([replace(fresh[0], score=fused)])[0]
            for kind in ("naive", "corrected"):
                figure = getattr(found[fusion].mean, kind)
                differences.setdefault(f"{fusion}, {kind}", []).append(100 * (figure - truth))
    return differences


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--searches", type=int, default=40)
    options = parser.parse_args()
    begun = time.perf_counter()
    heads = ["best, naive", "best, corrected", "mean, naive", "mean, corrected"]
    print(f"| search | clips a class and cell | {' | '.join(heads)} |")
    print(f"| --- | ---: | {' | '.join(['---:'] * len(heads))} |")
    for name, n_trials, n, spread, mean in SETTINGS:
        found = measured(n_trials, n, spread, mean, options.searches)
        shown = [f"{fmean(found[head]):+.1f} ({fmean(np.square(found[head])) ** 0.5:.1f})" for head in heads]
        print(f"| {name} | {n} | {' | '.join(shown)} |", flush=True)
    print(
        f"\nmean difference to the truth in points of omega (root mean square) over {options.searches} "
        f"searches: {time.perf_counter() - begun:.0f} s"
    )


if __name__ == "__main__":
    main()
