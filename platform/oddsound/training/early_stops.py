"""Which rungs a search's trials reached, who was stopped there, and what that saved: from bundles alone.

The rungs are those of asynchronous successive halving (Li et al. 2020, A System for Massively Parallel
Hyperparameter Tuning, algorithm 2) in its stopping form: a trial that reaches a rung goes on unless its
omega there is below the best 1/reduction of what reached the rung before it.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np

from oddsound.errors import BundleError, ConfigError
from oddsound.training.bundle import Bundle, Stop


@dataclass(frozen=True)
class Asha:
    """No trial is stopped before `grace_epochs`; of those that reach a rung about 1 in `reduction` goes on.

    The first of 300 epochs' rungs is where the learning rate is first halved: 30, then 90 and 270. The
    paper's η is `reduction`, its r `grace_epochs`. Raises ConfigError for values that no rungs have.
    """

    grace_epochs: int = 30
    reduction: float = 3.0

    def __post_init__(self) -> None:
        if self.grace_epochs < 1:
            raise ConfigError(f"early stopping: grace of {self.grace_epochs} epochs; give 1 or more")
        if not 1 < self.reduction < math.inf:
            raise ConfigError(f"early stopping: reduction {self.reduction:g}; give a number above 1, e.g. 3")

    def rungs(self, epochs: int) -> list[int]:
        """The first epoch of each rung of a trial of `epochs`, rising; its last epoch is none."""
        milestones = (math.ceil(self.grace_epochs * self.reduction**k) for k in itertools.count())
        return list(dict.fromkeys(itertools.takewhile(lambda milestone: milestone < epochs, milestones)))

    def cutoff(self, omegas: Iterable[float]) -> float | None:
        """What a trial must have at a rung that these reached before it; None where nobody did."""
        known = list(omegas)
        return float(np.percentile(known, 100 * (1 - 1 / self.reduction))) if known else None


@dataclass
class Course:
    """One trial's way through the rungs.

    `reached`: by rung, the first epoch reported there and its omega; later ones don't count.
    """

    asha: Asha
    epochs: int
    """That the trial has in full."""
    trained: int = 0
    reached: dict[int, tuple[int, float]] = field(default_factory=dict)
    stop: Stop | None = None

    def report(self, epoch: int, omega: float) -> int | None:
        """Take an evaluated epoch; the rung where it is the first to be reported, or None.

        Whoever skips a rung is compared at the next alone, as Ray's scheduler has it. The last epoch is
        not compared: there is nothing left to stop.
        """
        self.trained = max(self.trained, epoch)
        below = [rung for rung in self.asha.rungs(self.epochs) if rung <= epoch < self.epochs]
        if not below or below[-1] in self.reached:
            return None
        self.reached[below[-1]] = epoch, omega
        return below[-1]


def course_of(bundle: Bundle, asha: Asha) -> Course:
    """The bundle's trial so far, from its history; of a stopped one up to the rung that stopped it.

    Raises BundleError where a file of it is damaged.
    """
    course = Course(asha, bundle.config().training.epochs)
    course.stop = bundle.stop() if bundle.is_stopped else None
    history = bundle.history() if (bundle.path / "history.json").is_file() else []
    for entry in filter(is_evaluated, history):
        if course.stop is None or course.stop.rung not in course.reached:
            course.report(int(entry["epoch"]), float(entry["omega"]))
    course.trained = max((int(entry["epoch"]) for entry in history), default=0)
    if bundle.is_whole:
        course.trained = course.epochs
    elif course.stop is not None:
        course.trained = course.stop.epoch
    return course


def is_evaluated(entry: Mapping[str, Any]) -> bool:
    """Whether this epoch, of a history or reported, has an omega to compare."""
    values = entry.get("epoch"), entry.get("omega")
    return "failed" not in entry and all(isinstance(v, Real) and math.isfinite(v) for v in values)


@dataclass(frozen=True)
class Rung:
    """`cutoff`: what the next trial to reach `epoch` must have; None where nobody reached it."""

    epoch: int
    n_reached: int
    n_stopped: int
    cutoff: float | None


@dataclass(frozen=True)
class Savings:
    """What early stopping did for one machine type; `rungs` by the epochs of a full trial, for trials of
    different lengths share none."""

    n_trials: int
    n_stopped: int
    epochs_trained: int
    epochs_saved: int
    rungs: dict[int, list[Rung]]


def savings(asha: Asha, courses: Iterable[Course]) -> Savings:
    """The sum of these trials of one machine type."""
    each = list(courses)
    stopped = [(course, course.stop) for course in each if course.stop is not None]
    return Savings(
        n_trials=len(each),
        n_stopped=len(stopped),
        epochs_trained=sum(course.trained for course in each),
        epochs_saved=sum(course.epochs - stop.epoch for course, stop in stopped),
        rungs={n: _ladder(asha, n, each) for n in sorted({course.epochs for course in each})},
    )


def ended_savings(asha: Asha, found: Iterable[Bundle]) -> Savings:
    """Of the finished and the stopped trials among `found`: the same until another one ends.

    One that is damaged counts for nothing.
    """
    courses = []
    for bundle in found:
        with contextlib.suppress(BundleError):
            courses += [course_of(bundle, asha)] if bundle.is_whole or bundle.is_stopped else []
    return savings(asha, courses)


def _ladder(asha: Asha, epochs: int, courses: list[Course]) -> list[Rung]:
    alike = [course for course in courses if course.epochs == epochs]
    return [_rung(asha, epoch, alike) for epoch in asha.rungs(epochs)]


def _rung(asha: Asha, epoch: int, courses: list[Course]) -> Rung:
    omegas = [course.reached[epoch][1] for course in courses if epoch in course.reached]
    n_stopped = sum(course.stop is not None and course.stop.rung == epoch for course in courses)
    return Rung(epoch, len(omegas), n_stopped, asha.cutoff(omegas))
