"""run.json: what a run folder was begun with, so that the same command goes on and another is refused."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from oddsound.errors import ConfigError
from oddsound.json_files import NOTHING_ELSE, of_kind, read_json
from oddsound.training.bundle import write_atomically


@dataclass
class RunRecord:
    """`machines`: what decides each machine type's search: its settings, seed and data digest."""

    __pydantic_config__ = NOTHING_ELSE

    search: str
    dataset: str
    data: str
    tracking_uri: str | None
    machines: dict[str, dict[str, Any]] = field(default_factory=dict)
    wanted: dict[str, int] = field(default_factory=dict)
    """Finished trials that are wanted of each machine type."""
    code: dict[str, str] = field(default_factory=dict)
    """`code_version` of what the trials were made with."""
    command: dict[str, Any] = field(default_factory=dict)
    """The search as it was asked for last: `options` by name, and the folder `cwd` that its relative
    paths are of. It is what `oddsound search --resume` asks for again."""
    changes: list[dict[str, Any]] = field(default_factory=list)
    """When the run went on with something else than it was begun with, and what."""
    prepared: str = ""
    """The folder of the clips that were made of `data`'s plain folders, seen from the run's; "" where `data`
    has the clips."""

    def clips(self, run: Path) -> Path:
        """The data folder of the clips of the run in the folder `run`."""
        return run / self.prepared if self.prepared else Path(self.data)

    def made_up(self) -> frozenset[str]:
        """The machine types whose anomalous clips are made up."""
        return frozenset(machine for machine, begun in self.machines.items() if begun.get("made_up"))


def read_record(run: Path) -> RunRecord:
    """Raises ConfigError where `run` is no run folder."""
    path = run / "run.json"
    if not path.is_file():
        raise ConfigError(f"{run}: no run.json here; give the folder that `oddsound run --out` made")
    try:
        return of_kind(RunRecord, read_json(path))
    except (ValueError, ConfigError) as error:
        raise ConfigError(
            f"{path}: not a run's record ({error}); move it away and give the whole command again: it keeps "
            "the trials that are there"
        ) from error


def known_uri(run: Path) -> str | None:
    """The tracking URI that the run was begun with; None where it is its own store, or not begun."""
    return read_record(run).tracking_uri if (run / "run.json").is_file() else None


def agree(
    run: Path,
    dataset: str,
    data: Path,
    tracking_uri: str | None,
    machines: Mapping[str, Mapping[str, Any]],
    code: Mapping[str, str],
    *,
    accept_change: bool = False,
    prepared: str = "",
) -> RunRecord:
    """The run's record with `machines` in it; nothing is written, see `write_record`.

    `tracking_uri` None keeps the run's. Raises ConfigError, naming the first difference, where the run
    was begun with something else, unless the change is accepted: then the record says so. On other
    recordings it is another search: MLflow then has the trials under a name of their own.
    """
    if (run / "run.json").is_file():
        record = read_record(run)
    else:
        record = RunRecord(_new_name(), dataset, str(data.absolute()), tracking_uri, code=dict(code))
    asked = json.loads(json.dumps(machines))  # tuples as the lists that JSON makes of them
    known = {m: record.machines[m] for m in asked if m in record.machines}
    begun = {"dataset": record.dataset, "code": record.code, **known}
    now = {"dataset": dataset, "code": dict(code), **{m: asked[m] for m in known}}
    changes = [f"{path} {before!r}, now it is {after!r}" for path, before, after in _differences(begun, now)]
    if changes and not accept_change:
        raise ConfigError(
            f"{run}: was begun with {changes[0]}; give what it was begun with, another --out, or "
            "--accept-change to go on with it"
        )
    if changes:
        record.changes.append({"when": datetime.now(UTC).isoformat(timespec="seconds"), "what": changes})
    if dataset != record.dataset or any(known[m]["data"] != asked[m]["data"] for m in known):
        record.search, record.dataset = _new_name(), dataset
    record.data, record.prepared = str(data.absolute()), prepared  # it may have moved
    record.tracking_uri = tracking_uri or record.tracking_uri
    record.code = dict(code)
    record.machines |= asked
    return record


def _new_name() -> str:
    return f"{datetime.now(UTC):%Y%m%d}-{secrets.token_hex(4)}"


def write_record(run: Path, record: RunRecord) -> None:
    """From now on the run is of this record."""
    write_atomically(run / "run.json", json.dumps(asdict(record), indent=1, sort_keys=True).encode())


def _differences(before: Any, after: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The settings that differ; one that only one side has is None on the other."""
    trees = (dict, type(None))
    if before != after and isinstance(before, trees) and isinstance(after, trees):
        before, after = before or {}, after or {}
        for key in sorted(before.keys() | after.keys()):
            yield from _differences(before.get(key), after.get(key), f"{path}.{key}" if path else key)
    elif before != after:
        yield path, before, after
