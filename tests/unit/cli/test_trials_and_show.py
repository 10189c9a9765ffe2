"""`oddsound trials` and `oddsound show` on run folders that are made by hand, with trials in every state."""

import csv
import io
import json
import os
import socket
from dataclasses import asdict
from pathlib import Path

import pytest
from tests.unit.tracking.small_bundles import failed_bundle, small_bundle, stopped_bundle

from oddsound.cli.main import main
from oddsound.config import TrialConfig
from oddsound.errors import ConfigError
from oddsound.search.driver import Driver
from oddsound.search.record import RunRecord, write_record
from oddsound.search.trials import find_trial, trial_rows
from oddsound.training.bundle import Bundle

SPACE = {"loss.rho": "FloatDistribution()", "training.epochs": "IntDistribution()"}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Of fan two are finished, the others stopped, failed, interrupted and damaged; of valve one is
    finished."""
    run = tmp_path / "run"
    small_bundle(run / "trials", 0, 0.6, rho=0.05)
    small_bundle(run / "trials", 1, 0.7, rho=0.2)
    stopped_bundle(run / "trials", 2, [0.5, 0.55, 0.52], rung=2)
    failed = failed_bundle(run / "trials")
    failed.log.write_text("".join(f"line {n}\n" for n in range(30)))
    begun(run, "fan", 4)
    small_bundle(run / "trials", 5, 0.9).write("result.json", {"trial": 3})
    small_bundle(run / "trials", 0, 0.8, machine="valve")
    record = RunRecord("search", "data", "/data", None, {"fan": {"space": SPACE}, "valve": {"space": SPACE}})
    write_record(run, record)
    return run


def begun(run: Path, machine: str, seed: int) -> Bundle:
    config = TrialConfig.model_validate({"machine": machine, "training": {"seed": seed}})
    bundle = Bundle(run / "trials" / machine / config.identity)
    bundle.path.mkdir(parents=True)
    bundle.write("config.json", config.model_dump())
    return bundle


def oddsound(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


def test_a_row_a_trial_the_best_of_each_machine_type_first(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = oddsound(capsys, "trials", run)
    assert code == 0
    rows = [line.split() for line in out.splitlines()]
    assert rows[0][-2:] == ["rho", "training.epochs"]
    assert [(row[0], row[2]) for row in rows[1:]] == [
        ("fan", "finished"),
        ("fan", "finished"),
        ("fan", "stopped"),
        *[("fan", row[2]) for row in rows[4:7]],
        ("valve", "finished"),
    ]
    assert {row[2] for row in rows[4:7]} == {"failed", "interrupted", "damaged"}
    assert rows[1][3:5] == ["1", "70.00"]
    assert rows[3][3:7] == ["2", "55.00", "-", "-"], "the omega that it was judged by"
    assert err.startswith(f"next        oddsound show {run} ")


def test_the_same_as_json_and_csv(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(oddsound(capsys, "trials", run, "--json")[1])
    rows = list(csv.DictReader(io.StringIO(oddsound(capsys, "trials", run, "--csv")[1])))
    assert len(document) == len(rows) == 7
    for one, other in zip(document, rows, strict=True):
        assert (one["trial"], one["state"]) == (other["trial"], other["state"])
        assert other["omega"] == ("" if one["omega"] is None else repr(one["omega"]))
        assert other["loss.rho"] == ("" if not one["params"] else repr(one["params"]["loss.rho"]))
    assert document[0]["auc"] == pytest.approx(4 / sum(1 / (0.7 + 0.01 * n) for n in range(4)), abs=1e-9)
    assert rows[0]["seconds"] == "90.5"


@pytest.mark.parametrize(
    ("sort", "numbers"),
    [("omega", ["1", "0", "2"]), ("number", ["0", "1", "2"]), ("loss.rho", ["0", "2", "1"])],
)
def test_sorted_by_a_column(
    sort: str, numbers: list[str], run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = oddsound(capsys, "trials", run, "--machine", "fan", "--sort", sort, "--csv")[1]
    found = [row["number"] for row in csv.DictReader(io.StringIO(out))]
    assert [number for number in found if number] == numbers


def test_the_top_of_each_machine_type(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(oddsound(capsys, "trials", run, "--top", 1, "--json")[1])
    assert [(row["machine"], row["omega"]) for row in found] == [("fan", 0.7), ("valve", 0.8)]


def test_a_trial_that_a_living_driver_runs_is_running(run: Path) -> None:
    name = begun(run, "valve", 7).path.name
    driver = Driver(os.getpid(), socket.gethostname(), "2026-01-01T00:00:00+00:00", running={name: {}})
    (run / "driver.json").write_text(json.dumps(asdict(driver)))
    states = {row.trial: row.state for row in trial_rows(run, "valve")}
    assert states[name] == "running"


def test_a_config_that_cannot_be_read_is_damaged(run: Path) -> None:
    bundle = begun(run, "valve", 8)
    (bundle.path / "config.json").write_text("{")
    assert [row.state for row in trial_rows(run, "valve") if row.trial == bundle.path.name] == ["damaged"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trials", "{run}", "--sort", "omga"], "--sort omga: no such column; did you mean omega?"),
        (["trials", "{run}", "--machine", "fam"], "has no machine type fam; did you mean fan?"),
        (["trials", "{run}/trials"], "no run.json here"),
        (["trials", "{run}", "--json", "--csv"], "not both"),
        (["show", "{run}", "zzz"], "no trial zzz; `oddsound trials {run}` names them all"),
        (["show", "{run}", "fam/0"], "did you mean fan?"),
        (["show", "{run}", ""], "no trial"),
    ],
)
def test_a_mistake_is_named(
    arguments: list[str], message: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = oddsound(capsys, *(argument.format(run=run) for argument in arguments))
    assert (code, out) == (2, "")
    assert message.format(run=run) in err


def test_an_ambiguous_beginning_is_answered_with_what_it_can_be(run: Path) -> None:
    for machine, name in (("fan", "ab12"), ("valve", "ab34")):
        folder = run / "trials" / machine / name
        folder.mkdir()
        (folder / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="ab can be fan/ab12, valve/ab34; give more of it"):
        find_trial(run, "ab")
    assert find_trial(run, "ab3")[1].path.name == "ab34"
    assert find_trial(run, "fan/ab")[0] == "fan"


def identity(run: Path, state: str, machine: str = "fan") -> str:
    return next(row.trial for row in trial_rows(run, machine) if row.state == state)


def test_a_finished_trial_is_shown_whole(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = identity(run, "finished", "valve")
    code, out, _ = oddsound(capsys, "show", run, name[:6])
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == f"valve {name}, trial 0: finished 2026-01-02T03:04:05.250000+00:00"
    assert lines[1] == "omega 80.00 %"
    settings = [line.split() for line in lines if line.startswith(("loss.rho", "training.epochs"))]
    assert settings == [["loss.rho", "0.1", "0.07"], ["training.epochs", "3", "300"]]
    assert out.index("loss.rho") < out.index("as the default: ")
    assert "00             source    80.00     84.00" in out
    assert "weights.safetensors" in out
    assert lines[-1] == f"use         oddsound predict --model {run}/trials/valve/{name} DIR_OR_WAV"


def test_a_failed_trial_says_why_with_the_end_of_its_log(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = oddsound(capsys, "show", run, identity(run, "failed"), "--log-lines", 2)
    assert "failed: loss is not finite\nthe end of trial.log:\n  line 28\n  line 29\n" in out
    assert "predict" not in out


@pytest.mark.parametrize("state", ["finished", "stopped", "failed", "interrupted", "damaged"])
def test_every_state_is_shown_and_is_json(state: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = identity(run, state)
    assert oddsound(capsys, "show", run, name)[1].startswith(f"fan {name}")
    document = json.loads(oddsound(capsys, "show", run, name, "--json")[1])
    assert (document["state"], document["trial"]) == (state, name)
    assert (document["result"] is not None) == (state == "finished")
    assert document["files"]["config.json"] > 0


@pytest.mark.parametrize(
    ("name", "text"),
    [("result.json", "{"), ("result.json", '{"trial": 1}'), ("config.json", "[]"), ("history.json", "")],
)
def test_what_is_damaged_is_named_with_the_remedy(
    name: str, text: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trial = identity(run, "finished")
    (run / "trials" / "fan" / trial / name).write_text(text)
    out = oddsound(capsys, "show", run, trial)[1]
    assert out.startswith(f"fan {trial}: damaged")
    assert f"\ndamaged: {run}/trials/fan/{trial}/{name}: " in out
    (line,) = [line for line in out.splitlines() if line.startswith("damaged: ")]
    assert line.endswith("; remove the folder, and the search makes it again")


def test_what_a_packaged_trial_shows_it_can_be_used_by(trained: Path, tmp_path: Path) -> None:
    """A trial as training writes it, not one made by hand."""
    (tmp_path / "trials").symlink_to(trained)
    write_record(tmp_path, RunRecord("s", "d", "/d", None, {"fan": {"space": SPACE}, "valve": {}}))
    rows = trial_rows(tmp_path)
    assert [row.state for row in rows] == ["finished"] * 3
    assert all(row.epochs == row.of_epochs == 1 and row.auc and row.pauc and row.seconds for row in rows)
