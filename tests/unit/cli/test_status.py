"""`oddsound status` on run folders that are made by hand, and with MLflow there, away, or never begun."""

import json
import os
import socket
from dataclasses import asdict
from pathlib import Path

import pytest
from tests.unit.tracking.small_bundles import failed_bundle, small_bundle

from oddsound.cli.main import main
from oddsound.search.driver import Driver
from oddsound.search.record import RunRecord, write_record
from oddsound.tracking.layout import Search
from oddsound.tracking.store import open_store
from oddsound.tracking.sync import sync
from oddsound.tracking.unsent import unsent
from oddsound.training.bundle import bundles

SEARCH = Search("search", "data")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two of fan's three trials are finished, one failed; valve's one is missing."""
    run = tmp_path / "run"
    for number in (0, 1):
        small_bundle(run / "trials", number, 0.6 + number / 100)
    failed_bundle(run / "trials")
    record = RunRecord(SEARCH.id, SEARCH.dataset, "/data", None, {"fan": {}, "valve": {}})
    record.wanted = {"fan": 3, "valve": 1}
    write_record(run, record)
    return run


def status(run: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["status", str(run), *more])
    said = capsys.readouterr()
    assert not ended.value.code, said.err
    return said.out, said.err


def test_a_row_a_machine_type_and_the_total(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, err = status(run, capsys)
    rows = [line.split() for line in out.splitlines()]
    assert rows[0] == ["machine", "done", "running", "failed", "unsynced", "best", "omega", "time", "left"]
    assert rows[1] == ["fan", "2/3", "-", "1", "2", "61.00%", "?"]
    assert rows[2] == ["valve", "0/1", "-", "-", "-", "-", "?"]
    assert rows[3] == ["total", "2/4", "-", "1", "2", "-", "?"]
    assert err.splitlines() == ["driver      nobody drives it", f"next        oddsound search --resume {run}"]
    assert not (run / "mlflow").exists(), "no database is made"


def test_what_mlflow_has_is_synced(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = [bundle for bundle in bundles(run / "trials", "fan") if bundle.is_whole]
    sync(open_store(None, run / "mlflow"), SEARCH, {"fan": [first]})
    found = {"fan": [first, second], "valve": []}
    assert unsent(None, run / "mlflow", SEARCH, found) == {"fan": {second.path.name}, "valve": set()}
    document = json.loads(status(run, capsys, "--json")[0])
    assert (document["machines"]["fan"]["unsynced"], document["total"]["unsynced"]) == (1, 1)
    assert document["tracking_problem"] is None


def test_an_mlflow_that_is_away_is_no_error(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | {"tracking_uri": "http://127.0.0.1:9"}))
    out, err = status(run, capsys)
    assert out.splitlines()[1].split()[4] == "?"
    assert "unsynced is not known: no MLflow server answers at http://127.0.0.1:9" in err
    document = json.loads(status(run, capsys, "--json")[0])
    assert document["machines"]["fan"]["unsynced"] is None
    assert "127.0.0.1:9" in document["tracking_problem"]


def test_whoever_drives_it_is_named(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    running = {"abc": {"machine": "valve", "number": 0, "epoch": 1, "epochs": 4, "since": "2026-01-01T00:00"}}
    driver = Driver(os.getpid(), socket.gethostname(), "2026-01-01T00:00:00+00:00", running=running)
    driver.beat = "2026-01-01T00:01:00+00:00"
    (run / "driver.json").write_text(json.dumps(asdict(driver)))
    out, err = status(run, capsys, "--json")
    document = json.loads(out)
    assert document["driver"]["pid"] == os.getpid()
    assert document["driver"]["alive"]
    assert document["machines"]["valve"]["running"] == 1
    assert document["total"]["eta_s"] > 0
    assert "next" not in err


def test_what_is_next_when_all_is_done(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = json.loads((run / "run.json").read_text()) | {"wanted": {"fan": 2}}
    del record["machines"]["valve"]
    (run / "run.json").write_text(json.dumps(record))
    out, err = status(run, capsys)
    assert out.splitlines()[1].split()[-1] == "-"
    assert f"next        oddsound sync {run}" in err


def test_the_stages_after_a_search_come_one_by_one(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = json.loads((run / "run.json").read_text()) | {"wanted": {"fan": 2}}
    del record["machines"]["valve"]
    (run / "run.json").write_text(json.dumps(record))
    sync(open_store(None, run / "mlflow"), SEARCH, {"fan": list(bundles(run / "trials", "fan"))})
    assert f"next        oddsound submit {run}" in status(run, capsys)[1]
    (run / "submission").mkdir()
    assert f"next        oddsound report {run}" in status(run, capsys)[1]
    (run / "report.html").touch()
    assert "next" not in status(run, capsys)[1]
