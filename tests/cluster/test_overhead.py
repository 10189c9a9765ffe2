"""The benchmark of a search's overhead, in small. How fast it is depends on the machine's other guests."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
from benchmarks.idle_workers import gaps, idle
from benchmarks.overhead import search
from benchmarks.overhead_tables import OURS, as_table, marks, memory_table

MACHINES = ["fan", "valve", "ToyCar"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray", "ignore::FutureWarning:ray")
def test_three_machine_types(tmp_path: Path, ray_folder: Path) -> None:
    found = search(tmp_path, MACHINES, 10, 0.1)
    assert found.n_trials == found.n_tracked == 30
    assert 0 < 30 / found.per_second < found.searched_s <= found.tracked_s
    assert list(found.resident) == [1, *marks(30)]
    one = {"contender": OURS, **asdict(found), "resident": {str(n): mb for n, mb in found.resident.items()}}
    assert as_table([one])[-1].startswith(f"| {OURS} | 30 | {found.per_second:.1f} | ")
    assert memory_table([one])[0] == "| MB after | 1 | 6 | 12 | 18 | 24 | 30 |"

    waited = idle(tmp_path / "run" / "trials", MACHINES)
    assert waited.n_trials == 30
    assert 0 < waited.idle < 1 and waited.longest_gap_s > 0
    assert list(waited.at_half_time) == MACHINES
    assert 0 < sum(waited.at_half_time.values()) < 30


def test_a_trial_follows_the_one_that_ended_first() -> None:
    assert gaps([(0.0, 2.0), (0.5, 3.0), (2.25, 4.0), (3.5, 5.0)], 2) == [0.25, 0.5]
