"""What the pages of an experiment and of a search's parent run say: today's best, and how to go on."""

from __future__ import annotations

from mlflow.entities import RunTag

from oddsound.tracking.describe import experiment_note, search_note
from oddsound.tracking.layout import NOTE, Search, experiment_name, registered_name
from oddsound.tracking.ranking import best_trials
from oddsound.tracking.store import Store

TOP_K = 5
_LONGEST = 5000
"""Characters that every MLflow store takes as a tag's value."""


def search_notes(store: Store, search: Search, machine: str) -> list[RunTag]:
    """The note of the search's parent run, where it differs from what this store was told last."""
    best = best_trials(store, search.dataset, machine, TOP_K, search.id)
    name = registered_name(search.dataset, machine)
    facts = search.facts.get(machine, {})
    text = search_note(search.id, machine, best, facts, search.command, name)[:_LONGEST]
    return [RunTag(NOTE, text)] if _is_news(store, f"{search.id}/{machine}", text) else []


def note_experiment(store: Store, search: Search, machine: str) -> None:
    """Bring the note of the experiment up to date. Raises TrackingError."""
    best = best_trials(store, search.dataset, machine, TOP_K)
    name = registered_name(search.dataset, machine)
    text = experiment_note(search.dataset, machine, best, name)[:_LONGEST]
    experiment = store.experiment(experiment_name(search.dataset, machine))
    if _is_news(store, experiment, text):
        with store.asking(f"describing the experiment of {machine}"):
            store.client.set_experiment_tag(experiment, NOTE, text)


def _is_news(store: Store, what: str, text: str) -> bool:
    is_news = store.notes.get(what) != text
    store.notes[what] = text
    return is_news
