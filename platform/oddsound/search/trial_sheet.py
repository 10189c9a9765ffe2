"""Everything that a trial's folder says of it, for whoever asks about one trial."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from oddsound.config import TrialConfig, flattened
from oddsound.errors import BundleError
from oddsound.search.record import read_record
from oddsound.search.trials import TrialRow, find_trial, running_trials, searched, trial_row
from oddsound.training.bundle import REMEDY, Bundle, TrialResult

_TAIL_BYTES = 16_384


@dataclass(frozen=True)
class TrialSheet:
    """`changed`: settings that aren't the default, and the default; `unchanged`: the others. `failure`,
    `log`: why it failed, or what of it is damaged, and the last lines that it wrote."""

    row: TrialRow
    folder: Path
    changed: dict[str, tuple[Any, Any]]
    unchanged: dict[str, Any]
    result: TrialResult | None
    history: list[dict[str, Any]]
    files: dict[str, int]
    failure: str
    log: list[str]

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self.row) | {
            "folder": str(self.folder),
            "changed": {path: {"value": v, "default": d} for path, (v, d) in self.changed.items()},
            "unchanged": self.unchanged,
            "result": asdict(self.result) if self.result else None,
            "history": self.history,
            "files": self.files,
            "failure": self.failure,
            "log": self.log,
        }


def trial_sheet(run: Path, name: str, n_log_lines: int) -> TrialSheet:
    """Of the trial `name` of `run`, as `find_trial` takes it; what is damaged is left out."""
    machine, bundle = find_trial(run, name)
    row = trial_row(bundle, machine, searched(read_record(run), machine), running_trials(run))
    changed, unchanged = _settings(bundle, machine)
    files = {path.name: path.stat().st_size for path in sorted(bundle.path.iterdir()) if path.is_file()}
    return TrialSheet(
        row,
        bundle.path,
        changed,
        unchanged,
        _or_none(bundle.result) if bundle.is_whole else None,
        _or_none(bundle.history) or [],
        files,
        _damage(bundle) if row.state == "damaged" else bundle.failure(),
        _last_lines(bundle.log, n_log_lines),
    )


def _settings(bundle: Bundle, machine: str) -> tuple[dict[str, tuple[Any, Any]], dict[str, Any]]:
    config = _or_none(bundle.config)
    if config is None:
        return {}, {}
    defaults = flattened(TrialConfig(machine=machine).model_dump())
    values = flattened(config.model_dump())
    values.pop("machine")
    changed = {path: (value, defaults[path]) for path, value in values.items() if value != defaults[path]}
    return changed, {path: value for path, value in values.items() if path not in changed}


def _damage(bundle: Bundle) -> str:
    """What can't be read of it, and the remedy."""
    ended = [bundle.result] if bundle.is_whole else [bundle.stop] if bundle.is_stopped else []
    for read in (bundle.config, bundle.history, *ended):
        try:
            read()
        except BundleError as error:
            return str(error)
    return f"{bundle.path}: its figures aren't what a trial writes; {REMEDY}"


def _or_none(read: Any) -> Any:
    try:
        return read()
    except BundleError:
        return None


def _last_lines(log: Path, n: int) -> list[str]:
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            return stream.read().decode(errors="replace").splitlines()[-n:] if n else []
    except OSError:
        return []
