"""Points that a search begins with: the best trials of an earlier one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from oddsound.cli.stages import talk
from oddsound.errors import TrackingError
from oddsound.search.record import read_record
from oddsound.search.space import SearchSpace
from oddsound.tracking.store import Store

_BEST = 5
First = Mapping[str, Sequence[dict[str, Any]]]
"""Values of the searched settings by machine type, the best first."""


def first_points(earlier: str | None, spaces: Sequence[SearchSpace], store: Store | None, run: Path) -> First:
    """The searched settings of the best trials of the search `earlier`, its name or its run's folder.

    A run that was begun with the same ones keeps them: the earlier search may have gone on since, or
    MLflow be away. A setting that isn't searched here is left out; a trial whose values lie outside of
    the space is too, and that is said. Raises ConfigError where there is no such search.
    """
    if earlier is None:
        return {}
    from oddsound.tracking.warm_start import find_search

    kept = _kept(earlier, run)
    if kept is not None and all(space.machine in kept for space in spaces):
        return kept
    name = read_record(Path(earlier)).search if (Path(earlier) / "run.json").is_file() else earlier
    if store is None:
        raise TrackingError(f"--warm-start {earlier}: is in MLflow, which is away")
    find_search(store, name)
    return {space.machine: _points(store, name, space) for space in spaces}


def _points(store: Store, name: str, space: SearchSpace) -> list[dict[str, Any]]:
    from oddsound.tracking.warm_start import best_of_search

    found = [space.values(config) for config in best_of_search(store, name, space.machine, _BEST)]
    inside = [values for values in found if values is not None]
    outside = f", {len(found) - len(inside)} lie outside of this space" if len(inside) < len(found) else ""
    talk(f"{space.machine}: {len(inside)} of the best trials of {name} come first{outside}")
    return [dict(values) for values in inside]


def _kept(earlier: str, run: Path) -> First | None:
    if not (run / "run.json").is_file():
        return None
    record = read_record(run)
    if record.command.get("options", {}).get("warm_start") != earlier:
        return None
    return {machine: begun["first"] for machine, begun in record.machines.items() if "first" in begun}
