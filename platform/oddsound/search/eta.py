"""When a search will be through, from what it has done so far.

    speed = Σ did · trial_s / elapsed        workers' seconds of work done in a second

The machine types that still have trials to do share that speed equally; one that is through leaves its
share to the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean


@dataclass(frozen=True)
class Pace:
    """One machine type's. `did` and `left`: trials, the running ones by how far they are."""

    did: float
    left: float
    least: float = 1.0
    """What one worker has still to do whatever the others do: the rest of the longest trial."""
    trial_s: float | None = None
    """What a trial takes; None where none has finished: as long as the other machine types' do."""
    begun: datetime | None = None
    """When its first trial of this search began."""


def etas(paces: Mapping[str, Pace], elapsed: float) -> dict[str, float | None]:
    """Seconds until each machine type is through; None until there is something to measure."""
    known = [pace.trial_s for pace in paces.values() if pace.trial_s]
    typical = fmean(known) if known else 1.0
    cost = {machine: pace.trial_s or typical for machine, pace in paces.items()}
    speed = sum(pace.did * cost[m] for m, pace in paces.items()) / elapsed if elapsed > 0 else 0.0
    if speed <= 0:
        return {machine: None if pace.left else 0.0 for machine, pace in paces.items()}
    through = _shared({machine: pace.left * cost[machine] for machine, pace in paces.items()}, speed)
    at_least = {m: pace.least * cost[m] if known and pace.left else 0.0 for m, pace in paces.items()}
    return {machine: max(through[machine], at_least[machine]) for machine in paces}


def _shared(work: Mapping[str, float], speed: float) -> dict[str, float]:
    """When each work is done by workers that share their speed equally among what is left."""
    through, time, done = {}, 0.0, 0.0
    in_order = sorted(work, key=lambda name: work[name])
    for place, name in enumerate(in_order):
        time += (work[name] - done) * (len(in_order) - place) / speed
        done, through[name] = work[name], time
    return through
