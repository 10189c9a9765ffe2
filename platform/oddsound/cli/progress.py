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

from oddsound.cli.columns import duration
from oddsound.cli.talking import console, is_quiet, warn
from oddsound.config import TrialConfig
from oddsound.search.stopwatch import Stopwatch
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


_COUNTS = ("wanted", "done", "running", "failed", "stopped")


class Progress:
    """A listener of the search; `machines`: how many trials are wanted and finished already, and the
    best omega of those; `paper`: the paper's best single model in %, where it has one. Everything goes to
    stderr."""

    def __init__(
        self,
        machines: Mapping[str, tuple[int, int, float | None]],
        paper: Mapping[str, float] | None = None,
    ) -> None:
        self._rows = {name: _Row(wanted, done, best=best) for name, (wanted, done, best) in machines.items()}
        self._paper = dict(paper or {})
        self._watch = Stopwatch({name: wanted - done for name, (wanted, done, _) in machines.items()})
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
                self._watch.starts(config.machine, config.identity, time.monotonic())

    def epoch(self, config: TrialConfig, number: int, metrics: dict[str, float]) -> None:
        """A line a minute, so that a long trial isn't silent."""
        with self._lock:
            part = min(1.0, metrics["epoch"] / config.training.epochs)
            self._watch.reaches(config.machine, config.identity, part)
        if time.monotonic() - self._spoke > _SILENCE_S:
            at = f"epoch {metrics['epoch']:.0f} of {config.training.epochs}"
            self._say(f"{_name(config, number)} {at}: omega {metrics['omega']:.2%}", config.machine)

    def finished(self, config: TrialConfig, number: int, omega: float) -> None:
        row = self._ended(config)
        row.done += 1
        row.best = omega if row.best is None else max(row.best, omega)
        with self._lock:
            self._watch.finishes(config.machine, config.identity, time.monotonic())
        self._say(f"{_name(config, number)} finished: omega {omega:.2%}", config.machine)

    def stopped(self, config: TrialConfig, number: int, stop: Stop) -> None:
        row = self._ended(config)
        row.done += 1
        row.stopped += 1
        with self._lock:
            self._watch.is_stopped(config.machine, config.identity)
        self._say(f"{_name(config, number)} stopped at epoch {stop.epoch}: {stop.omega:.2%}", config.machine)

    def restarted(self, config: TrialConfig, number: int, reason: str) -> None:
        self._ended(config)
        with self._lock:
            self._watch.starts_over(config.machine, config.identity)
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
        with self._lock:
            self._watch.is_given_up(config.machine, config.identity)
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
            self.said(f"{what} ({row.done}/{row.wanted}{failed}{best}{self._time_left()})")

    def _time_left(self) -> str:
        """Of the whole search, for a line; "" where it isn't known, and where nothing is left."""
        _, left = self._left()
        whole = " in all" if len(self._rows) > 1 else ""
        return f", about {duration(left)} left{whole}" if left else ""

    def _left(self) -> tuple[dict[str, float | None], float | None]:
        """Seconds by machine type, and until all are through; None where that isn't known yet."""
        with self._lock:
            left = self._watch.left(time.monotonic())
        known = [seconds for seconds in left.values() if seconds is not None]
        return left, max(known, default=0.0) if len(known) == len(left) else None

    def _table(self) -> Table:
        """One row a machine type, and the total of several. What is nowhere has no column; where the
        terminal is narrow, names of machines are cut short."""
        rows, (left, whole) = self._rows, self._left()
        total = _Row(*(sum(getattr(row, n) for row in rows.values()) for n in _COUNTS))
        shown = [name for name in _COUNTS[2:] if name == "running" or getattr(total, name)]
        table = Table(title=f"search, {duration(time.monotonic() - self._begun)}", title_justify="left")
        table.box, table.pad_edge = None, False
        table.add_column("machine", overflow="ellipsis")
        paper = ["paper"] if self._paper else []
        for name in ("done", *shown, "best omega", *paper, "time left"):
            table.add_column(name, justify="right", no_wrap=True)
        every = [(name, row, left[name], self._paper.get(name)) for name, row in rows.items()]
        every += [("total", total, whole, None)] if len(rows) > 1 else []
        for name, row, seconds, figure in every:
            counts = [str(getattr(row, count) or "-") for count in shown]
            best = "-" if row.best is None else f"{row.best:.2%}"
            beside = ["-" if figure is None else f"{figure:.2f}%"] if paper else []
            table.add_row(name, f"{row.done}/{row.wanted}", *counts, best, *beside, _duration(seconds))
        return table


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    return duration(seconds) if seconds else "-"


def _name(config: TrialConfig, number: int) -> str:
    recipe = f" ({config.recipe})" if config.recipe else ""
    return f"{config.machine} trial {number}{recipe}"
