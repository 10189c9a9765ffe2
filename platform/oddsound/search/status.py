"""How a run stands, read from its folder alone: what is on disk counts, no Ray and no MLflow is asked.

Files come and go while this reads: whatever can't be read any more is simply not there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from oddsound.errors import BundleError
from oddsound.search.driver import Driver, read_driver
from oddsound.search.eta import Pace, etas
from oddsound.search.record import read_record
from oddsound.training.bundle import Bundle, bundles

State = Literal["done", "stopped", "failed", "interrupted", "damaged"]


@dataclass
class MachineStatus:
    """How many trials of a machine type are wanted, and what became of those that were begun."""

    wanted: int = 0
    done: int = 0
    """Finished, with a result."""
    stopped: int = 0
    """Given up early by the search; ended too."""
    running: int = 0
    failed: int = 0
    interrupted: int = 0
    """Begun and left by a driver that ended; the next one goes on with them."""
    damaged: int = 0
    """With a result that can't be read."""
    best: float | None = None
    eta_s: float | None = None
    """None: nothing has been measured, or nobody drives the run."""

    @property
    def missing(self) -> int:
        """How many trials are still to end."""
        return max(0, self.wanted - self.done - self.stopped)


@dataclass(frozen=True)
class RunStatus:
    """`driver`: who drives the run, or drove it and died; None where nobody does."""

    driver: Driver | None
    is_driven: bool
    machines: dict[str, MachineStatus] = field(default_factory=dict)

    @property
    def total(self) -> MachineStatus:
        """Over the machine types; the best omega is of each machine type alone."""
        total = MachineStatus()
        for count in (f.name for f in fields(MachineStatus) if f.name not in ("best", "eta_s")):
            setattr(total, count, sum(getattr(machine, count) for machine in self.machines.values()))
        known = [machine.eta_s for machine in self.machines.values() if machine.eta_s is not None]
        total.eta_s = max(known, default=0.0) if len(known) == len(self.machines) else None
        return total


def run_status(run: Path) -> RunStatus:
    """How the run in the folder `run` stands. Raises ConfigError where that is no run folder."""
    record, driver = read_record(run), read_driver(run)
    driven = driver is not None and driver.is_alive
    running = _running(run / "trials", driver) if driver is not None and driven else {}
    seen = {machine: _seen(run / "trials", machine) for machine in record.machines}
    machines = {
        machine: _count(found, record.wanted.get(machine, 0), _of(machine, running, found))
        for machine, found in seen.items()
    }
    if driver is not None and driven:
        _estimate(machines, seen, driver, running)
    for machine in machines.values():
        machine.eta_s = machine.eta_s if machine.missing else 0.0
    return RunStatus(driver, driven, machines)


@dataclass(frozen=True)
class _Seen:
    """What one bundle says of itself; `ended` is None where it can't be told."""

    state: State
    ended: datetime | None = None
    omega: float | None = None
    seconds: float = 0.0


def _seen(trials: Path, machine: str) -> dict[str, _Seen]:
    """The bundles of `machine` by identity."""
    try:
        found = list(bundles(trials, machine))
    except FileNotFoundError:
        return {}
    looks = {bundle.path.name: _look(bundle) for bundle in found}
    return {identity: look for identity, look in looks.items() if look is not None}


def _look(bundle: Bundle) -> _Seen | None:
    """None where the bundle is gone."""
    if bundle.is_whole:
        try:
            return _result(bundle)
        except (BundleError, ArithmeticError, KeyError, TypeError, ValueError):
            if bundle.is_whole:
                return _Seen("damaged")
    if (when := _written(bundle.path / "stopped.json")) is not None:
        return _Seen("stopped", when)
    if (when := _written(bundle.path / "failure.json")) is not None:
        return _Seen("failed", when)
    return _Seen("interrupted") if (bundle.path / "config.json").is_file() else None


