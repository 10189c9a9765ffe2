"""What was asked for is asked for again from any folder."""

import json
import shlex
import sys
from pathlib import Path

import pytest

from oddsound.cli.resume import as_asked, asked_again, command_line
from oddsound.cli.search import search
from oddsound.errors import ConfigError
from oddsound.search.record import RunRecord

OPTIONS = {
    "machines": ["fan"],
    "space": None,
    "configs": ("smoke", "own.yaml"),
    "settings": ("loss.rho=0.1",),
    "weights": ("audioset=cnn.pth",),
    "spaces": Path("spaces"),
    "cache": None,
    "stage": Path("/scratch"),
    "authors": None,
    "trials": 3,
    "accept_change": True,
    "insecure": True,
    "tracking_uri": "sqlite:///rel.db",
    "warm_start": None,
    "pinned": (),
}


def recorded() -> RunRecord:
    """As run.json has it."""
    return RunRecord("s", "demo", "/data", None, command=json.loads(json.dumps(as_asked(OPTIONS))))


def test_relative_paths_are_of_the_folder_that_they_were_given_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own.yaml").touch()
    monkeypatch.chdir(tmp_path)
    record = recorded()
    monkeypatch.chdir("/")
    again = asked_again(record, Path("run"), {})
    assert Path.cwd() == tmp_path, "so that they hold"
    assert again["configs"] == ("smoke", "own.yaml")
    assert again["weights"] == ("audioset=cnn.pth",)
    assert again["spaces"].absolute() == tmp_path / "spaces"
    assert again["stage"] == Path("/scratch")


def test_what_is_given_now_is_of_the_folder_that_it_is_given_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "now.yaml").touch()
    record = recorded()
    monkeypatch.chdir(tmp_path)
    given = {"configs": ("now.yaml", "smoke"), "spaces": Path("own"), "tracking_uri": "sqlite:///a.db"}
    again = asked_again(record, Path("run"), given | {"settings": ("loss.rho=0.2",)})
    assert again["configs"] == ("smoke", "own.yaml", str(tmp_path / "now.yaml"), "smoke")
    assert again["settings"] == ("loss.rho=0.1", "loss.rho=0.2"), "the last one holds"
    assert again["spaces"] == tmp_path / "own"
    assert again["tracking_uri"] == f"sqlite:///{tmp_path / 'a.db'}"


def test_the_rest_is_as_it_was_given_but_for_what_holds_once() -> None:
    again = asked_again(recorded(), Path("run"), {})
    alike = ("space", "settings", "trials", "pinned", "cache")
    assert {name: again[name] for name in alike} == {name: OPTIONS[name] for name in alike}
    assert not {"accept_change", "insecure", "machines"} & again.keys()
    assert again["tracking_uri"] is None, "the run's own"


def test_a_run_of_before_commands_were_kept_is_refused_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="doesn't say how it was begun; give the whole command again"):
        asked_again(RunRecord("s", "demo", "/data", None), tmp_path, {})
    with pytest.raises(ConfigError, match="doesn't say how it was begun"):
        asked_again(RunRecord("s", "demo", "/data", None, command={"cwd": "/"}), tmp_path, {})


def test_the_command_line_asks_for_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rec ordings").mkdir()
    words = (
        "--trials 7 --asha --asha-grace 5 --memory-per-trial 1.5 --set loss.rho=0.1 --set recipe=ae --seed 3"
    )
    given = ["rec ordings", "--out", "RUN", "--machines", "fan,valve", *words.split()]
    asked = search.make_context("search", list(given)).params
    kept = {name: value for name, value in asked.items() if name not in ("data", "out", "resumed")}
    command = json.loads(json.dumps(as_asked(kept)))
    data = str(tmp_path / "rec ordings")
    record = RunRecord("s", "demo", data, None, machines={"fan": {}, "valve": {}}, command=command)
    line = command_line(record)
    assert line.startswith("oddsound search 'rec ordings' --out RUN \\\n    --machines fan,valve \\\n")
    again = shlex.split(line.replace("\\\n", " "))
    assert search.make_context("search", again[2:]).params == asked


def test_a_table1_is_asked_for_as_one() -> None:
    options = OPTIONS | {"space": "table1", "trials": sys.maxsize, "settings": ()}
    command = json.loads(json.dumps(as_asked(options)))
    line = command_line(RunRecord("s", "demo", "/data", None, machines={"fan": {}}, command=command))
    assert line.startswith("oddsound table1 /data --out RUN") and "--trials" not in line
