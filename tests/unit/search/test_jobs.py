"""Ray jobs from a checkout: which jobs, with which arguments and which code."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from oddsound.cli.main import oddsound
from oddsound.errors import ConfigError
from oddsound.search.jobs import Job, assemble, each_machine, refuse_relative_paths
from oddsound.search.space import spaces_folder

JOBS = Path(__file__).resolve().parents[3] / "jobs"
ENTRIES = sorted(path for path in JOBS.glob("*.py") if path.stem != "submit")


def test_a_command_is_quoted_for_the_shell_that_reads_it() -> None:
    job = Job.of("search", ["/data/my machines", "--set=loss.rho=0.1", "--out", "/runs/$HOME"])
    assert job.command == "python search.py '/data/my machines' --set loss.rho=0.1 --out '/runs/$HOME'"


@pytest.mark.parametrize("written", [["--out", "/runs/a"], ["--out=/runs/a"]])
def test_each_machine_type_gets_a_job_and_a_run_of_its_own(written: list[str]) -> None:
    jobs = each_machine(Job.of("search", ["/data", *written, "--machines=fan,pump", "--trials", "3"]))
    assert [job.command for job in jobs] == [
        f"python search.py /data --out /runs/a/{name} --machines {name} --trials 3"
        for name in ("fan", "pump")
    ]
    assert [job.run for job in jobs] == ["/runs/a/fan", "/runs/a/pump"]


def test_each_machine_type_is_resumed_in_its_own_run() -> None:
    job = Job.of("search", ["--resume", "/runs/a", "--machines", "fan"])
    assert [each.run for each in each_machine(job)] == ["/runs/a/fan"]


@pytest.mark.parametrize("words", [["/data", "--out", "/r"], ["/data", "--machines", "fan"]])
def test_each_machine_needs_machines_and_a_run(words: list[str]) -> None:
    with pytest.raises(ConfigError, match="--each-machine"):
        each_machine(Job.of("search", words))


@pytest.mark.parametrize(
    "words",
    [
        ["data", "--out", "/r"],
        ["/d", "--out", "runs/a"],
        ["/d", "--cache=c"],
        ["--file", "run.yaml"],
        ["-f", "run.yaml"],
        ["--resume", "./r"],
        ["/d", "--weights", "a=b"],
    ],
)
def test_a_relative_path_would_be_in_a_folder_that_ray_deletes(words: list[str]) -> None:
    with pytest.raises(ConfigError, match="absolute"):
        refuse_relative_paths(Job.of("search", words))


def test_absolute_paths_pass() -> None:
    refuse_relative_paths(
        Job.of("search", ["/d", "--out", "/r", "--set", "loss.rho=0.1", "--config", "smoke"])
    )


def test_what_is_sent_is_the_package_with_its_search_spaces(tmp_path: Path) -> None:
    package = assemble(tmp_path)
    assert package.name == "oddsound"
    assert (package / "cli" / "main.py").is_file()
    shipped = {path.name for path in spaces_folder().glob("*.yaml")}
    assert {path.name for path in (package / "search_spaces").iterdir()} == shipped
    assert not list(package.rglob("__pycache__"))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.stem)
def test_an_entry_point_starts_a_command_that_exists(entry: Path) -> None:
    tree = ast.parse(entry.read_text())
    typed = re.search(r"python jobs/submit\.py (\w+) ", ast.get_docstring(tree) or "")
    assert typed is not None and typed[1] == entry.stem
    call = next(node for node in ast.walk(tree) if isinstance(node, ast.List))
    command, *options = [part.value for part in call.elts if isinstance(part, ast.Constant)]
    known = {name for option in oddsound.commands[command].params for name in option.opts}
    assert {option for option in options if str(option).startswith("--")} <= known
    assert ("--ray-address" in options) == ("--ray-address" in known)


def test_submit_knows_every_entry_point() -> None:
    asked = subprocess.run([sys.executable, JOBS / "submit.py", "--help"], capture_output=True, text=True)
    known = re.search(r"\{([a-z0-9,]+)\}", asked.stdout)
    assert known is not None
    assert set(known[1].split(",")) == {entry.stem for entry in ENTRIES}
