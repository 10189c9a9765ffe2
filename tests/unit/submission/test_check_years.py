"""The check of packages of other years than 2021."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.unit.submission.systems import authors, small_systems

from oddsound.cli.submission import submission
from oddsound.errors import SubmissionError
from oddsound.scoring.score_rows import CellKey
from oddsound.scoring.years import YEARS, has_decisions
from oddsound.submission.check import check_package, year_of
from oddsound.submission.expected import evaluation_set
from oddsound.submission.package import write_submission
from oddsound.submission.reading import read_package

LABEL = "Kim_EXU_task2_1"


@pytest.fixture(scope="module")
def meta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = write_submission(small_systems(["fan"])[:1], tmp_path_factory.mktemp("meta"), authors())
    return made.folder / LABEL / f"{LABEL}.meta.yaml"


def clip(key: CellKey, number: int, first: int) -> str:
    if key.layout == "2020":
        return f"id_{key.section}_{number:08d}.wav"
    domain = f"_{key.domain}_test" if key.layout == "2021" else ""
    return f"section_{key.section}{domain}_{first + number:04d}.wav"


@pytest.fixture
def package(meta: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Makes the package of a year's whole evaluation set, three clips a CSV."""

    def make(name: str) -> Path:
        year, folder = YEARS[name], tmp_path / name / "task2" / LABEL
        folder.mkdir(parents=True)
        shutil.copyfile(meta, folder / meta.name)
        for key in evaluation_set(year):
            clips = [clip(key, i, year.first_number or 0) for i in range(3)]
            (folder / key.file("anomaly_score")).write_text("".join(f"{c},0.5\n" for c in clips))
            if has_decisions(year.layout):
                (folder / key.file("decision_result")).write_text("".join(f"{c},1\n" for c in clips))
        return folder.parent.parent

    return make


def run(*arguments: object) -> Result:
    return CliRunner().invoke(submission, ["check", *map(str, arguments)])


@pytest.mark.parametrize("year", YEARS)
def test_each_year_passes_and_is_told_by_itself(package: Callable[[str], Path], year: str) -> None:
    path = package(year)
    assert year_of(read_package(path)).name == year
    for options in ([], ["--year", year]):
        result = run(path, *options)
        assert result.exit_code == 0, result.output
        assert result.stderr == f"expected: the evaluation set of {year}\n"
        n = len(evaluation_set(YEARS[year]))
        assert result.stdout == f"{LABEL}: ok, {n} cells, {3 * n} clips\n"


def test_another_years_package_is_refused(package: Callable[[str], Path]) -> None:
    result = run(package("2023"), "--year", "2025")
    assert isinstance(result.exception, SubmissionError)
    assert f"{LABEL}/anomaly_score_Vacuum_section_00_test.csv:1: this machine type" in result.stdout
    assert f"{LABEL}/anomaly_score_AutoTrash_section_00_test.csv:1: is missing; add it" in result.stdout
    assert run(package("2024"), "--year", "1999").exit_code != 0


def test_a_missing_machine_type_is_named_though_the_year_is_guessed(package: Callable[[str], Path]) -> None:
    path = package("2024")
    for csv in path.rglob("*_3DPrinter_*.csv"):
        csv.unlink()
    found = [str(problem) for problem in check_package(path)]
    assert found == [
        f"{LABEL}/anomaly_score_3DPrinter_section_00_test.csv:1: is missing; add it",
        f"{LABEL}/decision_result_3DPrinter_section_00_test.csv:1: is missing; add it",
    ]


LATE = "anomaly_score_fan_section_03_test.csv"
WRONG = [
    ("2022", LATE, "section_03_0000", "section_03_0001", "stands twice"),
    ("2022", LATE, "section_03_0000", "section_03_0009", "section_03_0000 is missing before"),
    ("2022", LATE, "section_03_0000", "section_03_source_test_0000", "says its domain"),
    ("2022", LATE, "section_03_0000", "section_03_source_test_normal_0000", "says its label"),
    ("2022", LATE, "section_03_0000", "section_04_0000", "is of section 04, this file of section 03"),
    ("2022", LATE, "section_03_0000", "id_03_00000000", "isn't named as in the year"),
    ("2024", "anomaly_score_Scanner_section_00_test.csv", "section_00_0001", "section_00_0000",
     "numbered from 1; remove its row"),
    ("2020", "anomaly_score_fan_id_01.csv", "id_01_00000000", "section_01_0000", "isn't named as in"),
]  # fmt: skip


@pytest.mark.parametrize(("year", "csv", "old", "new", "says"), WRONG)
def test_a_wrong_name(
    package: Callable[[str], Path], year: str, csv: str, old: str, new: str, says: str
) -> None:
    path = package(year)
    scores = path / "task2" / LABEL / csv
    scores.write_text(scores.read_text().replace(old, new, 1))
    found = [problem for problem in check_package(path) if problem.file == f"{LABEL}/{csv}"]
    assert any(says in problem.what for problem in found), found


def test_a_csv_must_be_spelt_as_the_year_asks(package: Callable[[str], Path]) -> None:
    path = package("2022")
    csv = path / "task2" / LABEL / "anomaly_score_fan_section_03_test.csv"
    csv.rename(csv.with_name("anomaly_score_fan_section_3_test.csv"))
    text = "\n".join(str(problem) for problem in check_package(path))
    assert "anomaly_score_fan_section_3_test.csv:1: no file of a system has this name" in text
    assert "anomaly_score_fan_section_03_test.csv:1: is missing" in text


def test_2020_asked_for_no_decisions(package: Callable[[str], Path]) -> None:
    path = package("2020")
    (path / "task2" / LABEL / "decision_result_fan_id_01.csv").write_text("id_01_00000000.wav,1\n")
    (problem,) = check_package(path)
    assert "no file of a system has this name" in problem.what


def test_only_one_thing_says_what_is_expected(package: Callable[[str], Path]) -> None:
    path = package("2020")
    result = run(path, "--year", "2020", "--ground-truth", path)
    assert result.exit_code == 2
    assert "give one of them" in result.stderr
