"""`Writer`: MLflow beside a search, never in its way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from oddsound.errors import OddsoundError
from oddsound.tracking.layout import Search
from oddsound.tracking.runs import Status, close_search
from oddsound.tracking.store import Store
from oddsound.tracking.sync import Counts, SyncReport, sync
from oddsound.training.bundle import bundles


class Writer:
    """One background thread that syncs what is finished whenever it is nudged.

    Neither `nudge` nor an outage blocks the search or raises into it: `problem` has the latest trouble
    in one line, "" when all is well. After trouble it waits `pause_s` seconds before it tries again.
    """

    def __init__(
        self,
        connect: Callable[[], Store],
        search: Search,
        trials: Path,
        counts: Counts | None = None,
        pause_s: float = 15.0,
    ) -> None:
        self.problem = ""
        self.report = SyncReport()
        self._connect, self._search, self._trials, self._counts = connect, search, trials, counts
        self._pause_s, self._not_before = pause_s, 0.0
        self._store: Store | None = None
        self._pending: set[str] = set()
        self._machines: set[str] = set()
        self._closing: Status | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="oddsound-tracking", daemon=True)
        self._thread.start()

    def nudge(self, machine: str) -> None:
        """Something of `machine` has finished or failed; returns at once."""
        with self._changed:
            self._pending.add(machine)
            self._machines.add(machine)
            self._changed.notify()

    def close(self, status: Status = "FINISHED", timeout_s: float | None = None) -> SyncReport:
        """One last sync of every machine nudged, close the parent runs with `status`, end the thread.

        Waits no longer than `timeout_s`; what is not sent by then is named in `problem` and remains
        for `oddsound sync`. The report covers the Writer's whole life.
        """
        with self._changed:
            self._closing = status
            self._changed.notify()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            self.problem = f"MLflow took longer than {timeout_s} s; `oddsound sync` sends the rest"
        return self.report

    def _work(self) -> None:
        while self._closing is None:
            self._attempt(self._next())
        self._attempt(set(self._machines), self._closing)

    def _next(self) -> set[str]:
        """Wait until there is something to do and it is time to do it; what then is to be done."""
        with self._changed:
            while self._closing is None and not self._due():
                wait = self._not_before - time.monotonic() if self._pending else None
                self._changed.wait(wait)
            machines, self._pending = self._pending, set()
            return machines if self._closing is None else set()

    def _due(self) -> bool:
        return bool(self._pending) and time.monotonic() >= self._not_before

    def _attempt(self, machines: set[str], closing: Status | None = None) -> None:
        if not machines:
            return
        try:
            self._sync(machines, closing)
        except OddsoundError as error:
            self._put_off(machines, str(error))
        except Exception as error:  # a thread that dies says nothing, and the search must go on
            self._put_off(
                machines, f"unexpected: {type(error).__name__}: {error}; `oddsound sync` tries again"
            )

    def _sync(self, machines: set[str], closing: Status | None) -> None:
        self._store = self._store or self._connect()
        if closing is not None:
            self._store.forget()  # the last look finds what a lost answer may have doubled
        found = {machine: list(bundles(self._trials, machine)) for machine in sorted(machines)}
        sync(self._store, self._search, found, self._counts, self.report)
        if closing is not None:
            for machine, each in found.items():
                close_search(self._store, self._search, machine, each, closing)
        failed = self.report.failed
        self.problem = f"{len(failed)} not sent: {next(iter(failed.values()))}" if failed else ""

    def _put_off(self, machines: set[str], problem: str) -> None:
        with self._changed:
            self.problem = problem
            self._pending |= machines
            self._not_before = time.monotonic() + self._pause_s
