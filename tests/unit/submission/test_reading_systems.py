"""The systems of a file, a folder, a package and a zip, and `evaluate` on each."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.unit.submission.systems import authors, small_systems

from oddsound.cli.evaluate import evaluate
from oddsound.ensemble.systems import System
from oddsound.errors import ScoreError, SubmissionError
from oddsound.scoring.omega import cells, omega
from oddsound.submission.package import Submission, write_submission
from oddsound.submission.reading import place_of, systems_at

LABELS = [f"Kim_EXU_task2_{number}" for number in (1, 2, 3, 4)]
CSV = "anomaly_score_fan_section_00_source_test.csv"


@pytest.fixture(scope="module")
def systems() -> tuple[System, ...]:
    return small_systems()


@pytest.fixture(scope="module")
def written(systems: tuple[System, ...], tmp_path_factory: pytest.TempPathFactory) -> Submission:
    """Four systems of labelled development clips."""
    return write_submission(systems, tmp_path_factory.mktemp("written"), authors())


def run(*arguments: object) -> Result:
    return CliRunner().invoke(evaluate, [str(a) for a in arguments])


def omegas(systems: tuple[System, ...]) -> dict[str, dict[str, float]]:
    return {
        label: {machine: omega(cells(of.table)) for machine, of in system.machines.items()}
        for label, system in zip(LABELS, systems, strict=True)
    }


def test_a_package_has_all_its_systems(written: Submission) -> None:
    for path in (written.archive, written.folder, written.folder.parent):
        found = systems_at(path)
        assert list(found) == LABELS
        assert {name for files in found.values() for name in files} == {
            path.name for path in written.folder.rglob("*.csv")
        }
        assert place_of(path, LABELS[0]) == f"{path}/{LABELS[0]}"


def test_one_folder_and_one_file(written: Submission) -> None:
    folder = written.folder / LABELS[1]
    assert systems_at(folder) == {LABELS[1]: systems_at(written.archive)[LABELS[1]]}
    assert place_of(folder, LABELS[1]) == str(folder)
    content = (folder / CSV).read_bytes()
    assert systems_at(folder / CSV) == {CSV.removesuffix(".csv"): {CSV: content}}
    assert place_of(folder / CSV, CSV) == str(folder)


def test_a_zip_of_csvs_alone_is_a_system_of_its_name(written: Submission, tmp_path: Path) -> None:
    path = tmp_path / "mine.zip"
    with zipfile.ZipFile(path, "w") as pack:
        for csv in (written.folder / LABELS[0]).glob("*.csv"):
            pack.write(csv, csv.name)
        pack.writestr("__MACOSX/._" + CSV, b"\0")
        pack.writestr("notes/readme.csv", "x")
    assert systems_at(path) == {"mine": systems_at(written.archive)[LABELS[0]]}


def test_what_has_no_score_csv_is_named(tmp_path: Path) -> None:
    with pytest.raises(SubmissionError, match="no such folder or zip"):
        systems_at(tmp_path / "none")
    with pytest.raises(SubmissionError, match=r"no anomaly_score_\*.csv in it"):
        systems_at(tmp_path)
    (tmp_path / "x.zip").write_text("no zip")
    with pytest.raises(SubmissionError, match=r"x.zip: can't be read"):
        systems_at(tmp_path / "x.zip")
    with zipfile.ZipFile(tmp_path / "y.zip", "w") as pack:
        pack.writestr("../" + CSV, "x")
    with pytest.raises(SubmissionError, match="leaves the folder"):
        systems_at(tmp_path / "y.zip")


def test_a_csv_that_can_not_be_read_is_never_left_out(written: Submission, tmp_path: Path) -> None:
    package = shutil.copytree(written.folder, tmp_path / "task2")
    (package / LABELS[0] / CSV).unlink()
    os.mkfifo(package / LABELS[0] / CSV)
    with pytest.raises(SubmissionError, match=f"{LABELS[0]}/{CSV}:1: not a plain file"):
        systems_at(package)


def test_each_system_of_a_package_is_evaluated(written: Submission, systems: tuple[System, ...]) -> None:
    for path in (written.archive, written.folder):
        found = json.loads(run(path, "--json").stdout)["systems"]
        for label, expected in omegas(systems).items():
            got = {machine: of["omega"] for machine, of in found[label]["machines"].items()}
            assert got == pytest.approx(expected, abs=1e-12)
    text = run(written.archive).stdout
    assert [line for line in text.splitlines() if line in LABELS] == LABELS


def test_one_system_and_one_file_are_evaluated_alone(
    written: Submission, systems: tuple[System, ...]
) -> None:
    folder = written.folder / LABELS[2]
    found = json.loads(run(folder, "--json").stdout)
    assert found["mean_omega"] == pytest.approx(sum(omegas(systems)[LABELS[2]].values()) / 2, abs=1e-12)
    of_file = json.loads(run(folder / CSV, "--json").stdout)
    (cell,) = of_file["machines"]["fan"]["cells"]
    assert cell == found["machines"]["fan"]["cells"][0]
    assert run(folder / CSV).stdout.startswith("machine  section")


def test_a_file_needs_no_other_cells_a_folder_does(written: Submission, tmp_path: Path) -> None:
    folder = shutil.copytree(written.folder / LABELS[0], tmp_path / "mine")
    (folder / CSV.replace("source", "target")).unlink()
    assert run(folder / CSV).exit_code == 0
    refused = run(folder)
    assert isinstance(refused.exception, ScoreError)
    assert f"{folder}: anomaly_score_fan_section_00_target_test.csv is missing" in str(refused.exception)


def test_a_wrong_line_of_a_package_is_named_with_its_system(written: Submission, tmp_path: Path) -> None:
    package = shutil.copytree(written.folder, tmp_path / "task2")
    with (package / LABELS[3] / CSV).open("a") as csv:
        csv.write("x.wav,1\n")
    refused = run(package)
    assert isinstance(refused.exception, ScoreError)
    assert str(refused.exception).startswith(f"{package}/{LABELS[3]}/{CSV}:21: x.wav: not a recording's name")
    assert refused.stdout == ""
    assert run(written.archive, "--year", "1999").exit_code != 0
