"""How far a download has come: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import contextlib
import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from oddsound.cli.talking import console as new_console
from oddsound.cli.talking import talk

_QUIET_S = 2.0
"""What takes less says nothing where there is no terminal."""
_SILENCE_S = 30.0


class DownloadProgress:
    """Is told what is under way and its bytes; everything goes to stderr.

    A terminal that hangs up, or a pipe that nobody reads any more, ends no work.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or new_console()
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._what = ""
        self._spoke = time.monotonic()

    def __enter__(self) -> DownloadProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar.live.is_started:
            with contextlib.suppress(OSError):
                self._bar.stop()

    def say(self, line: str) -> None:
        """An event: above the bar where there is one."""
        with contextlib.suppress(OSError):
            if self._bar.live.is_started:
                self._console.print(line, markup=False, highlight=False, soft_wrap=True)
            else:
                talk(line)

    def __call__(self, what: str, done: int, total: int) -> None:
        with contextlib.suppress(OSError):
            if self._console.is_terminal:
                self._show(what, done, total)
            else:
                self._tell(what, done, total)

    def _show(self, what: str, done: int, total: int) -> None:
        if what != self._what:
            self._what = what
            for task in self._bar.task_ids:
                self._bar.remove_task(task)
            # Begun here, so that speed and time left are of what comes now, not of what was there before.
            self._bar.add_task(what, completed=done, total=total)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=done)

    def _tell(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if what != self._what:
            self._what, self._spoke = what, now - _SILENCE_S + _QUIET_S
        if now - self._spoke > _SILENCE_S:
            self._spoke = now
            talk(f"{what}: {done / 1e6:.0f} of {total / 1e6:.0f} MB")
