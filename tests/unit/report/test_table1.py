"""Means, differences and missing figures of Table 1."""

import subprocess
import sys

import pytest
from tests.unit.report.tables import two_machines

from oddsound.errors import ScoreError
from oddsound.report.paper_figures import MACHINES, PAPER
from oddsound.report.table1 import Figure, Measured, Table1, Table1Row, build_table1


def rows_of(table: Table1) -> dict[str, Table1Row]:
    return {row.name: row for row in table.rows}


def test_all_rows_of_the_paper_are_there_and_its_machine_types_in_its_order() -> None:
    table = two_machines()
    assert [row.name for row in table.rows] == list(PAPER)
    assert table.machines == ("fan", "slider")


def test_figures_and_differences_by_hand() -> None:
    effnet = rows_of(two_machines())["effnet"]
    assert effnet.figure("slider") == Figure(67.46, 70.0)
    assert effnet.figure("slider").difference == 2.54
    assert effnet.figure("fan").difference == -1.11
    assert effnet.figure("slider", "omega_best_dev") == Figure(67.46, 71.23)


def test_the_means_are_of_the_same_machine_types() -> None:
    effnet = rows_of(two_machines())["effnet"]
    assert effnet.mean_figure() == Figure(round((66.11 + 67.46) / 2, 2), 67.5)
    assert effnet.mean is not None and effnet.mean.omega_best_dev == pytest.approx((0.71234 + 0.6611) / 2)


def test_no_mean_where_a_machine_type_is_missing() -> None:
    rows = rows_of(two_machines())
    assert rows["effnet_pretrain"].mean is None
    assert rows["effnet_pretrain"].mean_figure().difference is None
    assert rows["S1"].mean == Measured(0.675, None)
    assert rows["S4"].machines == {"fan": None, "slider": None}


def test_a_machine_type_that_failed_everywhere_stays_in_the_means() -> None:
    measured = {"effnet": {"fan": Measured(0.6)}}
    assert rows_of(build_table1(measured))["effnet"].mean == Measured(0.6)
    assert rows_of(build_table1(measured, ["fan", "pump"]))["effnet"].mean is None


def test_the_printed_average_beside_all_seven() -> None:
    table = build_table1({"S2": {machine: Measured(0.7) for machine in reversed(MACHINES)}})
    s2 = rows_of(table)["S2"]
    assert (table.machines, table.mean_title) == (MACHINES, "Avg.")
    assert s2.mean_figure() == Figure(67.78, 70.0)
    assert "as printed" in table.mean_note


def test_a_machine_type_unknown_to_the_paper() -> None:
    table = build_table1({"effnet": {"bandsaw": Measured(0.5), "fan": Measured(0.7)}})
    effnet = rows_of(table)["effnet"]
    assert table.machines == ("fan", "bandsaw")
    assert effnet.figure("bandsaw") == Figure(None, 50.0)
    assert effnet.figure("bandsaw").difference is None
    assert effnet.mean_figure() == Figure(None, 60.0)
    assert "no bandsaw" in table.mean_note


def test_a_row_unknown_to_the_paper_comes_last() -> None:
    table = build_table1({"loudness": {"fan": Measured(0.5)}, "S4": {"fan": Measured(0.6)}})
    assert table.rows[-1].name == table.rows[-1].title == "loudness"
    assert table.rows[-1].figure("fan") == Figure(None, 50.0)
    assert table.rows[-1].paper_mean is None


@pytest.mark.parametrize("n, title", [(1, "mean of 1"), (2, "mean of 2")])
def test_the_heading_says_over_how_many(n: int, title: str) -> None:
    table = build_table1({}, MACHINES[:n])
    assert table.mean_title == title
    assert all(machine in table.mean_note for machine in MACHINES[:n])


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -0.01, 57.9])
def test_only_fractions_are_omega(bad: float) -> None:
    with pytest.raises(ScoreError, match="fraction from 0 to 1"):
        Measured(bad)
    with pytest.raises(ScoreError):
        Measured(0.5, bad)


@pytest.mark.parametrize("name", ["", " ", "a\nb", "\x1b[2J", "\u202efan", "\udcff"])
def test_names_are_printable_text(name: str) -> None:
    with pytest.raises(ScoreError, match="printable"):
        build_table1({"effnet": {name: Measured(0.5)}})
    with pytest.raises(ScoreError, match="printable"):
        build_table1({name: {"fan": Measured(0.5)}})


def test_a_table_of_no_machine_type_is_refused() -> None:
    with pytest.raises(ScoreError, match="at least one machine type"):
        build_table1({"effnet": {}})


def test_a_difference_is_of_what_is_shown() -> None:
    table = build_table1({"effnet": {"fan": Measured(0.661149)}})
    figure = rows_of(table)["effnet"].figure("fan")
    assert str(figure.difference) == "0.0"


def test_the_room_is_light() -> None:
    """Reading a report needs neither torch nor Ray nor MLflow."""
    code = "import sys, oddsound.report.files; print({'torch', 'ray', 'mlflow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
