"""`oddsound report` as it is typed, and as a run's last step."""

from pathlib import Path

import pytest
from tests.unit.report.runs import begin

from oddsound.cli import report as command
from oddsound.cli.main import main


@pytest.fixture
def run(small_data: Path, tmp_path: Path) -> Path:
    return begin(tmp_path / "run", small_data, ("fan", "valve"))


def report(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["report", *map(str, words)])
    return int(ended.value.code or 0)


def test_the_path_is_data_and_the_rest_is_talk(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(run) == 0
    said = capsys.readouterr()
    assert said.out == f"{run / 'report.html'}\n"
    assert said.err.splitlines()[:3] == ["report of systems", "report of fan", "report of valve"]
    assert (run / "report.html").read_text().startswith("<!DOCTYPE html>")
    assert sorted(path.name for path in run.iterdir()) == ["report.html", "run.json"]


def test_of_some_machine_types_somewhere_else(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "valve.html"
    assert report(run, "--machines", "valve", "--out", out, "--no-audio") == 0
    page = out.read_text()
    assert ">valve</h2>" in page and ">fan</h2>" not in page
    assert not (run / "report.html").exists()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["{tmp}"], 2, "no run.json here"),
        (["{run}", "--machines", "valv"], 2, "did you mean valve? it has fan, valve"),
        (["{run}", "--out", "{run}/run.json/page.html"], 2, "no folder"),
        (["{run}", "--out", "/proc/page.html"], 2, "can't be written there"),
        (["{run}", "--out", "{tmp}"], 2, "a folder; give a file's name in it"),
    ],
)
def test_what_can_not_be_is_one_line(
    words: list[str], code: int, message: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(*(word.format(run=run, tmp=tmp_path) for word in words)) == code
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("oddsound: ") and message in last


def test_a_runs_end_survives_a_page_that_can_not_be_written(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command.report_at_end(run)
    assert f"report      {run / 'report.html'}" in capsys.readouterr().err
    (run / "report.html").unlink()
    (run / "report.html").mkdir()
    command.report_at_end(run)
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("no report: IsADirectoryError") and f"`oddsound report {run}` tries again" in said
