"""Which ended trials MLflow doesn't have, found without writing anything there.

A file of ours is asked itself: mlflow takes seconds to import, which whoever looks how a search stands
needn't wait for. A server is asked through MLflow's client, which knows its accounts and certificates.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from oddsound.errors import TrackingError
from oddsound.tracking.layout import COMPLETE, SEARCH, TRIAL, Search, experiment_name
from oddsound.training.bundle import Bundle

if TYPE_CHECKING:
    from oddsound.tracking.store import Store

_IMPATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}
_LOCKED_S = 5.0
_PAGE = 1000
_SQLITE = "sqlite:///"
_EXPERIMENT = "SELECT lifecycle_stage FROM experiments WHERE name = ?"
_TRIALS = """
    SELECT trial.value FROM experiments JOIN runs USING (experiment_id)
    JOIN tags AS trial ON trial.run_uuid = runs.run_uuid AND trial.key = ?
    JOIN tags AS search ON search.run_uuid = runs.run_uuid AND search.key = ? AND search.value = ?
    JOIN tags AS done ON done.run_uuid = runs.run_uuid AND done.key = ? AND done.value = 'true'
    WHERE experiments.name = ? AND runs.lifecycle_stage = 'active'
"""


def unsent(
    uri: str | None, folder: Path, search: Search, bundles_by_machine: Mapping[str, Iterable[Bundle]]
) -> dict[str, set[str]]:
    """By machine type the trials that have ended and that MLflow has no complete run of.

    `uri` and `folder` as `open_store` takes them. Where there is no database yet, none is made: MLflow
    has nothing then. Raises TrackingError, within seconds, where MLflow can't be asked.
    """
    ended = {machine: _ended(found) for machine, found in bundles_by_machine.items()}
    wanted = [machine for machine, trials in ended.items() if trials]
    if not wanted:
        return ended
    if uri is None or uri.startswith(_SQLITE):
        database = folder / "mlflow.db" if uri is None else Path(uri.removeprefix(_SQLITE))
        known = _of_file(database, search, wanted) if database.is_file() else {}
    else:
        known = _of_server(uri, folder, search, wanted)
    return {machine: trials - known.get(machine, set()) for machine, trials in ended.items()}


def _ended(found: Iterable[Bundle]) -> set[str]:
    return {bundle.path.name for bundle in found if bundle.is_whole or bundle.is_stopped}


def _of_file(database: Path, search: Search, machines: Iterable[str]) -> dict[str, set[str]]:
    """By machine type the trials that the database has complete runs of. Doubles and halves are left for a
    sync to clear away."""
    address = f"{database.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, timeout=_LOCKED_S, uri=True)) as connection:
            return {machine: _complete_here(connection, search, machine) for machine in machines}
    except sqlite3.Error as error:
        raise TrackingError(
            f"{database}: can't be read as MLflow's database ({error}); `oddsound sync` says what to do"
        ) from error


def _complete_here(connection: sqlite3.Connection, search: Search, machine: str) -> set[str]:
    name = experiment_name(search.dataset, machine)
    if ("deleted",) in connection.execute(_EXPERIMENT, (name,)):
        raise TrackingError(
            f"experiment {name} was deleted in MLflow; restore it (`mlflow experiments restore`)"
        )
    asked = (TRIAL, SEARCH, search.id, COMPLETE, name)
    return {trial for (trial,) in connection.execute(_TRIALS, asked)}


def _of_server(uri: str, folder: Path, search: Search, machines: Iterable[str]) -> dict[str, set[str]]:
    from oddsound.tracking.store import open_store

    for name, value in _IMPATIENT.items():
        os.environ.setdefault(name, value)
    store = open_store(uri, folder)
    return {machine: _complete_there(store, search, machine) for machine in machines}


def _complete_there(store: Store, search: Search, machine: str) -> set[str]:
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
