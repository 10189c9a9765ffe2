"""The trials of a run one by one, read from its folder alone; see `oddsound.search.status` for counts."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from oddsound.config import TrialConfig, flattened
from oddsound.errors import BundleError, ConfigError
from oddsound.scoring.omega import harmonic_mean
from oddsound.search.driver import read_driver
from oddsound.search.record import RunRecord, read_record
from oddsound.search.space import SEED
from oddsound.training.bundle import Bundle, bundles

State = Literal["finished", "stopped", "running", "failed", "interrupted", "damaged"]
METRICS = ("omega", "auc", "pauc")
COLUMNS = ("machine", "trial", "number", "state", *METRICS, "epochs", "seconds")
_UNREADABLE = (BundleError, ArithmeticError, KeyError, TypeError, ValueError, AttributeError, OSError)
"""What a file that isn't what it should be can raise."""


@dataclass(frozen=True)
class TrialRow:
    """A trial in a table. None: not known, or not measured. `trial`: its identity; `auc`, `pauc`: harmonic
    means over sections and domains; `epochs`: trained; `seconds`: of them; `params`: what was searched."""

    machine: str
    trial: str
    state: State
    number: int | None = None
    omega: float | None = None
    auc: float | None = None
    pauc: float | None = None
    epochs: int = 0
    of_epochs: int = 0
    seconds: float | None = None
    params: dict[str, Any] = field(default_factory=dict)

    def value(self, column: str) -> Any:
        """Of one of `COLUMNS`, or of a searched setting; None where it has none."""
        return getattr(self, column) if column in COLUMNS else self.params.get(column)


def trial_rows(run: Path, machine: str | None = None) -> list[TrialRow]:
    """Every trial of the run, by machine type and identity. Raises ConfigError where there is no such run
    or machine type."""
    record, running = read_record(run), running_trials(run)
    return [
        trial_row(bundle, of, searched(record, of), running)
        for of in _machines(record, machine, run)
        for bundle in bundles(run / "trials", of)
    ]


def trial_row(bundle: Bundle, machine: str, paths: Sequence[str], running: Iterable[str] = ()) -> TrialRow:
    """One of them; `paths`: the settings that are shown."""
    name = bundle.path.name
    try:
        config = bundle.config()
        state = _state(bundle, running)
        settings = flattened(config.model_dump())
        found = TrialRow(
            machine, name, state, params={path: settings[path] for path in paths if path in settings}
        )
        return _measured(found, bundle, config)
    except _UNREADABLE:
        return TrialRow(machine, name, "damaged")


def searched(record: RunRecord, machine: str) -> list[str]:
    """The dotted settings that the machine type's trials differ in, but for the seed."""
    begun = record.machines[machine]
    paths = list(begun.get("space", {}))
    if "configurations" in begun:
        paths = _different([flattened(each) for each in begun["configurations"]])
    return [path for path in paths if path not in ("machine", SEED)]


def _different(listed: Sequence[dict[str, Any]]) -> list[str]:
    """The settings that aren't the same in all of them; one that isn't said is its default."""
    paths = sorted({path for each in listed for path in each})
    return [path for path in paths if len({repr(each.get(path)) for each in listed}) > 1]


def find_trial(run: Path, name: str) -> tuple[str, Bundle]:
    """The machine type and the bundle of the trial whose identity begins with `name`, or of MACHINE/IDENTITY.

    Raises ConfigError where there is none, or more than one: they are named.
    """
    record = read_record(run)
    machine, slash, identity = name.rpartition("/")
    among = _machines(record, machine, run) if slash else list(record.machines)
    found = [
        (of, bundle)
        for of in among
        for bundle in bundles(run / "trials", of)
        if bundle.path.name.startswith(identity)
    ]
    if not identity or not found:
        raise ConfigError(f"{run}: no trial {name}; `oddsound trials {shlex.quote(str(run))}` names them all")
    if len(found) > 1:
        named = ", ".join(f"{of}/{bundle.path.name}" for of, bundle in found[:5])
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        raise ConfigError(f"{run}: {name} can be {named}{more}; give more of it")
    return found[0]


def _state(bundle: Bundle, running: Iterable[str]) -> State:
    if bundle.is_whole:
        return "finished"
    if bundle.is_stopped:
        return "stopped"
    if bundle.path.name in running:
        return "running"
    return "failed" if bundle.failure() else "interrupted"


def _measured(row: TrialRow, bundle: Bundle, config: TrialConfig) -> TrialRow:
    """With what came of it so far."""
    facts: dict[str, Any] = {"of_epochs": config.training.epochs}
    if row.state == "finished":
        result = bundle.result()
        facts |= {"number": result.number, "omega": result.omega, "seconds": result.seconds}
        facts |= {metric: _mean(result.metrics, metric) for metric in ("auc", "pauc")}
    elif row.state == "stopped":
        facts |= {"number": bundle.stop().number, "omega": bundle.stop().omega}
    history = bundle.history() if (bundle.path / "history.json").is_file() else []
    facts["epochs"] = int(history[-1]["epoch"]) if history else 0
    if history and "seconds" not in facts:
        facts["seconds"] = sum(float(epoch.get("seconds", 0.0)) for epoch in history)
    return TrialRow(row.machine, row.trial, row.state, params=row.params, **facts)


def _mean(metrics: dict[str, float], name: str) -> float | None:
    values = [value for key, value in metrics.items() if key.startswith(f"{name}/")]
    return harmonic_mean(values) if values else None


def running_trials(run: Path) -> set[str]:
    """The trials that a living driver says it runs."""
    driver = read_driver(run)
    return set(driver.running) if driver is not None and driver.is_alive else set()


def _machines(record: RunRecord, machine: str | None, run: Path) -> list[str]:
    if machine is None:
        return list(record.machines)
    if machine not in record.machines:
        near = difflib.get_close_matches(machine, record.machines, n=1) or list(record.machines)
        raise ConfigError(f"{run}: has no machine type {machine}; did you mean {' or '.join(near)}?")
    return [machine]
