"""Bring MLflow up to what is on disk: every finished trial exactly once, whatever was cut short."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from oddsound.errors import BundleError, TrackingError
from oddsound.tracking.layout import Search
from oddsound.tracking.runs import complete_trials, count_trials, log_trial, open_search, read_trial
from oddsound.tracking.store import Store
from oddsound.training.bundle import Bundle

Counts = Mapping[str, Mapping[str, int]]
"""By machine type, how many recordings of which kind the data has: {"fan": {"train": 3000}}."""


@dataclass
class SyncReport:
    """What became of each finished trial."""

    uploaded: dict[str, str] = field(default_factory=dict)
    """Run id by trial, in the order in which they were sent."""
    already: set[str] = field(default_factory=set)
    """Trials that MLflow had before."""
    failed: dict[str, str] = field(default_factory=dict)
    """Why, by trial: those that MLflow doesn't have, though it can be reached."""

    def __str__(self) -> str:
        return f"{len(self.uploaded)} sent, {len(self.already)} there already, {len(self.failed)} failed"


def sync(
    store: Store,
    search: Search,
    bundles_by_machine: Mapping[str, Iterable[Bundle]],
    counts: Counts | None = None,
    report: SyncReport | None = None,
) -> SyncReport:
    """Send every whole bundle that MLflow doesn't have yet as a run of `search`, in their order.

    Called again with nothing new it asks the server nothing. A trial that can't be sent is in
    `failed` and holds up no other; where the server itself is away it raises TrackingError, and the
    `report` that was handed in says how far it came.
    """
    report = SyncReport() if report is None else report
    try:
        for machine, found in bundles_by_machine.items():
            _sync_machine(store, search, machine, list(found), (counts or {}).get(machine, {}), report)
    except TrackingError:
        store.forget()
        raise
    return report


def _sync_machine(
    store: Store,
    search: Search,
    machine: str,
    found: list[Bundle],
    counts: Mapping[str, int],
    report: SyncReport,
) -> None:
    whole = {bundle.path.name: bundle for bundle in found if bundle.is_whole}
    if not whole:
        return
    known = complete_trials(store, search, machine)
    report.already |= (whole.keys() & known.keys()) - report.uploaded.keys()
    for trial in report.already & report.failed.keys():
        del report.failed[trial]
    new = _in_order([whole[trial] for trial in whole.keys() - known.keys()], report)
    sent = False
    for bundle in new:
        if run := _send(store, search, machine, bundle, counts, report):
            known[bundle.path.name] = run
            sent = True
    if sent:
        count_trials(store, open_search(store, search, machine), found)


def _in_order(found: list[Bundle], report: SyncReport) -> list[Bundle]:
    numbered = []
    for bundle in found:
        try:
            numbered.append((bundle.result().number, bundle.path.name, bundle))
        except BundleError as error:
            report.failed[bundle.path.name] = str(error)
    return [bundle for _, _, bundle in sorted(numbered, key=lambda entry: entry[:2])]


def _send(
    store: Store,
    search: Search,
    machine: str,
    bundle: Bundle,
    counts: Mapping[str, int],
    report: SyncReport,
) -> str | None:
    """The run's id, or None where this one trial can't be sent. Raises TrackingError in an outage."""
    try:
        trial = read_trial(bundle, search)
        run = log_trial(store, search, open_search(store, search, machine), trial, counts)
    except BundleError as error:
        report.failed[bundle.path.name] = str(error)
        return None
    except TrackingError as error:
        store.probe()
        # The server is well: it is this trial. Its half-written run is cleared away by the next sync.
        store.complete.clear()
        report.failed[bundle.path.name] = str(error)
        return None
    report.failed.pop(bundle.path.name, None)
    report.uploaded[bundle.path.name] = run
    return run
