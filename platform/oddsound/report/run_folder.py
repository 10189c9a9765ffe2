"""What a run's folder holds, trial by trial: also of a run that is half done, or damaged."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeGuard

from oddsound.config import TrialConfig, flattened
from oddsound.errors import BundleError, ConfigError, ScoreError
from oddsound.scoring.table import ScoreTable
from oddsound.search.importance import recorded_dimensions
from oddsound.search.record import RunRecord
from oddsound.search.space_yaml import Dimension
from oddsound.training.bundle import Bundle, TrialResult, bundles

State = Literal["done", "stopped", "failed", "unfinished", "damaged", "other recordings"]
STATES: tuple[State, ...] = ("done", "stopped", "failed", "unfinished", "damaged", "other recordings")
_ATTEMPT = re.compile(r"^\S+ attempt on (.+), process \d+$", re.MULTILINE)
_LOG_BYTES = 1 << 20


@dataclass(frozen=True)
class Trial:
    """One bundle: `omega` is a finished trial's, or a stopped one's when it was stopped; `reason` says why
    it has none, or no more."""

    bundle: Bundle
    state: State
    config: TrialConfig | None = None
    result: TrialResult | None = None
    number: int | None = None
    omega: float | None = None
    reason: str = ""

    @property
    def identity(self) -> str:
        return self.bundle.path.name

    @property
    def title(self) -> str:
        return self.identity if self.number is None else f"trial {self.number}"

    @property
    def hosts(self) -> list[str]:
        """Where it was tried, as its log has it."""
        try:
            with self.bundle.log.open("rb") as stream:
                log = stream.read(_LOG_BYTES).decode(errors="backslashreplace")
        except OSError:
            return []
        return _ATTEMPT.findall(log)

    def gpu_memory_mb(self) -> list[float]:
        """By epoch the most that was taken of a GPU, in 10^6 bytes; none where it had none."""
        try:
            peaks = [entry.get("peak_gpu_memory_mb") for entry in self.bundle.history()]
        except BundleError:
            return []
        return [float(peak) for peak in peaks if is_number(peak)]


@dataclass(frozen=True)
class MachineRun:
    """A machine type's part of a run. `begun`: what its search was begun with; `trials` by number."""

    machine: str
    begun: dict[str, Any]
    wanted: int
    trials: tuple[Trial, ...]

    @property
    def done(self) -> list[Trial]:
        """The finished ones on the run's recordings."""
        return self.of("done")

    def of(self, state: State) -> list[Trial]:
        return [trial for trial in self.trials if trial.state == state]

    @property
    def missing(self) -> int:
        """How many are still to end, as `oddsound status` counts them: what failed is tried again."""
        return max(0, (self.wanted or len(self.trials)) - len(self.done) - len(self.of("stopped")))

    @property
    def best(self) -> Trial | None:
        """As everywhere: the highest Ω, ties to the lower identity."""
        return min(self.done, key=lambda trial: (-(trial.omega or 0.0), trial.identity), default=None)

    @cached_property
    def dimensions(self) -> dict[str, Dimension]:
        """The searched settings; none where the trials are listed, or run.json is of before."""
        space = self.begun.get("space")
        if not isinstance(space, dict):
            return {}
        try:
            return recorded_dimensions(space)
        except ConfigError:
            return {}

    def settings(self, trial: Trial) -> dict[str, Any]:
        """The searched settings' values of a trial, whatever became of it; none where its config is lost."""
        settings = flattened(trial.config.model_dump()) if trial.config else {}
        return {name: settings[name] for name in self.dimensions if name in settings}

    def points(self) -> list[tuple[Trial, dict[str, Any]]]:
        """The finished trials that lie in the space, each with its searched settings' values."""
        return [(trial, values) for trial in self.done if self._is_inside(values := self.settings(trial))]

    def _is_inside(self, values: dict[str, Any]) -> bool:
        return bool(values) and all(_inside(each, values.get(name)) for name, each in self.dimensions.items())


def read_machines(run: Path, record: RunRecord, machines: Sequence[str]) -> list[MachineRun]:
    """In the order of `machines`, which are of the record."""
    return [_machine(run, record, machine) for machine in machines]


