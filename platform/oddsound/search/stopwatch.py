"""How fast a search goes, by what its driver hears of it: the time left, by `eta` as `oddsound status`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean

from oddsound.search.eta import Pace, etas


@dataclass
class _Running:
    since: float
    part: float = 0.0


@dataclass
class _Machine:
    """`missing`: trials to do, with those that run. `seconds`: what each finished one took."""

    missing: int
    did: int = 0
    seconds: list[float] = field(default_factory=list)
    running: dict[str, _Running] = field(default_factory=dict)

    def pace(self) -> Pace:
        parts = [trial.part for trial in self.running.values()]
        return Pace(
            did=self.did + sum(parts),
            left=max(0.0, self.missing - sum(parts)),
            least=1.0 - min(parts) if parts and self.missing <= len(parts) else 1.0,
            trial_s=fmean(self.seconds) if self.seconds else None,
        )


class Stopwatch:
    """`missing`: the trials that each machine type lacks. Times are seconds of one clock."""

    def __init__(self, missing: Mapping[str, int]) -> None:
        self._machines = {machine: _Machine(n) for machine, n in missing.items()}
        self._begun: float | None = None

    def starts(self, machine: str, trial: str, now: float) -> None:
        self._begun = now if self._begun is None else self._begun
        self._machines[machine].running.setdefault(trial, _Running(now))

    def reaches(self, machine: str, trial: str, part: float) -> None:
        """`part`: how far the trial is, from 0 to 1."""
        if trial in (running := self._machines[machine].running):
            running[trial].part = part

    def finishes(self, machine: str, trial: str, now: float) -> None:
        of = self._machines[machine]
        if trial in of.running:
            of.seconds.append(now - of.running[trial].since)
        self.is_stopped(machine, trial)

    def is_stopped(self, machine: str, trial: str) -> None:
        """It needs no more, early though it is: what it took is no measure of the others."""
        self._machines[machine].did += 1
        self.is_given_up(machine, trial)

    def is_given_up(self, machine: str, trial: str) -> None:
        self._machines[machine].missing -= 1
        self.starts_over(machine, trial)

    def starts_over(self, machine: str, trial: str) -> None:
        self._machines[machine].running.pop(trial, None)

    def left(self, now: float) -> dict[str, float | None]:
        """Seconds until each machine type is through; None until there is something to measure."""
        paces = {machine: of.pace() for machine, of in self._machines.items()}
        return etas(paces, 0.0 if self._begun is None else now - self._begun)
