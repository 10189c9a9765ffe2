"""The best trials of an earlier search, as configurations that another one can begin with."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from mlflow.entities import Run

from oddsound.config import TrialConfig, flattened, nested, validated
from oddsound.errors import ConfigError
from oddsound.tracking.layout import DATASET, KIND, MACHINE, SEARCH
from oddsound.tracking.ranking import TrackedTrial, best_trials
from oddsound.tracking.store import Store, shown

_LATEST = 3


def find_search(store: Store, search_id: str) -> dict[str, list[str]]:
    """By machine type, the data sets on which the store has the search.

    Raises ConfigError, naming searches that it does have, where it has no such one, and TrackingError
    in an outage.
    """
    places: dict[str, list[str]] = defaultdict(list)
    others: dict[str, None] = {}
    for run in _searches(store):
        tags = run.data.tags
        if tags.get(SEARCH) == search_id and MACHINE in tags and DATASET in tags:
            places[tags[MACHINE]].append(tags[DATASET])
        others.setdefault(tags.get(SEARCH, ""))
    if not places:
        raise ConfigError(_unknown(store, search_id, [name for name in others if name]))
    return {machine: sorted(set(places[machine])) for machine in sorted(places)}


def best_of_search(store: Store, search_id: str, machine: str, k: int = 5) -> list[TrialConfig]:
    """The configurations of the `k` finished trials of the search that have the highest omega for `machine`,
    on whatever recordings, the best first; fewer where it has no more. A trial on several counts once.

    Raises ConfigError where the store has no such search, or its settings are unknown to this version,
    and TrackingError in an outage.
    """
    datasets = find_search(store, search_id).get(machine, [])
    found = [t for dataset in datasets for t in best_trials(store, dataset, machine, k, search_id)]
    best: dict[str, TrackedTrial] = {}
    for trial in sorted(found, key=lambda trial: (-trial.omega, trial.trial)):
        best.setdefault(trial.trial, trial)
    return [config_of(trial) for trial in list(best.values())[:k]]


def config_of(tracked: TrackedTrial) -> TrialConfig:
    """The trial's configuration, from the parameters of its run: exactly what `trial_params` wrote.

    A setting that is newer than the run has its default. Raises ConfigError for one that is unknown.
    """
    usual = flattened(TrialConfig(machine=tracked.machine).model_dump())
    values = {name: _typed(text, usual.get(name)) for name, text in tracked.params.items()}
    return validated(TrialConfig, nested(values), f"MLflow run {tracked.run_id} of {tracked.machine}")


def _typed(text: str, usual: Any) -> Any:
    """`text` as `str` wrote it of a value of the type that `usual` has; as it is where it's none."""
    if isinstance(usual, bool):
        return {"True": True, "False": False}.get(text, text)
    if isinstance(usual, int | float):
        try:
            return None if text == "None" else type(usual)(text)
        except ValueError:
            return text
    return text


def _searches(store: Store) -> Iterator[Run]:
    """The parent runs of every search in the store, the latest first."""
    search, chosen = store.client.search_runs, f"tags.`{KIND}` = 'search'"
    with store.asking("looking for earlier searches"):
        experiments = [each.experiment_id for each in _pages(store.client.search_experiments)]
        if experiments:
            yield from _pages(partial(search, experiments, chosen))


def _pages(ask: Callable[..., Any]) -> Iterator[Any]:
    token = None
    while True:
        page = ask(max_results=1000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _unknown(store: Store, search_id: str, known: list[str]) -> str:
    near = difflib.get_close_matches(search_id, known, n=_LATEST)
    place = f"no search {search_id!r} in MLflow at {shown(store.uri)}"
    if near:
        return f"{place}; did you mean {' or '.join(near)}?"
    if known:
        return f"{place}; its latest are {', '.join(known[:_LATEST])}; or give another --tracking-uri"
    return f"{place}; it has none; give the --tracking-uri where that search was recorded"
