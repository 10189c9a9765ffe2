"""One driver a run folder: a second is told who is there, a dead one is taken over."""

import json
import multiprocessing
import os
import socket
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from oddsound.errors import ConfigError
from oddsound.search.driver import Driver, read_driver, sole_driver


def hold(run: Path, pipe: Connection) -> None:
    with sole_driver(run) as signs:
        signs.runs("abc", machine="fan", epoch=3)
        signs._write()
        pipe.send("held")
        pipe.recv()


def test_a_second_driver_is_told_who_is_there_and_a_dead_ones_hold_is_taken_over(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    other = context.Process(target=hold, args=(tmp_path, theirs))
    other.start()
    assert ours.recv() == "held"
    here = f"process {other.pid} on {socket.gethostname()}, since 20"
    with pytest.raises(ConfigError, match=here), sole_driver(tmp_path):
        pass
    driver = read_driver(tmp_path)
    assert driver is not None
    assert driver.is_alive
    assert driver.running["abc"]["epoch"] == 3
    other.kill()
    other.join()
    dead = read_driver(tmp_path)
    assert dead is not None
    assert not dead.is_alive
    with sole_driver(tmp_path) as signs:
        assert signs.predecessor is not None
        assert signs.predecessor.pid == other.pid
        mine = read_driver(tmp_path)
        assert mine is not None
        assert (mine.pid, mine.running) == (os.getpid(), {})
    assert read_driver(tmp_path) is None, "it ended in order"


def test_a_file_can_be_no_run_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="can't be a run's folder"), sole_driver(tmp_path / "file"):
        pass


def test_what_runs_and_has_ended_is_told(tmp_path: Path) -> None:
    with sole_driver(tmp_path) as signs:
        signs.runs("a", machine="fan", epoch=1)
        signs.runs("b", machine="valve")
        signs.ended("b")
        signs.runs("a", epoch=2)
        signs._write()
        driver = read_driver(tmp_path)
        assert driver is not None
        assert list(driver.running) == ["a"]
        assert (driver.running["a"]["machine"], driver.running["a"]["epoch"]) == ("fan", 2)


def test_a_driver_of_another_host_lives_by_its_last_sign(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    alive, dead = (
        Driver(1, "elsewhere", now.isoformat(), (now - age).isoformat())
        for age in (timedelta(seconds=5), timedelta(minutes=5))
    )
    assert (alive.is_alive, dead.is_alive) == (True, False)


def test_what_a_killed_driver_left_half_written_goes(tmp_path: Path) -> None:
    left = tmp_path / "driver.json.0a1b2c3d.partial"
    left.write_text("{")
    with sole_driver(tmp_path):
        assert not left.exists()


@pytest.mark.parametrize("pid", ['"x"', "null", "[]"])
def test_a_driver_that_is_none_is_nobody(pid: str, tmp_path: Path) -> None:
    (tmp_path / "driver.json").write_text(f'{{"pid": {pid}, "host": "a", "since": "b"}}')
    assert read_driver(tmp_path) is None


def test_a_damaged_file_is_nobody(tmp_path: Path) -> None:
    (tmp_path / "driver.json").write_text("{")
    assert read_driver(tmp_path) is None
    (tmp_path / "driver.json").write_text(json.dumps({"another": "thing"}))
    assert read_driver(tmp_path) is None
