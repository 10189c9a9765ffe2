"""How a search looks while it runs: a live table on a terminal, a line an event elsewhere."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType

from rich.live import Live
from rich.table import Table

from oddsound.cli.talking import console, is_quiet, warn
from oddsound.config import TrialConfig
from oddsound.training.bundle import Stop

_SILENCE_S = 60.0


@dataclass
class _Row:
    wanted: int
    done: int = 0
    running: int = 0
    failed: int = 0
    stopped: int = 0
    best: float | None = None


class Progress:
    """A listener of the search; `machines`: how many trials are wanted and finished already, and the
    best omega of those. Everything goes to stderr."""

    def __init__(self, machines: Mapping[str, tuple[int, int, float | None]]) -> None:
        self._rows = {name: _Row(wanted, done, best=best) for name, (wanted, done, best) in machines.items()}
        self._console = console()
        self._lock = threading.Lock()
        self._running: set[str] = set()
        self._begun = self._spoke = time.monotonic()
        self._live = Live(get_renderable=self._table, console=self._console, refresh_per_second=2)

    def __enter__(self) -> Progress:
        if self._console.is_terminal and not is_quiet():
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def started(self, config: TrialConfig, number: int) -> None:
        with self._lock:
            if config.identity not in self._running:
                self._running.add(config.identity)
                self._rows[config.machine].running += 1

    def epoch(self, config: TrialConfig, number: int, metrics: dict[str, float]) -> None:
        """A line a minute, so that a long trial isn't silent."""
        if time.monotonic() - self._spoke > _SILENCE_S:
            at = f"epoch {metrics['epoch']:.0f} of {config.training.epochs}"
            self._say(f"{_name(config, number)} {at}: omega {metrics['omega']:.2%}", config.machine)

    def finished(self, config: TrialConfig, number: int, omega: float) -> None:
        row = self._ended(config)
        row.done += 1
        row.best = omega if row.best is None else max(row.best, omega)
        self._say(f"{_name(config, number)} finished: omega {omega:.2%}", config.machine)

    def stopped(self, config: TrialConfig, number: int, stop: Stop) -> None:
        row = self._ended(config)
        row.done += 1
        row.stopped += 1
        self._say(f"{_name(config, number)} stopped at epoch {stop.epoch}: {stop.omega:.2%}", config.machine)

    def restarted(self, config: TrialConfig, number: int, reason: str) -> None:
        self._ended(config)
        self._say(f"{_name(config, number)} is started again: {reason}", config.machine, is_warning=True)

    def said(self, line: str) -> None:
        """A line. A pipe that nobody reads any more, or a full disk behind stderr, ends no search."""
        with contextlib.suppress(OSError):
            if self._console.is_terminal and not is_quiet():
                self._console.print(line, markup=False, highlight=False, soft_wrap=True)
            else:
                warn(line)

    def failed(self, config: TrialConfig, number: int, reason: str) -> None:
        row = self._ended(config)
        row.failed += 1
        self._say(f"{_name(config, number)} FAILED: {reason}", config.machine, is_warning=True)

    def _ended(self, config: TrialConfig) -> _Row:
        with self._lock:
            row = self._rows[config.machine]
            if config.identity in self._running:
                self._running.remove(config.identity)
                row.running -= 1
            return row

    def _say(self, what: str, machine: str, *, is_warning: bool = False) -> None:
        """Where the table doesn't."""
        self._spoke, row = time.monotonic(), self._rows[machine]
        if is_warning if is_quiet() else not self._console.is_terminal:
            best = "" if row.best is None else f", best {row.best:.2%}"
            failed = f", {row.failed} failed" if row.failed else ""
            self.said(f"{what} ({row.done}/{row.wanted}{failed}{best})")

    def _table(self) -> Table:
        table = Table(title=f"search, {time.monotonic() - self._begun:.0f} s", title_justify="left")
        table.add_column("machine")
        for name in ("done", "running", "stopped", "failed", "best omega"):
            table.add_column(name, justify="right")
        for name, row in self._rows.items():
            best = "-" if row.best is None else f"{row.best:.2%}"
            counts = [str(n or "-") for n in (row.running, row.stopped, row.failed)]
            table.add_row(name, f"{row.done}/{row.wanted}", *counts, best)
        return table


def _name(config: TrialConfig, number: int) -> str:
    recipe = f" ({config.recipe})" if config.recipe else ""
    return f"{config.machine} trial {number}{recipe}"
