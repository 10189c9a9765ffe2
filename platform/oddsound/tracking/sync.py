"""Bring MLflow up to what is on disk: every trial that has ended exactly once, whatever was cut short."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from oddsound.errors import BundleError, TrackingError
from oddsound.tracking.layout import Search
from oddsound.tracking.runs import (
    Status,
    close_search,
    complete_trials,
    delete_run,
    describe_search,
    find_parent,
    log_trial,
    open_search,
    read_trial,
)
from oddsound.tracking.savings import log_savings
from oddsound.tracking.stopped_runs import log_stopped, read_stopped
from oddsound.tracking.store import Sent, Store
from oddsound.training.bundle import Bundle

Counts = Mapping[str, Mapping[str, int]]
"""By machine type, how many recordings of which kind the data has: {"fan": {"train": 3000}}."""
_IN_A_ROW = 3
"""So many trials that can't be sent one after another are no accident of theirs."""


@dataclass
class SyncReport:
    """What became of each trial that is finished or was stopped early."""

    uploaded: dict[str, str] = field(default_factory=dict)
    """Run id by trial, in the order in which they were sent."""
    already: set[str] = field(default_factory=set)
    """Trials that MLflow had before."""
    failed: dict[str, str] = field(default_factory=dict)
    """Why, by trial: those that MLflow doesn't have, though it can be reached."""

    stopped: set[str] = field(default_factory=set)
    """Those of all these that the search stopped early."""
    looked_up: set[str] = field(default_factory=set)
    """Machine types of which it is known what MLflow has."""
    refused_in_a_row: int = 0

    def __str__(self) -> str:
        early = f"; {len(self.stopped)} of these were stopped early" if self.stopped else ""
        return (
            f"{len(self.uploaded)} sent, {len(self.already)} there already, {len(self.failed)} failed{early}"
        )


def sync(
    store: Store,
    search: Search,
    bundles_by_machine: Mapping[str, Iterable[Bundle]],
    counts: Counts | None = None,
    report: SyncReport | None = None,
) -> SyncReport:
    """Send every finished or stopped trial that MLflow doesn't have yet as a run of `search`, in their order.

    Called again with nothing new it asks the server nothing. A trial that can't be sent is in
    `failed` and holds up no other; where the server itself is away or refuses three in a row it raises
    TrackingError, and the `report` that was handed in says how far it came.
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
    ended = {bundle.path.name: bundle for bundle in found if bundle.is_whole or bundle.is_stopped}
    if not ended:
        return
    known = complete_trials(store, search, machine)
    report.looked_up.add(machine)
    new = {trial: bundle for trial, bundle in ended.items() if not _has(known, bundle)}
    report.already = (report.already | ended.keys() - report.uploaded.keys()) - new.keys()
    for trial in new:
        report.uploaded.pop(trial, None)  # it has finished since it was stopped
    report.stopped -= {trial for trial, bundle in ended.items() if bundle.is_whole}
    report.stopped |= {trial for trial, bundle in ended.items() if bundle.is_stopped}
    for trial in report.already & report.failed.keys():
        del report.failed[trial]
    ordered = _in_order(list(new.values()), report)
    sent = [bundle for bundle in ordered if _send(store, search, machine, bundle, counts, report)]
    if sent:
        describe_search(store, search, machine, found)
    if sent or not known.is_current:
        log_savings(store, search, machine, known, list(ended.values()))


def _has(known: Sent, bundle: Bundle) -> bool:
    """Whether MLflow has the trial; one that was stopped and has finished since it has only half."""
    trial = bundle.path.name
    return trial in known.finished or (trial in known.stopped and bundle.is_stopped)


def _in_order(found: list[Bundle], report: SyncReport) -> list[Bundle]:
    numbered = []
    for bundle in found:
        try:
            number = bundle.stop().number if bundle.is_stopped else bundle.result().number
            numbered.append((number, bundle.path.name, bundle))
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
    """The run's id, or None where this one trial can't be sent. Raises TrackingError in an outage, and
    where a server that seems well has refused some trials in a row: then it isn't them."""
    known = complete_trials(store, search, machine)
    try:
        if bundle.is_stopped:
            run = _send_stopped(store, search, machine, bundle, known)
        else:
            run = _send_finished(store, search, machine, bundle, counts, known)
    except BundleError as error:
        report.failed[bundle.path.name] = str(error)
        return None
    except TrackingError as error:
        store.probe()
        # The server is well: it is this trial. Its half-written run is cleared away by the next sync.
        store.complete.clear()
        report.failed[bundle.path.name] = str(error)
        _count_refusal(error, report)
        return None
    report.refused_in_a_row = 0
    report.failed.pop(bundle.path.name, None)
    report.uploaded[bundle.path.name] = run
    return run


def _count_refusal(error: TrackingError, report: SyncReport) -> None:
    if getattr(error.__cause__, "error_code", "") == "INVALID_PARAMETER_VALUE":
        return  # it is what the trial says, whatever state the server is in
    report.refused_in_a_row += 1
    if report.refused_in_a_row >= _IN_A_ROW:
        report.refused_in_a_row = 0
        raise error


def _send_stopped(store: Store, search: Search, machine: str, bundle: Bundle, known: Sent) -> str:
    trial = read_stopped(bundle)
    run = log_stopped(store, search, open_search(store, search, machine), trial)
    known.stopped[bundle.path.name] = run
    return run


def _send_finished(
    store: Store, search: Search, machine: str, bundle: Bundle, counts: Mapping[str, int], known: Sent
) -> str:
    trial = read_trial(bundle, search)
    run = log_trial(store, search, open_search(store, search, machine), trial, counts)
    known.finished[bundle.path.name] = run
    if bundle.path.name in known.stopped:
        delete_run(store, known.stopped.pop(bundle.path.name))
    return run


def settle(
    store: Store,
    search: Search,
    machine: str,
    found: Iterable[Bundle],
    status: Status,
    only_open: bool = False,
) -> None:
    """Close the search's parent run of `machine` with `status`, unless it is closed so already; with
    `only_open` unless it is closed at all. `found`: all its bundles.

    A parent is left open by a driver that was killed, or that MLflow had left. Raises TrackingError.
    """
    trials = list(found)
    parent = find_parent(store, search, machine)
    now = parent.info.status if parent is not None else "" if trials else status
    if now != status and (not only_open or now in ("", "RUNNING")):
        close_search(store, search, machine, trials, status)


def status_of(found: Iterable[Bundle], n_wanted: int = 0) -> Status:
    """How a search of `n_wanted` trials stands, by its bundles: some failed for good, some were cut short
    or never begun, or all have ended."""
    trials = list(found)
    unfinished = [bundle for bundle in trials if not (bundle.is_whole or bundle.is_stopped)]
    if len(trials) < n_wanted or not all(bundle.failure() for bundle in unfinished):
        return "KILLED"
    return "FAILED" if unfinished else "FINISHED"
