"""S1 to S4 of a report: as the package has them, or built of the trials; and Table 1 of both."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.report.runs import machines_of

from oddsound.report.measured import table1_of
from oddsound.report.run_folder import MachineRun
from oddsound.report.systems import Systems, read_systems
from oddsound.scoring.bootstrap import bootstrap
from oddsound.scoring.omega import cells, omega


def listing(machines: list[str], members: dict[str, list[str]]) -> dict[str, Any]:
    """A systems.json of two systems."""
    interval = {"estimate": 0.62, "lower": 0.55, "upper": 0.71}
    optimism = {"naive": 0.62, "corrected": 0.5, "spread": 0.07}
    of = {
        machine: {
            "fusion": "best",
            "pinned_to_s1": "worse",
            "omega": 0.61,
            "omega_of_the_fusion": 0.52,
            "members": [{"trial": trial, "omega": 0.6, "weights_sha256": "w"} for trial in members[machine]],
        }
        for machine in machines
    }
    estimates = {name: {"interval": interval, "optimism": optimism} for name in (*machines, "mean")}
    return {"systems": [{"number": n, "name": "x", "machines": of, "estimates": estimates} for n in (1, 2)]}


@pytest.fixture
def submitted(made_run: Path, tmp_path: Path) -> Path:
    """The made run with a package of fan and valve."""
    run = tmp_path / "run"
    shutil.copytree(made_run, run)
    best = {machine: of.best for machine, of in machines_of(run).items() if of.best}
    members = {machine: [trial.identity] for machine, trial in best.items()}
    (run / "submission").mkdir()
    (run / "submission" / "systems.json").write_text(json.dumps(listing(["fan", "valve"], members)))
    return run


def systems_of(run: Path, *machines: str) -> tuple[Systems, list[MachineRun]]:
    known = machines_of(run)
    chosen = [known[machine] for machine in machines or known]
    return read_systems(run, chosen), chosen


def test_as_the_package_has_them(submitted: Path) -> None:
    found, _ = systems_of(submitted)
    assert (found.source, found.lacking) == ("listed", ())
    assert [system.name for system in found.systems] == ["S1", "S2"]
    part, mean = found.systems[0].machines["fan"], found.systems[0].mean
    assert (part.omega, part.omega_raw, part.pinned) == (0.61, 0.52, "worse")
    assert part.interval is not None and (part.interval.lower, part.interval.upper) == (0.55, 0.71)
    assert mean is not None and mean.estimate == 0.62
    assert found.systems[0].corrected == (0.5, 0.07)


def test_of_some_machine_types_there_is_no_mean(submitted: Path) -> None:
    found, _ = systems_of(submitted, "fan")
    assert list(found.systems[0].machines) == ["fan"]
    assert found.systems[0].mean is None and found.systems[0].corrected is None


def test_a_better_trial_than_the_package_has_is_said(submitted: Path) -> None:
    path = submitted / "submission" / "systems.json"
    path.write_text(json.dumps(listing(["fan", "valve"], {"fan": ["gone"], "valve": ["gone"]})))
    found, _ = systems_of(submitted, "fan")
    assert "fan: its best trial is in no system" in found.lacking[0]


SPOILT: list[Callable[[dict[str, Any]], Any]] = [
    lambda _: [],
    lambda d: {"systems": [{"number": 1}]},
    lambda d: d["systems"][0]["machines"]["fan"].update(omega=float("nan")) or d,
    lambda d: d["systems"][0]["machines"]["fan"].update(omega="<script>") or d,
    lambda d: d["systems"][0]["estimates"]["fan"]["interval"].update(lower=2.0) or d,
]


@pytest.mark.parametrize("spoil", SPOILT)
def test_a_damaged_listing_is_said_and_the_trials_count(
    submitted: Path, spoil: Callable[[dict[str, Any]], Any]
) -> None:
    path = submitted / "submission" / "systems.json"
    path.write_text(json.dumps(spoil(json.loads(path.read_text()))))
    found, _ = systems_of(submitted)
    assert found.source == "computed" and "systems.json can't be read" in found.lacking[0]


def test_built_of_the_trials(made_run: Path) -> None:
    found, machines = systems_of(made_run)
    assert found.source == "computed"
    assert [system.name for system in found.systems] == ["S1", "S2", "S3", "S4"]
    assert any(each.startswith("pump: no finished trial") for each in found.lacking)
    tables = {of.machine: of.best.bundle.scores() for of in machines if of.best}
    expected, first = bootstrap(tables), found.systems[0]
    assert first.mean == expected.mean
    for machine, table in tables.items():
        part = first.machines[machine]
        assert part.omega == pytest.approx(omega(cells(table)))
        assert part.interval == expected.machines[machine]
    assert len(found.systems[1].machines["fan"].members) in (1, 5)


def test_a_trial_without_scores_is_left_out(made_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(made_run, run)
    best = machines_of(run)["fan"].best
    assert best is not None
    best.bundle.scores_path.unlink()
    found, _ = systems_of(run, "fan")
    assert found.systems and best.identity not in found.systems[0].machines["fan"].members
    assert any("is left out of the systems" in each for each in found.lacking)


def test_table1_has_the_systems_own_omega(submitted: Path) -> None:
    found, machines = systems_of(submitted)
    table = table1_of(machines, found)
    assert [row.name for row in table.rows][-4:] == ["S1", "S2", "S3", "S4"]
    assert not any("baseline" in row.name for row in table.rows)
    rows = {row.name: row for row in table.rows}
    assert rows["S2"].figure("fan").ours == 52.0, "the fusion's, not S1's that stands in"
    assert rows["S2"].figure("pump").ours is None and rows["S2"].mean is None
    assert rows["effnet"].figure("fan").ours is None
