"""How sure the omegas of systems and fusions are: bootstrap intervals, and what choosing by labels adds."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from oddsound.cli.choosing import Candidate
from oddsound.cli.columns import columns
from oddsound.cli.stages import talk
from oddsound.cli.talking import warn
from oddsound.cli.wanted import Choice, Effort
from oddsound.ensemble import optimism
from oddsound.ensemble.optimism import FusionOptimism, Optimism, estimate_optimism
from oddsound.ensemble.systems import System
from oddsound.errors import BundleError
from oddsound.scoring.bootstrap import Interval, SystemIntervals, bootstrap, few_clips
from oddsound.scoring.table import ScoreTable
from oddsound.tracking.layout import MADE_UP
from oddsound.training.epoch_scores import read_epoch_scores

MEAN = "mean"


@dataclass(frozen=True)
class Estimates:
    """By system or fusion its intervals and its optimism; empty where none were asked for, or no test clip
    is labelled."""

    intervals: Mapping[str, SystemIntervals]
    optimism: Mapping[str, FusionOptimism]
    effort: Effort

    def interval(self, name: str, machine: str) -> Interval | None:
        of = self.intervals.get(name)
        return None if of is None else of.mean if machine == MEAN else of.machines.get(machine)

    def optimism_of(self, name: str, machine: str) -> Optimism | None:
        of = self.optimism.get(name)
        return None if of is None else of.mean if machine == MEAN else of.machines.get(machine)

    def document(self, name: str) -> dict[str, Any]:
        """As JSON has it; every figure is a fraction."""
        machines = [*(self.intervals.get(name) or self.optimism[name]).machines, MEAN] if self else []
        return {
            machine: {
                "interval": asdict(i) if (i := self.interval(name, machine)) else None,
                "optimism": asdict(o) if (o := self.optimism_of(name, machine)) else None,
            }
            for machine in machines
        }

    def __bool__(self) -> bool:
        return bool(self.intervals or self.optimism)


def estimate(
    tables: Mapping[str, Mapping[str, ScoreTable]],
    fusions: Mapping[str, str],
    found: Mapping[str, Sequence[Candidate]],
    choice: Choice,
    effort: Effort,
    *,
    fallback: bool,
    pinned: Sequence[str] = (),
) -> Estimates:
    """tables: by system or fusion the table of each machine type; fusions: their fusions' names; found: what
    was chosen from, by machine type. Machine types without labelled clips are left out."""
    if choice.metric != "omega" and effort.splits:
        warn(f"trials were chosen by {choice.metric}: what choosing by omega adds isn't estimated")
        effort = replace(effort, splits=0)
    known = {machine: of for machine, of in found.items() if len(of[0].member.table.labelled())}
    labelled = {name: {m: t for m, t in of.items() if m in known} for name, of in tables.items()}
    intervals: dict[str, SystemIntervals] = {}
    if known and effort.resamples:
        intervals = {name: bootstrap(of, effort.resamples) for name, of in labelled.items() if of}
    if not (known and effort.splits):
        return Estimates(intervals, {}, effort)
    estimated = estimate_optimism(
        {machine: _candidates(machine, of) for machine, of in known.items()},
        list(dict.fromkeys(fusions.values())),
        choice.top_k,
        effort.splits,
        fallback=fallback,
        pinned=pinned,
        told=lambda machine: talk(f"{machine}: choosing anew on {2 * effort.splits} halves of its clips"),
    )
    return Estimates(intervals, {name: estimated[fusion] for name, fusion in fusions.items()}, effort)


def estimate_systems(
    systems: Sequence[System],
    found: Mapping[str, Sequence[Candidate]],
    choice: Choice,
    effort: Effort,
    pinned: Sequence[str] = (),
) -> Estimates:
    """Of the systems as they are submitted, by `S1`, `S2`, …"""
    return estimate(
        {f"S{s.number}": {m: of.table for m, of in s.machines.items()} for s in systems},
        {f"S{s.number}": next(iter(s.machines.values())).fusion for s in systems},
        found,
        choice,
        effort,
        fallback=True,
        pinned=pinned,
    )


def _candidates(machine: str, found: Sequence[Candidate]) -> list[optimism.Candidate]:
    """Says where a trial's epochs, which the labels chose from, lie in another run's folder."""
    away = [
        each
        for each in found
        if each.bundle is None and each.member.config["training"]["selection"] == "best_dev_omega"
    ]
    if away:
        warn(f"{machine}: {len(away)} trials lie in other runs; the choice of their epochs isn't looked at")
    return [_candidate(each) for each in found]


def _candidate(candidate: Candidate) -> optimism.Candidate:
    table, bundle = candidate.member.table, candidate.bundle
    try:
        epochs = read_epoch_scores(bundle, len(table.labelled())) if bundle is not None else None
    except BundleError as error:
        warn(f"{error}; the choice of its epoch isn't looked at")
        epochs = None
    return optimism.Candidate(table, epochs.score if epochs is not None else None)


def table_of(estimates: Estimates, names: Mapping[str, str], machine: str = MEAN) -> list[str]:
    """A line a system or fusion: its naive Ω and interval, and its Ω where it wasn't chosen, all in %.

    names: what each is called in the first column.
    """
    if not estimates:
        return []
    rows = [["omega [%]", "naive", "95 % interval", "optimism", "corrected"]]
    for name, title in names.items():
        rows.append([title, *_cells(estimates.interval(name, machine), estimates.optimism_of(name, machine))])
    return columns(rows).splitlines()


def _cells(interval: Interval | None, of: Optimism | None) -> list[str]:
    naive = interval.estimate if interval else of.naive if of else None
    return [
        _percent(naive),
        f"{_percent(interval.lower)} to {_percent(interval.upper)}" if interval else "-",
        f"{100 * of.optimism:+.2f}" if of else "-",
        f"{_percent(of.corrected)} ± {_percent(of.spread)}" if of else "-",
    ]


def explained(estimates: Estimates) -> list[str]:
    """What the columns are."""
    lines = []
    if estimates.intervals:
        lines.append(
            f"interval: BCa bootstrap, {estimates.effort.resamples} resamples of the clips within section, "
            "domain and class"
        )
    if estimates.optimism:
        lines.append(
            "corrected: trials and fusion chosen on one half of the labelled clips, measured on the other; "
            f"{estimates.effort.splits} splits, ± their standard deviation. optimism: what the choice adds"
        )
    return lines


def caveats(tables: Mapping[str, ScoreTable], made_up: Collection[str]) -> list[str]:
    """What no figure of these machine types shows: too few clips to tell from chance, anomalous ones that are
    `made_up`. A line each; machine types without labelled clips have no figures."""
    lines = []
    for machine, table in tables.items():
        if few := few_clips(table):
            lines.append(f"{machine}: {few}; record more")
        if table.labelled().label.size and machine in made_up:
            lines.append(f"{machine}: the anomalous clips are {MADE_UP}, not yours")
    return lines


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.2f}"
