"""What `benchmarks.overhead` measures of a contender."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.overhead_tables import marks


@dataclass
class Course:
    """When the trials began and ended, and the driver's resident memory at some of them."""

    n_trials: int
    begun: float = 0.0
    ended: float = 0.0
    n_ended: int = 0
    resident: dict[int, float] = field(default_factory=dict)
    """MB by how many trials had ended."""

    def begins(self) -> None:
        self.begun = self.begun or time.time()

    def ends(self) -> None:
        self.ended, self.n_ended = time.time(), self.n_ended + 1
        if self.n_ended in (1, *marks(self.n_trials)):
            self.resident[self.n_ended] = resident_mb()


@dataclass
class Figures:
    """One contender, once. Seconds are counted from before Ray's start."""

    n_trials: int
    per_second: float
    """Trials, from the begin of the first to the end of the last."""
    searched_s: float
    tracked_s: float
    """Until MLflow has everything."""
    n_tracked: int
    resident: dict[int, float]
    resident_at_end: float


def resident_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("no VmRSS in /proc/self/status: this benchmark wants Linux")


def n_finished_runs(database: Path) -> int:
    """Runs that ended well, without the parent run of a search."""
    if not database.is_file():
        return 0
    query = (
        "select count(*) from runs where status = 'FINISHED' and run_uuid not in "
        "(select run_uuid from tags where key = 'oddsound.kind' and value = 'search')"
    )
    with sqlite3.connect(database) as connection:
        return int(connection.execute(query).fetchone()[0])
