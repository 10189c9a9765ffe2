"""How often the 95 % interval of Ω holds the true Ω, on synthetic scores whose AUC and pAUC are known.

    python benchmarks/coverage.py                    # the table of docs/results/ensembles.md
    python benchmarks/coverage.py --data-sets 200    # quicker

A cell's normal clips score N(0, 1) and its anomalous ones N(d, 1), so that AUC = Φ(d/√2) and the partial
area up to a false positive rate of 0.1 is an integral of Φ(d + Φ⁻¹(f)).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import numpy as np
from scipy.integrate import quad
from scipy.stats import norm

from oddsound.scoring.bootstrap import bootstrap
from oddsound.scoring.omega import harmonic_mean
from oddsound.scoring.table import ANOMALY, NORMAL, ScoreTable

MAX_FPR = 0.1


def true_omega(skills: Sequence[float]) -> float:
    """Of one cell a skill d, the distance between the classes in standard deviations."""
    return harmonic_mean(value for skill in skills for value in true_values(skill))


def true_values(skill: float) -> tuple[float, float]:
    """AUC and McClish's pAUC of two normal distributions."""
    area = quad(lambda f: norm.cdf(skill + norm.ppf(f)), 0, MAX_FPR)[0]
    least = MAX_FPR**2 / 2
    return float(norm.cdf(skill / 2**0.5)), 0.5 * (1 + (area - least) / (MAX_FPR - least))


def drawn(skills: Sequence[float], n: int, random: np.random.Generator) -> ScoreTable:
    """`n` normal and `n` anomalous clips of each cell; cells are sections 00, 01, … in two domains."""
    rows = [
        (f"{place // 2:02d}", ("source", "target")[place % 2], label, skill * (label == ANOMALY), i)
        for place, skill in enumerate(skills)
        for label in (NORMAL, ANOMALY)
        for i in range(n)
    ]
    section, domain, label, shift, number = zip(*rows, strict=True)
    return ScoreTable(
        machine="fan",
        classes=(),
        file=np.array(
            [f"{s}_{d}_{y}_{i}" for s, d, y, i in zip(section, domain, label, number, strict=True)]
        ),
        section=np.array(section),
        domain=np.array(domain),
        split=np.full(len(rows), "test"),
        label=np.array(label, dtype=np.int8),
        score=random.normal(size=len(rows)) + np.array(shift),
        probabilities=np.zeros((len(rows), 1, 0)),
    )


def coverage(
    skills: Sequence[float], n: int, n_data_sets: int, n_resamples: int, seed: int = 0
) -> dict[str, float]:
    """The share of data sets whose interval holds the true Ω, and in which it lies below or above."""
    random, truth = np.random.default_rng(seed), true_omega(skills)
    intervals = [
        bootstrap({"fan": drawn(skills, n, random)}, n_resamples, seed=k).machines["fan"]
        for k in range(n_data_sets)
    ]
    below, above = (
        float(np.mean([truth < i.lower for i in intervals])),
        float(np.mean([truth > i.upper for i in intervals])),
    )
    width = float(np.mean([i.upper - i.lower for i in intervals]))
    return {"truth": truth, "holds": 1 - below - above, "below": below, "above": above, "width": width}


SETTINGS: tuple[tuple[str, tuple[float, ...]], ...] = (
    ("chance", (0.0,) * 6),
    ("as the baselines", (0.3,) * 6),
    ("alike", (1.0,) * 6),
    ("unlike", (2.0, 1.5, 1.0, 0.8, 0.5, 0.2)),
    ("good", (2.0,) * 6),
    ("nearly perfect", (3.0,) * 6),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-sets", type=int, default=500)
    parser.add_argument("--resamples", type=int, default=500)
    options = parser.parse_args()
    print("| cells | clips a class | true omega [%] | holds [%] | truth below | above | width [points] |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    begun = time.perf_counter()
    for n in (100, 50, 20):
        for name, skills in SETTINGS:
            found = coverage(skills, n, options.data_sets, options.resamples)
            figures = [100 * found[key] for key in ("truth", "holds", "below", "above", "width")]
            print(f"| {name} | {n} | " + " | ".join(f"{figure:.1f}" for figure in figures) + " |", flush=True)
    print(
        f"\n{options.data_sets} data sets of {options.resamples} resamples each: "
        f"{time.perf_counter() - begun:.0f} s"
    )


if __name__ == "__main__":
    main()
