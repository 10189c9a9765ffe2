"""The stages of a run, in the order of the data; each goes on from what is on disk."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from oddsound.cli.progress import Progress
from oddsound.ensemble.systems import Member, System, build_systems
from oddsound.errors import DataError, SearchError
from oddsound.features.cache import build_cache
from oddsound.recordings.clip import Clip
from oddsound.recordings.index import DataIndex
from oddsound.search.record import RunRecord
from oddsound.search.run import Outcome, Resources, run_search
from oddsound.search.space import SearchSpace
from oddsound.search.studies import MachinePlan, feature_name
from oddsound.tracking.layout import Search
from oddsound.tracking.reading import load_tracked
from oddsound.tracking.registry import TrackedTrial, best_trials, register_best
from oddsound.tracking.store import Store, open_store
from oddsound.tracking.writer import Writer
from oddsound.training.bundle import finished

_LAST_SYNC_S = 300.0
"""How long the end of a search waits for MLflow; the rest is for the same command, or `sync`."""


def talk(line: str) -> None:
    """A line of talk: stderr."""
    click.echo(line, err=True)


def dataset_name(data: Path) -> str:
    """The folder's name with what MLflow's names can't hold replaced."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", data.resolve().name).strip("-._") or "recordings"


@dataclass(frozen=True)
class Ask:
    """What the user asked of a search beyond its spaces."""

    n_trials: int
    seed: int
    resources: Resources
    address: str


def prepare_features(
    index: DataIndex, spaces: Sequence[SearchSpace], digests: Mapping[str, str], cache: Path, ask: Ask
) -> list[MachinePlan]:
    """Build every feature cache that the spaces can ask for, and with it what is to be searched."""
    plans = []
    for space in spaces:
        clips, digest = index.of(space.machine), digests[space.machine]
        _refuse_unmeasurable(space.machine, clips)
        talk(f"features of {space.machine}: {len(clips)} clips")
        caches = {
            feature_name(config): str(build_cache(clips, digest, config.features, cache))
            for config in space.front_ends()
        }
        plans.append(MachinePlan(space, digest, caches, ask.n_trials, ask.seed))
    return plans


def _refuse_unmeasurable(machine: str, clips: Sequence[Clip]) -> None:
    """Omega needs both classes in every labelled cell: better said now than by every trial."""
    labelled = [clip for clip in clips if clip.split == "test" and clip.label is not None]
    cells = {(clip.section, clip.domain): set[str | None]() for clip in labelled}
    for clip in labelled:
        cells[clip.section, clip.domain].add(clip.label)
    lacking = [f"section {s} {d}" for (s, d), labels in sorted(cells.items()) if len(labels) < 2]
    if lacking or not cells:
        where = f"in {', '.join(lacking)}" if lacking else "at all"
        raise DataError(
            f"{machine}: no labelled normal and anomalous test clips {where}, so omega can't be computed; "
            "add some or leave the machine type out with --machines"
        )


def search(
    plans: Sequence[MachinePlan], run: Path, record: RunRecord, index: DataIndex, ask: Ask
) -> tuple[Outcome, Writer]:
    """Run what is missing while a writer sends what is finished to MLflow; both are returned at the end."""
    counts = {plan.machine: clip_counts(index, plan.machine) for plan in plans}
    writer = Writer(
        lambda: tracking(run, record), Search(record.search, record.dataset), run / "trials", counts
    )
    for plan in plans:
        writer.nudge(plan.machine)
    status: Any = "KILLED"
    try:
        with _TellingProgress(run, plans, writer) as progress:
            outcome = run_search(plans, run, progress, ask.resources, address=ask.address)
        status = "KILLED" if outcome.interrupted else "FAILED" if outcome.failures else "FINISHED"
    finally:
        talk("sending to MLflow what it doesn't have yet")
        writer.close(status, _LAST_SYNC_S)
    return outcome, writer


def tracking(run: Path, record: RunRecord) -> Store:
    return open_store(record.tracking_uri, run / "mlflow")


def clip_counts(index: DataIndex, machine: str) -> dict[str, int]:
    """How many clips of each split and label: {"train/normal": 3000, ...}."""
    return dict(Counter(f"{clip.split}/{clip.label or 'unlabelled'}" for clip in index.of(machine)))


def register(store: Store, record: RunRecord, k: int) -> None:
    """Make the best `k` of each machine type versions of its registered model."""
    for machine, begun in record.machines.items():
        register_best(store, record.dataset, machine, k, record.search, begun["data"])


def build(store: Store, record: RunRecord, k: int, pinned: Sequence[str]) -> tuple[System, ...]:
    """S1-S4 from the `k` best trials of each machine type, found through MLflow."""
    members = {}
    for machine, begun in record.machines.items():
        best = best_trials(store, record.dataset, machine, k, record.search, begun["data"])
        if len(best) < k:
            talk(f"{machine}: {len(best)} finished trials, fewer than the {k} that S2-S4 fuse")
        members[machine] = [_member(store, trial) for trial in best]
    return build_systems(members, pinned)


def _member(store: Store, trial: TrackedTrial) -> Member:
    config, result, table = load_tracked(store, trial)
    return Member(
        trial=result.trial,
        omega=result.omega,
        n_parameters=result.n_parameters,
        config=config.model_dump(),
        table=table,
        weights_sha256=result.weights_sha256,
    )


def every_machine_finished_one(plans: Sequence[MachinePlan], run: Path) -> bool:
    """Whether there is something to fuse for each machine type."""
    return all(finished(run / "trials", plan.machine) for plan in plans)


def refuse_failures(outcome: Outcome, run: Path) -> None:
    """Raises SearchError where trials failed: the search's last word, after everything else is done."""
    for machine, trial, reason in outcome.failures:
        talk(f"failed: {machine} {trial}: {reason}")
    if outcome.failures:
        raise SearchError(
            f"{len(outcome.failures)} trial(s) failed, the rest is in {run}; the same command retries them"
        )


class _TellingProgress(Progress):
    """Progress that nudges the writer too."""

    def __init__(self, run: Path, plans: Sequence[MachinePlan], writer: Writer) -> None:
        super().__init__({plan.machine: _so_far(run, plan) for plan in plans})
        self._writer = writer

    def finished(self, config: Any, number: int, omega: float) -> None:
        super().finished(config, number, omega)
        self._writer.nudge(config.machine)

    def failed(self, config: Any, number: int, reason: str) -> None:
        super().failed(config, number, reason)
        self._writer.nudge(config.machine)


def _so_far(run: Path, plan: MachinePlan) -> tuple[int, int, float | None]:
    omegas = [bundle.result().omega for bundle in finished(run / "trials", plan.machine)]
    return max(plan.n_trials, len(omegas)), len(omegas), max(omegas, default=None)
