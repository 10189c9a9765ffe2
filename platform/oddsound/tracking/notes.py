"""What the pages of an experiment and of a search's parent run say: today's best, and how to go on."""

from __future__ import annotations

import time

from mlflow.entities import Metric, RunTag

from oddsound.tracking.describe import experiment_note, search_note
from oddsound.tracking.layout import NOTE, Search, experiment_name, registered_name
from oddsound.tracking.metrics import BEST_OMEGA
from oddsound.tracking.ranking import best_trials
from oddsound.tracking.store import Store

TOP_K = 5


def note_search(store: Store, search: Search, machine: str, parent: str, n_finished: int) -> None:
    """Bring the note of the search's parent run up to date, and its metric `best_omega`, whose step is the
    number of finished trials. Raises TrackingError."""
    best = best_trials(store, search.dataset, machine, TOP_K, search.id)
    name = registered_name(search.dataset, machine)
    facts = search.facts.get(machine, {})
    text = search_note(search.id, machine, best, facts, search.command, name)
    if _is_news(store, parent, text):
        now = round(time.time() * 1000)
        metrics = [Metric(BEST_OMEGA.name, trial.omega, now, n_finished) for trial in best[:1]]
        with store.asking(f"describing the search {search.id} of {machine}"):
            store.client.log_batch(parent, metrics, tags=[RunTag(NOTE, text)], synchronous=True)


def note_experiment(store: Store, search: Search, machine: str) -> None:
    """Bring the note of the experiment up to date. Raises TrackingError."""
    best = best_trials(store, search.dataset, machine, TOP_K)
    name = registered_name(search.dataset, machine)
    text = experiment_note(search.dataset, machine, best, name)
    experiment = store.experiment(experiment_name(search.dataset, machine))
    if _is_news(store, experiment, text):
        with store.asking(f"describing the experiment of {machine}"):
            store.client.set_experiment_tag(experiment, NOTE, text)


def _is_news(store: Store, what: str, text: str) -> bool:
    is_news = store.notes.get(what) != text
    store.notes[what] = text
    return is_news
