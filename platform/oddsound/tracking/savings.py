"""What a search's parent run says of early stopping: its settings, its rungs and what it saved.

All of it comes from the bundles, so that whoever syncs a run folder sends the same.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from mlflow.entities import Metric, RunTag

from oddsound.tracking.layout import SAVINGS, Search
from oddsound.tracking.metrics import ASHA_SAVED, ASHA_STOPPED, ASHA_TRAINED
from oddsound.tracking.runs import open_search
from oddsound.tracking.store import Sent, Store
from oddsound.training.bundle import Bundle
from oddsound.training.early_stops import Asha, ended_savings

ARTIFACT = "asha.json"
_GRACE, _REDUCTION = "oddsound.asha_grace_epochs", "oddsound.asha_reduction"


def log_savings(store: Store, search: Search, machine: str, known: Sent, ended: Iterable[Bundle]) -> None:
    """Bring the parent run up to what the `ended` trials of `machine` say, where it says something else.

    A search that stops no trials early has nothing to say. Raises TrackingError.
    """
    asha = search.asha.get(machine)
    if asha is not None:
        figures = asdict(asha) | asdict(ended_savings(asha, ended))
        digest = hashlib.sha256(json.dumps(figures, sort_keys=True).encode()).hexdigest()
        if digest != known.savings:
            parent = open_search(store, search, machine)
            with store.asking(f"recording the early stopping of {machine}"):
                _write(store, parent, asha, figures, digest)
            known.savings = digest
    known.is_current = True


def _write(store: Store, parent: str, asha: Asha, figures: dict[str, Any], digest: str) -> None:
    """The digest last: without it all is sent again. Settings are tags, for a parameter can't change."""
    store.client.log_dict(parent, figures, ARTIFACT)
    now, step = round(time.time() * 1000), int(figures["n_trials"])
    metrics = [
        Metric(metric.name, float(figures[key]), now, step)
        for metric, key in (
            (ASHA_STOPPED, "n_stopped"),
            (ASHA_TRAINED, "epochs_trained"),
            (ASHA_SAVED, "epochs_saved"),
        )
    ]
    settings = [RunTag(_GRACE, str(asha.grace_epochs)), RunTag(_REDUCTION, f"{asha.reduction:g}")]
    store.client.log_batch(parent, metrics, tags=settings, synchronous=True)
    store.client.set_tag(parent, SAVINGS, digest)