def _result(bundle: Bundle) -> _Seen:
    """Raises one of half a dozen errors for a result that isn't one."""
    result = bundle.result()
    if not (math.isfinite(result.omega) and math.isfinite(result.seconds)):
        raise ValueError("not a number")
    return _Seen("done", _time(result.finished), float(result.omega), float(result.seconds))


def _time(text: str) -> datetime | None:
    """UTC where `text` doesn't say; None where it is no time, which is no reason to doubt a result."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _written(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError:
        return None


def _running(trials: Path, driver: Driver) -> dict[str, dict[str, Any]]:
    """What the driver says is running, as far as it has come: the driver hears of evaluated epochs alone."""
    return {
        identity: what | {"epoch": max(what.get("epoch") or 0, _epoch(trials, identity, what))}
        for identity, what in driver.running.items()
    }


def _epoch(trials: Path, identity: str, what: Mapping[str, Any]) -> int:
    """The last epoch in the trial's history; 0 where there is none yet."""
    try:
        return int(Bundle(trials / str(what.get("machine")) / identity).history()[-1]["epoch"])
    except (BundleError, IndexError, KeyError, TypeError, ValueError):
        return 0


def _of(
    machine: str, running: Mapping[str, dict[str, Any]], found: Mapping[str, _Seen]
) -> dict[str, dict[str, Any]]:
    """What runs of `machine`, but for what has ended since the driver last said so."""
    ended = {identity for identity, look in found.items() if look.state in ("done", "stopped")}
    return {i: what for i, what in running.items() if what.get("machine") == machine and i not in ended}


def _count(found: Mapping[str, _Seen], wanted: int, running: Mapping[str, Any]) -> MachineStatus:
    status = MachineStatus(running=len(running))
    for identity, look in found.items():
        if identity not in running:
            setattr(status, look.state, getattr(status, look.state) + 1)
    begun = len(found.keys() | running.keys())
    status.wanted = max(wanted or begun, status.done + status.stopped)
    status.best = max((look.omega for look in found.values() if look.omega is not None), default=None)
    return status


def _estimate(
    machines: Mapping[str, MachineStatus],
    seen: Mapping[str, Mapping[str, _Seen]],
    driver: Driver,
    running: Mapping[str, dict[str, Any]],
) -> None:
    """Fill in when each machine type will be through, by what this driver has seen done."""
    since = _time(driver.since) or datetime.now(UTC)
    now = _time(driver.beat) or since
    paces = {m: _pace(machines[m], seen[m], _of(m, running, seen[m]), since) for m in machines}
    begun = max(since, min((pace.begun for pace in paces.values() if pace.begun), default=now))
    for machine, eta in etas(paces, (now - begun).total_seconds()).items():
        machines[machine].eta_s = eta


def _pace(
    status: MachineStatus, found: Mapping[str, _Seen], running: Mapping[str, dict[str, Any]], since: datetime
) -> Pace:
    """A trial that failed under this driver isn't tried again by it."""
    new = {i: look for i, look in found.items() if look.ended and look.ended >= since and i not in running}
    ended = [look for look in new.values() if look.state in ("done", "stopped")]
    given_up = sum(look.state == "failed" for look in new.values())
    fractions = [_fraction(what) for what in running.values()]
    begun = [look.ended - timedelta(seconds=look.seconds) for look in ended if look.ended]
    begun += [time for what in running.values() if (time := _time(str(what.get("since"))))]
    seconds = [look.seconds for look in found.values() if look.state == "done" and look.seconds > 0]
    missing = status.missing - given_up
    return Pace(
        did=len(ended) + sum(fractions),
        left=max(0.0, missing - sum(fractions)),
        least=1.0 - min(fractions) if fractions and missing <= len(fractions) else 1.0,
        trial_s=fmean(seconds) if seconds else None,
        begun=min(begun, default=None),
    )


def _fraction(what: Mapping[str, Any]) -> float:
    """How far a running trial is, from 0 to 1."""
    epochs = float(what.get("epochs") or 0)
    return min(1.0, float(what.get("epoch") or 0) / epochs) if epochs else 0.0
