"""The one process that drives a run folder: its hold on the folder, and what it says of itself there.

driver.json tells another shell who works here and what is running; it is of no use to a resume.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from oddsound.errors import ConfigError
from oddsound.json_files import of_kind
from oddsound.training.bundle import write_atomically

BEAT_S = 10.0
"""Seconds between two signs of life of a driver."""
_PAUSE_S = 0.5
_STALE_S = 6 * BEAT_S


@dataclass
class Driver:
    """driver.json. Times are UTC, ISO 8601; `beat` is the last sign of life.

    `running`: by trial identity {"machine", "number", "epoch", "epochs", "since"}.
    """

    pid: int
    host: str
    since: str
    beat: str = ""
    running: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def is_alive(self) -> bool:
        """As far as can be told: by its process on this host, by its last sign of life on another."""
        try:
            beat = datetime.fromisoformat(self.beat or self.since)
            silent_s = (datetime.now(UTC) - beat).total_seconds()
        except (TypeError, ValueError):
            return False
        if self.host == socket.gethostname():
            return _runs(self.pid)
        return silent_s < _STALE_S

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


def read_driver(run: Path) -> Driver | None:
    """Who drives `run`, or drove it and died; None where nobody has, or it ended in order."""
    try:
        return of_kind(Driver, json.loads((run / "driver.json").read_text()))
    except (OSError, ValueError):
        return None


@contextmanager
def sole_driver(run: Path) -> Iterator[Signs]:
    """Hold the run folder. Raises ConfigError where another process holds it; a dead one's hold is gone."""
    lock = FileLock(run / "run.lock", blocking=False)
    try:
        run.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        who = read_driver(run) or "another oddsound"
        raise ConfigError(f"{run}: {who} works here; wait for it or choose another --out") from error
    except OSError as error:
        raise ConfigError(f"{run}: can't be a run's folder ({error.strerror}); choose another") from error
    try:
        for left in run.glob("*.json.*.partial"):  # of a driver that was killed while it wrote
            left.unlink(missing_ok=True)
        with Signs(run) as signs:
            yield signs
    finally:
        lock.release()


class Signs:
    """driver.json kept up to date by a thread; nothing that happens to the file reaches the search."""

    def __init__(self, run: Path) -> None:
        self.predecessor = read_driver(run)
        """Who held the folder and died."""
        self._path = run / "driver.json"
        self._driver = Driver(os.getpid(), socket.gethostname(), _now())
        self._lock, self._news, self._over = threading.Lock(), threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._keep, name="oddsound-driver", daemon=True)

    def __enter__(self) -> Signs:
        self._write()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._news.set()
        self._thread.join()
        self._path.unlink(missing_ok=True)

    def runs(self, trial: str, **what: Any) -> None:
        """`trial` runs; `what` is added to what is known of it."""
        with self._lock:
            self._driver.running.setdefault(trial, {"since": _now()}).update(what)
        self._news.set()

    def ended(self, trial: str) -> None:
        with self._lock:
            self._driver.running.pop(trial, None)
        self._news.set()

    def _keep(self) -> None:
        """Write what is new, but once in `_PAUSE_S` at most, and a sign of life every `BEAT_S`."""
        while not self._over.wait(_PAUSE_S):
            self._news.wait(BEAT_S)
            self._news.clear()
            self._write()

    def _write(self) -> None:
        with self._lock:
            self._driver.beat = _now()
            content = json.dumps(asdict(self._driver), indent=1).encode()
        with contextlib.suppress(OSError):  # a full disk is for the trials to say
            write_atomically(self._path, content)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
