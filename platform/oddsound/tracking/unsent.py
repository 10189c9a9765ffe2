"""Which ended trials MLflow doesn't have, found without writing anything there."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from oddsound.tracking.layout import COMPLETE, SEARCH, TRIAL, Search, experiment_name
from oddsound.tracking.store import Store, open_store
from oddsound.training.bundle import Bundle

_IMPATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}
_PAGE = 1000


def unsent(
    uri: str | None, folder: Path, search: Search, bundles_by_machine: Mapping[str, Iterable[Bundle]]
) -> dict[str, set[str]]:
    """By machine type the trials that have ended and that MLflow has no complete run of.

    `uri` and `folder` as `open_store` takes them. Where there is no database yet, none is made: MLflow
    has nothing then. Raises TrackingError, within seconds, where MLflow can't be asked.
    """
    ended = {machine: _ended(found) for machine, found in bundles_by_machine.items()}
    store = _existing(uri, folder) if any(ended.values()) else None
    if store is None:
        return ended
    return {machine: trials - _complete(store, search, machine) for machine, trials in ended.items()}


def _ended(found: Iterable[Bundle]) -> set[str]:
    return {bundle.path.name for bundle in found if bundle.is_whole or bundle.is_stopped}


def _existing(uri: str | None, folder: Path) -> Store | None:
    """The store, or None where its database would have to be made."""
    local = uri is None or uri.startswith("sqlite:///")
    database = Path(uri.removeprefix("sqlite:///")) if uri is not None else folder / "mlflow.db"
    if local and not database.is_file():
        return None
    for name, value in _IMPATIENT.items():
        os.environ.setdefault(name, value)
    return open_store(uri, folder)


def _complete(store: Store, search: Search, machine: str) -> set[str]:
    """The trials that MLflow has complete runs of. Doubles and halves are left for a sync to clear away."""
    experiment = store.find_experiment(experiment_name(search.dataset, machine))
    if experiment is None:
        return set()
    chosen = f"tags.`{SEARCH}` = '{search.id}' AND tags.`{COMPLETE}` = 'true'"
    trials: set[str] = set()
    token = None
    with store.asking(f"looking up the trials of {search.id} of {machine}"):
        while True:
            page = store.client.search_runs([experiment], chosen, max_results=_PAGE, page_token=token)
            trials |= {run.data.tags[TRIAL] for run in page if TRIAL in run.data.tags}
            token = page.token
            if not token:
                return trials
