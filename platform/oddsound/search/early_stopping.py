"""Early stopping: Ray's asynchronous successive halving on omega per epoch, machine type by machine type.

Rungs outlive the driver: they are filled again from the histories of the bundles on disk. Ray's own
state is never read.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler

from oddsound.config import TrialConfig
from oddsound.errors import BundleError
from oddsound.training.bundle import Bundle, Stop
from oddsound.training.early_stops import Asha, Course, Savings, course_of, is_evaluated, savings

__all__ = ["Asha", "MachineSchedulers"]


@dataclass(frozen=True)
class _Entrant:
    """All that Ray's scheduler asks of a trial; its identity, which is the same after a resume."""

    trial_id: str


class MachineSchedulers(FIFOScheduler):  # type: ignore[misc]
    """One of Ray's schedulers for each machine type and length of a trial, which share no rungs.

    Trials run in the order in which they were suggested; `asha` None stops none of them. A result
    without a finite omega is passed by, and the last epoch of a trial is never a stop.
    """

    def __init__(self, asha: Asha | None = None) -> None:
        super().__init__()
        self.asha = asha
        self._ladders: dict[tuple[str, int], AsyncHyperBandScheduler] = {}
        self._courses: dict[str, dict[str, Course]] = {}
        self._untold: dict[str, Stop] = {}
        """By identity, of what was given up and may not have been told so."""
        self._stops: dict[str, Stop] = {}
        """By Ray's id of the trial."""

    def feed(self, found: Iterable[Bundle]) -> list[tuple[Bundle, Stop]]:
        """Fill the rungs with what these bundles reached: all of the run's, finished or not.

        Returns what was cut short at a rung that it doesn't pass, before it could be told so: these stops
        are for the caller to write, before studies are built, as if they had been told. Raises
        BundleError where a bundle can't be read.
        """
        each = sorted(found, key=_rank) if self.asha is not None else []
        return list(_numbered([(bundle, self._replay(bundle)) for bundle in each]))

    def stop_of(self, trial_id: str) -> Stop | None:
        """Where the trial that Ray calls `trial_id` was stopped early; None where it was not."""
        return self._stops.get(trial_id)

    def savings(self) -> dict[str, Savings]:
        """By machine type, of all trials known; those that still run count with what they trained so far."""
        if self.asha is None:
            return {}
        return {machine: savings(self.asha, known.values()) for machine, known in self._courses.items()}

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """A trial is new, or it is tried again after its worker died: what that one had reached and could
        not report is on disk."""
        if self.asha is not None:
            config = _config(trial)
            bundle = Bundle(Path(trial.config["trials"]) / config.machine / config.identity)
            with contextlib.suppress(BundleError):  # of one that is damaged the trial itself will speak
                if (bundle.path / "history.json").is_file():
                    self._replay(bundle)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        stop = self._stop(trial, result) if self.asha is not None and is_evaluated(result) else None
        if stop is None:
            return str(TrialScheduler.CONTINUE)
        self._stops[trial.trial_id] = stop
        return str(TrialScheduler.STOP)

    def _stop(self, trial: Any, result: dict[str, Any]) -> Stop | None:
        config, epoch = _config(trial), int(result["epoch"])
        course = self._course(config)
        untold = self._untold.pop(config.identity, None)
        rung = self._decide(config, epoch, result["omega"]) if untold is None else untold.rung
        course.trained, course.stop = epoch, None
        if rung is not None and epoch < config.training.epochs:
            number, omega = int(trial.config["number"]), course.reached[rung][1]
            course.stop = Stop(number=number, epoch=epoch, rung=rung, omega=omega)
        return course.stop

    def _decide(self, config: TrialConfig, epoch: int, omega: float) -> int | None:
        """The rung where Ray says that this epoch is the trial's last; None where it goes on."""
        rung = self._course(config).report(epoch, omega)
        if rung is None:
            return None
        entrant, ladder = _Entrant(config.identity), self._ladder(config)
        ladder.on_trial_add(None, entrant)
        said = ladder.on_trial_result(None, entrant, {"epoch": epoch, "omega": omega})
        return rung if said == TrialScheduler.STOP else None

    def _replay(self, bundle: Bundle) -> Stop | None:
        """Enter what the trial reached. Decisions that were made stand: it was stopped, or it went on.

        Only the last epoch of a trial that was cut short may never have been reported: the stop is
        returned, without a number, should that have been the end of it.
        """
        assert self.asha is not None
        config, course = bundle.config(), course_of(bundle, self.asha)
        for epoch, omega in course.reached.values():
            rung = self._decide(config, epoch, omega)
            if rung is not None and epoch == course.trained and _rank(bundle) == _CUT:
                self._untold[config.identity] = Stop(_NONE, epoch, rung, omega)
        known = self._course(config)
        known.trained = course.trained
        known.stop = self._untold.get(config.identity, course.stop)
        return self._untold.get(config.identity)

    def _course(self, config: TrialConfig) -> Course:
        assert self.asha is not None
        known = self._courses.setdefault(config.machine, {})
        return known.setdefault(config.identity, Course(self.asha, config.training.epochs))

    def _ladder(self, config: TrialConfig) -> AsyncHyperBandScheduler:
        assert self.asha is not None
        key = config.machine, config.training.epochs
        if key not in self._ladders:
            self._ladders[key] = AsyncHyperBandScheduler(
                time_attr="epoch",
                metric="omega",
                mode="max",
                max_t=config.training.epochs,
                grace_period=self.asha.grace_epochs,
                reduction_factor=self.asha.reduction,
                stop_last_trials=False,
            )
        return self._ladders[key]

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its scheduler for a restore that is never asked for here."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the bundles on disk are what a search goes on from."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: see `save`."""


_NONE = -1
_ENDED, _FAILED, _CUT = range(3)


def _rank(bundle: Bundle) -> int:
    """What was cut short comes last: it is compared with all that was there before it."""
    if bundle.is_whole or bundle.is_stopped:
        return _ENDED
    return _FAILED if bundle.failure() else _CUT


def _numbered(replayed: list[tuple[Bundle, Stop | None]]) -> Iterator[tuple[Bundle, Stop]]:
    """The stops, with the lowest numbers that no trial of the machine type has ended with: a resumed
    search gives its trials these."""
    taken = {(bundle.path.parent, _number(bundle)) for bundle, _ in replayed}
    for bundle, stop in replayed:
        if stop is not None:
            number = next(n for n in itertools.count() if (bundle.path.parent, n) not in taken)
            taken.add((bundle.path.parent, number))
            yield bundle, replace(stop, number=number)


def _number(bundle: Bundle) -> int:
    if bundle.is_whole:
        return bundle.result().number
    return bundle.stop().number if bundle.is_stopped else _NONE


def _config(trial: Any) -> TrialConfig:
    return TrialConfig.model_validate(trial.config["trial"])
