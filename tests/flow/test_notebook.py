"""The notebook, executed on a real run: it ends, says nothing on stderr, and its table is the run's."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from tests.command_line import oddsound
from tests.flow.test_run import SETTINGS, arguments

from oddsound.report.paper_figures import PAPER
from oddsound.search.trials import trial_rows

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "notebook"
NOTEBOOK = FOLDER / "run_in_pandas.ipynb"


@pytest.fixture(scope="module")
def run(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two machine types with three trials each."""
    folder = tmp_path_factory.mktemp("pandas")
    (folder / "tiny.yaml").write_text(SETTINGS)
    line = arguments(small_data, folder / "run", folder / "tiny.yaml")
    ended = oddsound(*line)
    assert ended.returncode == 0, ended.stderr
    return folder / "run"


@pytest.fixture(scope="module")
def executed(run: Path) -> NotebookNode:
    out = run.parent / "executed.ipynb"
    line = [sys.executable, FOLDER / "execute.py", run, out]
    ended = subprocess.run(line, capture_output=True, text=True, timeout=280)
    assert ended.returncode == 0, ended.stderr
    return nbformat.read(out, as_version=4)


def figures(notebook: NotebookNode, cell: str) -> list[str]:
    """What stands in the table that the cell shows, row by row, without its headings."""
    outputs = next(each.outputs for each in notebook.cells if each.id == cell)
    page = next(output.data["text/html"] for output in outputs if output.output_type == "execute_result")
    return re.findall(r"<td>(.*?)</td>", page)


def assert_clean(notebook: NotebookNode) -> None:
    """Every cell was executed, in order and without an error or a word on stderr, and has no times."""
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        assert not cell.metadata
        assert {output.get("name", "stdout") for output in cell.outputs} <= {"stdout"}, cell.outputs
        assert "error" not in {output.output_type for output in cell.outputs}


@pytest.mark.slow
def test_it_ends_and_says_nothing_but_its_results(executed: NotebookNode) -> None:
    assert_clean(executed)


@pytest.mark.slow
def test_the_table_is_the_runs_beside_the_papers(run: Path, executed: NotebookNode) -> None:
    listed = json.loads((run / "submission" / "systems.json").read_text())["systems"]
    expected: list[float] = []
    for system, name in zip(listed, ("S1", "S2", "S3", "S4"), strict=True):
        ours = [100 * system["machines"][machine]["omega"] for machine in ("fan", "valve")]
        papers = [PAPER[name].omega[machine] for machine in ("fan", "valve")]
        expected += [*ours, sum(ours) / 2, *papers, sum(papers) / 2]
    shown = [float(figure) for figure in figures(executed, "table")]
    assert shown == pytest.approx(expected, abs=0.0051)


@pytest.mark.slow
def test_every_trial_is_in_its_frame(run: Path, executed: NotebookNode) -> None:
    shown = figures(executed, "trials")
    for row in trial_rows(run):
        at = shown.index(row.trial)
        assert row.omega is not None
        assert float(shown[at + 3]) == pytest.approx(row.omega, abs=1e-6)


@pytest.mark.slow
def test_a_figure_that_is_not_the_runs_ends_it(run: Path, tmp_path: Path) -> None:
    listing = run / "submission" / "systems.json"
    was = listing.read_text()
    changed = json.loads(was)
    changed["systems"][1]["machines"]["fan"]["omega"] += 0.01
    try:
        listing.write_text(json.dumps(changed))
        line = [sys.executable, FOLDER / "execute.py", run, tmp_path / "none.ipynb"]
        ended = subprocess.run(line, capture_output=True, text=True, timeout=280)
    finally:
        listing.write_text(was)
    assert ended.returncode != 0
    assert "AssertionError" in ended.stderr
    assert not (tmp_path / "none.ipynb").exists()


def test_the_committed_one_was_executed_and_names_no_place() -> None:
    """Its cells' names are given by hand, so that executing it again changes none."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert_clean(notebook)
    assert all(re.fullmatch(r"[a-z-]+", cell.id) for cell in notebook.cells)
    assert not re.search(r"[\"' (]/(home|root|tmp|Users)/", NOTEBOOK.read_text())
