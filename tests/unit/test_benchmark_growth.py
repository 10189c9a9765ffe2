"""What the benchmarks of growth and of a whole search compute from their times."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from benchmarks.growth import exponent, keep
from benchmarks.whole_search import Span, overhead


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 2.0])
def test_exponent_is_the_power_of_the_last_step(power: float) -> None:
    assert exponent([50, 200, 800], [99.0, 3 * 200**power, 3 * 800**power]) == pytest.approx(power)


def test_overhead_counts_waits_and_leaves_out_what_is_first_in_a_process() -> None:
    ours = [
        Span("a", "1", 0.0, 9.0, 0.5),
        Span("b", "2", 0.0, 8.0, 0.5),
        Span("c", "1", 9.5, 12.0, 0.5),  # 3 s, half a second of it waiting
        Span("d", "2", 8.0, 10.0, 0.5),  # 2 s
    ]
    plain = [
        Span("d", "p", 0.0, 5.0, 0.5),  # the first of its process
        Span("b", "p", 5.0, 7.0, 0.5),
        Span("c", "p", 7.0, 9.0, 0.5),  # 2 s
    ]
    assert overhead(ours, plain) == pytest.approx(1.0)


def test_keep_leaves_the_first_trials_alone_and_the_searches_runs(tmp_path: Path) -> None:
    database = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(database)) as connection:
        for name in ("runs", "metrics", "latest_metrics", "params"):
            connection.execute(f"CREATE TABLE {name} (run_uuid TEXT)")
            connection.executemany(f"INSERT INTO {name} VALUES (?)", [(str(n),) for n in range(12)])
        connection.execute("CREATE TABLE tags (run_uuid TEXT, key TEXT, value TEXT)")
        numbered = [(str(n), "oddsound.number", str(n)) for n in range(11)]  # run 11 is a search's
        connection.executemany("INSERT INTO tags VALUES (?, ?, ?)", numbered)
        connection.commit()
    keep(3, database)
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT run_uuid FROM runs").fetchall() == [("0",), ("1",), ("2",), ("11",)]
        assert connection.execute("SELECT count(*) FROM metrics").fetchone() == (4,)
        assert connection.execute("SELECT count(*) FROM tags").fetchone() == (3,)
