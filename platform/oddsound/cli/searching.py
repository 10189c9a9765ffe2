"""The search of a run, with MLflow beside it: announced first, told of each trial, closed at the end."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from oddsound.cli.progress import Progress
from oddsound.cli.stages import Ask, Drive, clip_counts, talk, tracked_search, tracking
from oddsound.cli.talking import warn
from oddsound.errors import AccessError, TrackingError
from oddsound.recordings.plain import PREPARED, is_plain
from oddsound.recordings.synth.folder import MARKER as SYNTHETIC
from oddsound.report.paper_figures import PAPER
from oddsound.search.record import RunRecord
from oddsound.search.run import run_search
from oddsound.search.studies import MachinePlan, ended_trials
from oddsound.search.told import Outcome
from oddsound.tracking.layout import Search
from oddsound.tracking.runs import Status, close_search, open_search
from oddsound.tracking.writer import Writer
from oddsound.training.mend import mend

_LAST_SYNC_S = 300.0
"""How long the end of a search waits for an MLflow that answers, be it slowly; the rest is for the same
command, or `sync`. One that doesn't answer holds it up for 15 s, see `Writer.close`."""
_LAST_SYNC_KILLED_S = 5.0
"""The same where it was interrupted: whoever ends it waits, or kills."""


def search(
    plans: Sequence[MachinePlan],
    run: Path,
    record: RunRecord,
    ask: Ask,
    drive: Drive,
    began: Callable[[], None],
) -> tuple[Outcome, Writer]:
    """Run what is missing while a writer sends what is finished to MLflow; both are returned at the end.

    What is damaged is set aside before anybody counts or sends it.
    """
    for machine, begun in record.machines.items():
        for line in mend(run / "trials", machine, begun["data"], run / "set_aside"):
            warn(line)
    # Of what is imported nothing is garbage; looking at it again and again costs the writer at each trial
    # (docs/results/tracking.md).
    gc.collect()
    gc.freeze()
    search, counts = tracked_search(record), clip_counts(record)
    _announce(plans, run, record, search)
    writer = Writer(lambda: tracking(run, record), search, run / "trials", counts)
    for plan in plans:
        writer.nudge(plan.machine)
    outcome = Outcome(interrupted=True)
    try:
        if _missing(plans, run):
            talk("searching: Ray starts, the first trials take some seconds to show")
        with _TellingProgress(run, plans, writer, _paper(record)) as progress:
            outcome = run_search(
                plans,
                run,
                progress,
                ask.conduct,
                signs=drive.signs,
                interrupts=drive.interrupts,
                began=began,
            )
    finally:
        talk("sending to MLflow what it doesn't have yet")
        patience_s = _LAST_SYNC_KILLED_S if outcome.interrupted else _LAST_SYNC_S
        writer.close(_statuses(plans, run, outcome), patience_s)
    return outcome, writer


def _announce(plans: Sequence[MachinePlan], run: Path, record: RunRecord, search: Search) -> None:
    """Open the runs of the searches that begin now, so that who may not write to MLflow hears of it before
    the first trial.

    Raises AccessError, and TrackingError where nothing has been searched yet; a search that goes on goes on
    without MLflow too.
    """
    opened: list[str] = []
    try:
        store = tracking(run, record)
        for machine in _missing(plans, run):
            open_search(store, search, machine)
            opened.append(machine)
    except TrackingError as error:
        if not isinstance(error, AccessError) and any((run / "trials").glob("*/*/config.json")):
            warn(f"{error}; the search goes on without")
            return
        for machine in opened:
            with suppress(TrackingError):
                close_search(store, search, machine, (), "KILLED")
        raise


def _missing(plans: Sequence[MachinePlan], run: Path) -> list[str]:
    """The machine types that lack trials."""
    return [plan.machine for plan in plans if len(ended_trials(plan, run / "trials")) < plan.n_wanted]


def _statuses(plans: Sequence[MachinePlan], run: Path, outcome: Outcome) -> dict[str, Status]:
    """How the search of each machine type has ended."""
    failed = {machine for machine, _, _ in outcome.failures}
    statuses: dict[str, Status] = {plan.machine: "FINISHED" for plan in plans}
    for machine in _missing(plans, run):
        statuses[machine] = "FAILED" if machine in failed and not outcome.interrupted else "KILLED"
    return statuses


class _TellingProgress(Progress):
    """Progress that nudges the writer too."""

    def __init__(
        self, run: Path, plans: Sequence[MachinePlan], writer: Writer, paper: dict[str, float]
    ) -> None:
        super().__init__({plan.machine: _so_far(run, plan) for plan in plans}, paper)
        self._writer = writer

    def finished(self, config: Any, number: int, omega: float) -> None:
        super().finished(config, number, omega)
        self._writer.nudge(config.machine)

    def failed(self, config: Any, number: int, reason: str) -> None:
        super().failed(config, number, reason)
        self._writer.nudge(config.machine)

    def stopped(self, config: Any, number: int, stop: Any) -> None:
        super().stopped(config, number, stop)
        self._writer.nudge(config.machine)


def _so_far(run: Path, plan: MachinePlan) -> tuple[int, int, float | None]:
    """How many trials are wanted, how many have ended, and the best omega of the finished ones."""
    over = ended_trials(plan, run / "trials")
    omegas = [end.omega for end in over if not end.stopped]
    return max(plan.n_wanted, len(over)), len(over), max(omegas, default=None)


def _paper(record: RunRecord) -> dict[str, float]:
    """The paper's best single model by machine type, in %. Machines that only share a name with the
    challenge's, synthetic ones and one's own, have none."""
    data = Path(record.data)
    if is_plain(data, record.machines) or any((data / marker).is_file() for marker in (SYNTHETIC, PREPARED)):
        return {}
    known = PAPER["S1"].omega
    return {machine: known[machine] for machine in record.machines if machine in known}
