"""`Writer`: MLflow beside a search, never in its way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from oddsound.errors import OddsoundError, TrackingError
from oddsound.tracking.layout import Search
from oddsound.tracking.runs import Status
from oddsound.tracking.store import Store
from oddsound.tracking.sync import Counts, SyncReport, settle, sync
from oddsound.training.bundle import bundles

OUTAGE_S = 15.0
"""How long `close` waits at most for a store that is known to be away."""
STALL_S = 8.0
"""After so long a wait `close` asks whether the store still answers."""
LONGEST_PAUSE_S = 60.0


class Breaker:
    """When to try again: at once while all is well, `pause_s` after the first failure, and twice as long
    after each further one, up to a minute."""

    def __init__(self, pause_s: float) -> None:
        self._first_s = pause_s
        self._n_failures, self._not_before = 0, 0.0

    @property
    def is_open(self) -> bool:
        """Whether the last attempt failed."""
        return self._n_failures > 0

    def failed(self) -> None:
        pause = min(self._first_s * 2.0**self._n_failures, max(self._first_s, LONGEST_PAUSE_S))
        self._n_failures += 1
        self._not_before = time.monotonic() + pause

    def succeeded(self) -> None:
        self._n_failures, self._not_before = 0, 0.0

    def wait_s(self) -> float:
        """Seconds until the next attempt; 0 where it is time."""
        return max(0.0, self._not_before - time.monotonic())


class Writer:
    """One background thread that syncs what is finished whenever it is nudged.

    Neither `nudge` nor an outage blocks the search or raises into it: `problem` has the latest trouble
    in one line, "" when all is well. After trouble it waits, from `pause_s` seconds on, and asks the store
    one cheap question before it tries again.
    """

    def __init__(
        self,
        connect: Callable[[], Store],
        search: Search,
        trials: Path,
        counts: Counts | None = None,
        pause_s: float = 5.0,
    ) -> None:
        self.report = SyncReport()
        self._connect, self._search, self._trials, self._counts = connect, search, trials, counts
        self._trouble = ""
        self._breaker = Breaker(pause_s)
        self._store: Store | None = None
        self._pending: set[str] = set()
        self._machines: set[str] = set()
        self._closing: Status | Mapping[str, Status] | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="oddsound-tracking", daemon=True)
        self._thread.start()

    @property
    def problem(self) -> str:
        """The latest trouble, and how many trials it keeps from MLflow."""
        return f"{self._unsynced()}: {self._trouble}" if self._trouble else ""

    def nudge(self, machine: str) -> None:
        """Something of `machine` has finished or failed; returns at once."""
        with self._changed:
            self._pending.add(machine)
            self._machines.add(machine)
            self._changed.notify()

    def close(
        self, status: Status | Mapping[str, Status] = "FINISHED", timeout_s: float | None = None
    ) -> SyncReport:
        """One last sync of every machine nudged, close the parent runs with `status`, of all or by machine
        type, end the thread.

        Waits no longer than `timeout_s`, no longer than OUTAGE_S for a store that is known to be away and
        about as long for one that stops answering now; what is not sent by then is counted in `problem` and
        remains for `oddsound sync`. The report covers the Writer's whole life.
        """
        if self._breaker.is_open:
            timeout_s = OUTAGE_S if timeout_s is None else min(timeout_s, OUTAGE_S)
        with self._changed:
            self._closing = status
            self._changed.notify()
        gone = self._wait(timeout_s)
        if self._thread.is_alive():
            late = f"MLflow took longer than {timeout_s:g} s; `oddsound sync` sends the rest"
            self._trouble = self._trouble or gone or late
        return self.report

    def _wait(self, timeout_s: float | None) -> str:
        """Wait for the thread's end; why not any longer, "" where the time is up."""
        end = float("inf") if timeout_s is None else time.monotonic() + timeout_s
        while True:
            self._thread.join(max(0.0, min(STALL_S, end - time.monotonic())))
            if not self._thread.is_alive() or time.monotonic() >= end:
                return ""
            try:
                if self._store is not None:
                    self._store.probe()
            except TrackingError as error:
                return str(error)

    def _unsynced(self) -> str:
        """How many of the trials that have ended MLflow doesn't have, as far as is known."""
        found = [bundle for machine in sorted(self._machines) for bundle in bundles(self._trials, machine)]
        ended = {bundle.path.name for bundle in found if bundle.is_whole or bundle.is_stopped}
        unsynced = ended - self.report.uploaded.keys() - self.report.already
        if not unsynced:
            return f"the run of the search isn't up to date, its {len(ended)} trial(s) are there"
        most = "up to " if self._machines - self.report.looked_up else ""
        return f"{most}{len(unsynced)} of {len(ended)} trial(s) unsynced"

    def _work(self) -> None:
        while self._closing is None:
            self._attempt(self._next())
        self._attempt(set(self._machines), self._closing)

    def _next(self) -> set[str]:
        """Wait until there is something to do and it is time to do it; what then is to be done."""
        with self._changed:
            while self._closing is None and not (self._pending and self._breaker.wait_s() == 0):
                self._changed.wait(self._breaker.wait_s() if self._pending else None)
            machines, self._pending = self._pending, set()
            return machines if self._closing is None else set()

    def _attempt(self, machines: set[str], closing: Status | Mapping[str, Status] | None = None) -> None:
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

    def _sync(self, machines: set[str], closing: Status | Mapping[str, Status] | None) -> None:
        if self._store is None:
            self._store = self._connect()
        elif self._breaker.is_open:
            self._store.probe()
        if closing is not None:
            self._store.forget()  # the last look finds what a lost answer may have doubled
        found = {machine: list(bundles(self._trials, machine)) for machine in sorted(machines)}
        sync(self._store, self._search, found, self._counts, self.report)
        if closing is not None:
            for machine, each in found.items():
                status = closing if isinstance(closing, str) else closing[machine]
                settle(self._store, self._search, machine, each, status)
        self._breaker.succeeded()
        self._trouble = next(iter(self.report.failed.values()), "")

    def _put_off(self, machines: set[str], trouble: str) -> None:
        with self._changed:
            self._trouble = trouble
            self._pending |= machines
            self._breaker.failed()
