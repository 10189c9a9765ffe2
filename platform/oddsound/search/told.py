"""What Tune tells the driver, put into the words of a search: for its listener, its signs and its bundles."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ray import tune

from oddsound.config import TrialConfig
from oddsound.errors import BundleError
from oddsound.search.driver import Signs
from oddsound.search.watchdog import last_words
from oddsound.search.worker import FAILED
from oddsound.training.bundle import Bundle, Stop


class Listener(Protocol):
    """Is told what happens, in the driver's process. It must neither raise nor block."""

    def started(self, config: TrialConfig, number: int) -> None: ...
    def epoch(self, config: TrialConfig, number: int, metrics: dict[str, float]) -> None: ...
    def restarted(self, config: TrialConfig, number: int, reason: str) -> None: ...
    def finished(self, config: TrialConfig, number: int, omega: float) -> None: ...
    def stopped(self, config: TrialConfig, number: int, stop: Stop) -> None: ...
    def failed(self, config: TrialConfig, number: int, reason: str) -> None: ...
    def said(self, line: str) -> None: ...


@dataclass
class Outcome:
    """How a search ended: (machine, trial, reason) of each failure; whether trials are still missing."""

    failures: list[tuple[str, str, str]] = field(default_factory=list)
    interrupted: bool = False


class Told(tune.Callback):  # type: ignore[misc]
    """Hands Tune's events to the listener. `stop_of`: where the search stopped a trial early, if it did."""

    def __init__(
        self,
        listener: Listener,
        signs: Signs | None,
        trials: Path,
        hang_s: float,
        stop_of: Callable[[str], Stop | None],
    ) -> None:
        self.failures: list[tuple[str, str, str]] = []
        self.n_ended = 0
        self._listener, self._signs, self._trials = listener, signs, trials
        self._hang_s, self._stop_of = hang_s, stop_of
        self._known: dict[str, tuple[TrialConfig, int]] = {}
        self._furthest: dict[str, int] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its callbacks for a restore that is never asked for here."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        config, number = self._what(trial)
        if self._signs:
            about = {"machine": config.machine, "number": number, "epochs": config.training.epochs}
            self._signs.runs(config.identity, epoch=0, **about)
        self._listener.started(config, number)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        # A callback may change a result. Tune would keep the settings in it, and statistics of their numbers.
        result.pop("config", None)
        if FAILED in result:
            return
        config, number = self._what(trial)
        epoch = int(result.get("epoch", 0))
        if epoch > self._furthest.get(config.identity, 0):
            # Retries are counted from the last epoch: on nodes that come and go a long trial dies often.
            trial.run_metadata.num_failures = 0
            self._furthest[config.identity] = epoch
        if self._signs:
            self._signs.runs(config.identity, epoch=epoch)
        self._listener.epoch(config, number, result)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        config, number = self._what(trial)
        self._over(config)
        self._listener.restarted(config, number, self._why_it_died(config, trial))

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        config, number = self._at_last(trial)
        self._over(config)
        bundle, last = self._bundle(config), trial.last_result or {}
        if bundle.is_whole:
            self._finished(config, number, bundle)
        elif FAILED in last:
            self._fail(config, number, last[FAILED])
        elif (stop := self._stop_of(trial.trial_id)) is not None:
            self._stopped(config, number, stop)
        elif last.get("epoch") == config.training.epochs:
            self._fail(config, number, f"no bundle in {bundle.path}: does every node see that storage?")
        # else it was ended early by an interrupt, and goes on when it is resumed

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        config, number = self._at_last(trial)
        self._over(config)
        self._fail(config, number, self._why_it_died(config, trial))

    def _finished(self, config: TrialConfig, number: int, bundle: Bundle) -> None:
        try:
            omega = bundle.result().omega
        except BundleError as error:  # somebody else's hand in the folder
            self._fail(config, number, str(error))
            return
        self.n_ended += 1
        self._listener.finished(config, number, omega)

    def _stopped(self, config: TrialConfig, number: int, stop: Stop) -> None:
        try:
            self._bundle(config).write_stop(stop)
        except OSError as error:
            self._fail(config, number, f"was stopped early, which can't be kept: {error}")
            return
        self.n_ended += 1
        self._listener.stopped(config, number, stop)

    def _fail(self, config: TrialConfig, number: int, reason: str) -> None:
        self.n_ended += 1
        self.failures.append((config.machine, config.identity, reason))
        with contextlib.suppress(OSError):  # on a full disk nobody but this search is told
            self._keep(config, reason)
        self._listener.failed(config, number, reason)

    def _keep(self, config: TrialConfig, reason: str) -> None:
        """What failed can be seen, and is tried again, also where it couldn't write that itself."""
        bundle = self._bundle(config)
        bundle.path.mkdir(parents=True, exist_ok=True)
        if not (bundle.path / "config.json").is_file():
            bundle.write("config.json", config.model_dump())
        bundle.write("failure.json", {"reason": reason})

    def _over(self, config: TrialConfig) -> None:
        if self._signs:
            self._signs.ended(config.identity)

    def _why_it_died(self, config: TrialConfig, trial: Any) -> str:
        """What its worker wrote last, and what Ray knows of its end."""
        words = last_words(self._bundle(config).log, self._hang_s)
        if words.startswith("hung"):
            return words
        ray_says = _last_line(trial.error_file) or "its worker died without a word"
        return f"{ray_says}; its last lines: {words}" if words else ray_says

    def _bundle(self, config: TrialConfig) -> Bundle:
        return Bundle(self._trials / config.machine / config.identity)

    def _what(self, trial: Any) -> tuple[TrialConfig, int]:
        if trial.trial_id not in self._known:
            self._known[trial.trial_id] = what(trial)
        return self._known[trial.trial_id]

    def _at_last(self, trial: Any) -> tuple[TrialConfig, int]:
        """The same of a trial that has ended, which is then forgotten, also by Tune: until the search ends
        it would keep statistics of each number that the trial reported, more than 1 KB for one."""
        config, number = self._what(trial)
        del self._known[trial.trial_id]
        for statistics in ("metric_analysis", "metric_n_steps"):
            getattr(trial.run_metadata, statistics, {}).clear()
        return config, number


def what(trial: Any) -> tuple[TrialConfig, int]:
    """The configuration and the number of one of Tune's trials."""
    return TrialConfig.model_validate(trial.config["trial"]), int(trial.config["number"])


def trial_name(trial: Any) -> str:
    config, number = what(trial)
    return f"{config.machine}-{number:03d}-{config.identity}"


_OF_A_DEATH = ("Worker exit type", "The node", "The actor died because", "The actor is dead because")


def _last_line(error_file: str | None) -> str:
    """What Tune knows of a trial that could not say itself why it ended."""
    if not error_file or not Path(error_file).is_file():
        return ""
    lines = [line.strip() for line in Path(error_file).read_text(errors="replace").splitlines()]
    lines = [line for line in lines if line]
    of_death = [line for line in lines if line.startswith(_OF_A_DEATH)]
    return (of_death or lines or [""])[-1]