def best_scores(of: MachineRun) -> tuple[Trial, ScoreTable] | str:
    """The best trial and its scores, or why there are none."""
    if (best := of.best) is None:
        return "no trial has finished yet"
    try:
        return best, best.bundle.scores()
    except ScoreError as error:
        return str(error)


def set_aside(run: Path) -> list[str]:
    """The names of what a search found damaged and put away."""
    folder = run / "set_aside"
    try:
        return sorted(path.relative_to(folder).as_posix() for path in folder.glob("*/*")) if folder else []
    except OSError:
        return []


def _machine(run: Path, record: RunRecord, machine: str) -> MachineRun:
    begun = record.machines[machine]
    found = [_trial(bundle, str(begun.get("data", ""))) for bundle in _bundles(run / "trials", machine)]
    order = {state: place for place, state in enumerate(STATES)}
    found.sort(key=lambda t: (math.inf if t.number is None else t.number, order[t.state], t.identity))
    return MachineRun(machine, begun, record.wanted.get(machine, 0), tuple(found))


def _bundles(trials: Path, machine: str) -> Iterator[Bundle]:
    try:
        yield from bundles(trials, machine)
    except OSError:  # a search that runs moves folders
        return


def _trial(bundle: Bundle, digest: str) -> Trial:
    try:
        config = bundle.config()
    except BundleError as error:
        return Trial(bundle, "damaged", reason=_said(error, bundle))
    try:
        if bundle.is_whole:
            return _finished(bundle, config, digest)
        if bundle.is_stopped:
            return _stopped(bundle, config, digest)
    except (BundleError, TypeError, ValueError, KeyError) as error:
        return Trial(bundle, "damaged", config, reason=_said(error, bundle))
    if reason := bundle.failure():
        return Trial(bundle, "failed", config, reason=reason)
    return Trial(bundle, "unfinished", config, reason=_far(bundle, config))


def _said(error: Exception, bundle: Bundle) -> str:
    """With paths of the run's folder, wherever that is."""
    return str(error).replace(f"{bundle.path.parents[2]}/", "") or type(error).__name__


def _finished(bundle: Bundle, config: TrialConfig, digest: str) -> Trial:
    result = bundle.result()
    if not _is_whole(result):
        raise BundleError(
            f"{bundle.path}/result.json: not a trial's result, a figure is none; remove the folder"
        )
    state: State = "done" if not digest or result.data_digest == digest else "other recordings"
    return Trial(bundle, state, config, result, result.number, float(result.omega))


def _is_whole(result: TrialResult) -> bool:
    """Whether its numbers are numbers, and each Ω a fraction."""
    metrics, omegas = result.metrics, ("omega", "omega_last", "omega_best_dev")
    return (
        all(map(math.isfinite, (result.seconds, *metrics.values())))
        and "omega" in metrics
        and all(0 <= metrics[name] <= 1 for name in omegas if name in metrics)
    )


def is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _stopped(bundle: Bundle, config: TrialConfig, digest: str) -> Trial:
    stop, seen = bundle.stop(), bundle.seen()
    state: State = "stopped" if not (digest and seen) or seen == digest else "other recordings"
    why = f"given up after epoch {stop.epoch} of {config.training.epochs}, at the rung of epoch {stop.rung}"
    if not math.isfinite(stop.omega):
        raise BundleError(
            f"{bundle.path}/stopped.json: not a trial's stop, a figure is none; remove the folder"
        )
    return Trial(bundle, state, config, number=int(stop.number), omega=float(stop.omega), reason=why)


def _far(bundle: Bundle, config: TrialConfig) -> str:
    try:
        epoch = len(bundle.history())
    except BundleError:
        epoch = 0
    return f"begun, {epoch} of {config.training.epochs} epochs so far"


def _inside(dimension: Dimension, value: Any) -> bool:
    if dimension.choices is not None:
        return value in dimension.choices
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    assert dimension.low is not None and dimension.high is not None
    return bool(dimension.low <= value <= dimension.high)
