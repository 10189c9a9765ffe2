"""How long the workers of a search that has ended were in no trial."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Idle:
    """What two or more workers did while several machine types were searched at once."""

    n_trials: int
    workers: int
    idle: float
    """The part of the workers' time, from the first trial's begin to the last one's end, in no trial."""
    longest_gap_s: float
    """Between two trials of one worker, as far as it can be told from their times alone."""
    at_half_time: dict[str, int]
    """By machine type, how many of its trials had ended by then."""


def idle(trials: Path, machines: Sequence[str]) -> Idle:
    """What the bundles of a search that has ended say of its workers."""
    from oddsound.training.bundle import finished

    spans = {
        machine: [
            (epoch["begin"], epoch["end"])
            for bundle in finished(trials, machine)
            for epoch in bundle.history()
        ]
        for machine in machines
    }
    every = sorted(span for of_one in spans.values() for span in of_one)
    begin, end = every[0][0], max(last for _, last in every)
    workers, half = os.cpu_count() or 1, (begin + end) / 2
    return Idle(
        len(every),
        workers,
        1 - sum(last - first for first, last in every) / (workers * (end - begin)),
        max(gaps(every, workers), default=0.0),
        {machine: sum(last <= half for _, last in of_one) for machine, of_one in spans.items()},
    )


def gaps(spans: Sequence[tuple[float, float]], workers: int) -> list[float]:
    """A trial takes the place of the one that ended first."""
    free: list[float] = []
    found = []
    for first, last in sorted(spans):
        if len(free) == workers:
            found.append(first - free.pop(0))
        free = sorted([*free, last])
    return found
