"""How far what is made of clips has come: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import contextlib
import time
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from oddsound.cli.talking import console, talk

_QUIET_S = 2.0
"""What takes less says nothing."""
_SILENCE_S = 30.0


class ClipProgress:
    """Is told how many clips are done of how many (`features.rows.Told`); everything goes to stderr. `what`
    is made of them: "features of fan"."""

    def __init__(self, what: str) -> None:
        self._what = what
        shown = console()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=shown,
            transient=True,
        )
        self._is_terminal = shown.is_terminal
        self._task = self._bar.add_task(what, total=None)
        self._begun = time.monotonic()
        self._spoke = self._begun - _SILENCE_S + _QUIET_S

    def __enter__(self) -> ClipProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar.live.is_started:
            with contextlib.suppress(OSError):
                self._bar.stop()

    def __call__(self, done: int, total: int) -> None:
        """A terminal that hangs up, or a pipe that nobody reads any more, ends no work."""
        with contextlib.suppress(OSError):
            self._show(done, total)

    def _show(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self._is_terminal and now - self._begun > _QUIET_S:
            self._bar.start()
            self._bar.update(self._task, completed=done, total=total)
        elif not self._is_terminal and now - self._spoke > _SILENCE_S:
            self._spoke = now
            talk(f"{self._what}: {done} of {total} clips")
