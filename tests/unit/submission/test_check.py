import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.unit.submission.systems import OFFICIAL, authors, small_systems

from oddsound.cli.submission import submission
from oddsound.errors import SubmissionError
from oddsound.recordings.index import index_folder
from oddsound.scoring.score_rows import CellKey
from oddsound.scoring.years import YEARS
from oddsound.submission.check import check_package
from oddsound.submission.expected import evaluation_set, of_data
from oddsound.submission.package import Submission, write_submission
from oddsound.submission.reading import read_package

LABEL = "Kim_EXU_task2_1"
CSV = "anomaly_score_fan_section_03_source_test.csv"


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Submission:
    """Two systems of the official shape: 84 CSVs each, few clips."""
    systems = small_systems(OFFICIAL, sections=(), evaluation=("03", "04", "05"), n=4)
    return write_submission(systems[:2], tmp_path_factory.mktemp("official"), authors())


@pytest.fixture
def package(official: Submission, tmp_path: Path) -> Path:
    """A copy to damage."""
    return shutil.copytree(official.folder, tmp_path / "task2")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(submission, ["check", *map(str, arguments)])


def edit(path: Path, change: Callable[[str], str]) -> None:
    path.write_bytes(change(path.read_bytes().decode()).encode())


def test_the_official_set_is_84_csvs() -> None:
    assert 2 * len(evaluation_set(YEARS["2021"])) == 84


def test_what_is_written_passes_however_it_is_given(official: Submission) -> None:
    for path in (official.folder, official.folder.parent, official.folder / LABEL, official.archive):
        assert check_package(path) == []
    result = run(official.folder)
    assert result.exit_code == 0
    assert result.stdout == (f"{LABEL}: ok, 42 cells, 168 clips\nKim_EXU_task2_2: ok, 42 cells, 168 clips\n")


BAD = {
    "NaN": (lambda t: t.replace("_0001.wav,", "_0001.wav,nan#", 1).split("#")[0] + "\n", 2, "not a finite"),
    "inf": (lambda t: "section_03_source_test_0000.wav,inf\n" + t.split("\n", 1)[1], 1, "not a finite"),
    "header": (lambda t: "file,score\n" + t, 1, "a header"),
    "CRLF": (lambda t: t.replace("\n", "\r\n"), 1, "CRLF"),
    "doubled": (lambda t: t + t.split("\n", 1)[0] + "\n", 5, "stands twice, first in line 1"),
    "wrong section": (lambda t: t.replace("section_03", "section_04", 1), 1, "is of section 04"),
    "gap": (lambda t: t.split("\n", 1)[1], 1, "section_03_source_test_0000 is missing before"),
    "label": (lambda t: t.replace("test_0000", "test_normal_0000", 1), 1, "says its label"),
    "empty": (lambda t: t[:0], 1, "the file is empty"),
    "cut": (lambda t: t[:-3], 4, "may be cut short"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_csvs_by_file_and_line(package: Path, what: str) -> None:
    change, line, message = BAD[what]
    edit(package / LABEL / CSV, change)
    problems = check_package(package)
    assert problems[0].file == f"{LABEL}/{CSV}"
    assert (problems[0].line, message in problems[0].what) == (line, True), problems


def test_a_row_missing_at_the_end_shows_against_decisions_and_other_systems(package: Path) -> None:
    edit(package / "Kim_EXU_task2_2" / CSV, lambda text: text.rsplit("\n", 2)[0] + "\n")
    found = [str(problem) for problem in check_package(package)]
    assert len(found) == 2
    assert (
        "decision_result_fan_section_03_source_test.csv:4: section_03_source_test_0003.wav is not" in found[0]
    )
    assert f"{CSV}:3: the file ends without section_03_source_test_0003.wav of {LABEL}" in found[1]


def test_decisions_are_0_or_1(package: Path) -> None:
    name = CSV.replace("anomaly_score", "decision_result")
    edit(package / LABEL / name, lambda text: text.replace("_0002.wav,", "_0002.wav,0."))
    (problem,) = check_package(package)
    assert (problem.line, "neither 0 (normal) nor 1" in problem.what) == (3, True)


def test_missing_and_surplus_files(package: Path) -> None:
    (package / LABEL / CSV).rename(package / LABEL / CSV.replace("section_03", "section_06"))
    (package / LABEL / "readme.txt").write_text("x")
    (package / "deep" / "er").mkdir(parents=True)
    (package / "deep" / "er" / "x.csv").write_text("x")
    text = "\n".join(str(problem) for problem in check_package(package))
    assert "deep/er/x.csv:1: not part of a package" in text
    assert "section_06_source_test.csv:1: this machine type, section or domain isn't asked for" in text
    assert f"{LABEL}/readme.txt:1: no file of a system has this name" in text
    assert f"{LABEL}/{CSV}:1: is missing; add it" in text


def test_a_wrong_column_is_not_told_200_times(package: Path) -> None:
    lines = "".join(f"section_03_source_test_{i:04d}.wav;1\n" for i in range(200))
    (package / LABEL / CSV).write_text(lines)
    problems = check_package(package)
    assert len(problems) == 5
    assert problems[-1].what.endswith("(and 195 more problems in this file)")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.replace("task2_1", "task2_3"), "label Kim_EXU_task2_3, but the folder is"),
        (lambda t: t.replace("abbreviation: oddsnd_S1", "abbreviation: elevenchars"), "abbreviation"),
        (lambda t: t.replace("total_parameters: ", "total_parameters: -"), "total_parameters"),
        (lambda t: t.replace("decision_making", "decision"), "decision_making"),
        (lambda t: t + "submission: {}\n", "key 'submission' twice"),
        (lambda t: t.replace("source_code: null", "source_code: !!python/object/apply:os.system [x]"), ""),
        (lambda t: "a: &x [1]\nb: *x\n" + t, "aliases are not taken"),
        (lambda t: t[:0], "submission"),
        (lambda t: "- " * 2000 + t, ""),
    ],
)
def test_bad_meta(package: Path, change: Callable[[str], str], message: str) -> None:
    edit(package / LABEL / f"{LABEL}.meta.yaml", change)
    (problem,) = check_package(package)
    assert problem.file == f"{LABEL}/{LABEL}.meta.yaml"
    assert message in problem.what
    assert str(problem).isprintable() and len(str(problem)) < 400


def test_labels(package: Path) -> None:
    for number in (3, 4):
        shutil.copytree(package / LABEL, package / f"Kim_EXU_task2_{number}")
    shutil.copytree(package / LABEL, package / "Lee_EXU_task2_1")
    shutil.copytree(package / LABEL, package / "Kïm_EXU_task2_9")
    text = "\n".join(str(problem) for problem in check_package(package))
    assert "Kïm_EXU_task2_9:1: not a label" in text
    assert "systems of Kim_EXU and Lee_EXU" in text
    assert "6 systems; at most 4 are taken" in text


def test_meta_missing(package: Path) -> None:
    (package / LABEL / f"{LABEL}.meta.yaml").unlink()
    (problem,) = check_package(package)
    assert str(problem) == f"{LABEL}/{LABEL}.meta.yaml:1: is missing; add it"


class TestZip:
    def pack(self, path: Path, members: dict[str, bytes]) -> Path:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as pack:
            for name, content in members.items():
                pack.writestr(name, content)
        return path

    def test_names_that_leave_the_folder(self, tmp_path: Path) -> None:
        hostile = ["../x.csv", "/abs.csv", "task2/../../y", "a\\b.csv", "C:/x"]
        members = dict.fromkeys(hostile, b"x") | {f"task2/{LABEL}/{CSV}": b""}
        problems = check_package(self.pack(tmp_path / "x.zip", members))
        assert [p.file for p in problems if "leaves the folder" in p.what] == [
            "../x.csv",
            "/abs.csv",
            "task2/../../y",
            "a\\b.csv",
            "C:/x",
        ]

    def test_bomb(self, tmp_path: Path) -> None:
        path = self.pack(tmp_path / "x.zip", {f"task2/{LABEL}/{CSV}": b"0" * (17 << 20)} | {"a/b": b""})
        assert any("larger than 16777216 bytes" in problem.what for problem in check_package(path))

    def test_link_double_and_damage(self, tmp_path: Path, official: Submission) -> None:
        path = tmp_path / "x.zip"
        with zipfile.ZipFile(path, "w") as pack:
            pack.writestr(f"{LABEL}/{CSV}", "x")
            with pytest.warns(UserWarning, match="Duplicate"):
                pack.writestr(f"{LABEL}/{CSV}", "y")
            link = zipfile.ZipInfo(f"{LABEL}/link.csv")
            link.create_system, link.external_attr = 3, 0o120777 << 16
            pack.writestr(link, "/etc/passwd")
        whats = [problem.what for problem in check_package(path)]
        assert any("stands twice" in what for what in whats)
        assert any("a link" in what for what in whats)
        content = bytearray(official.archive.read_bytes())
        content[60:400] = bytes(340)
        path.write_bytes(content)
        assert any("damaged" in problem.what for problem in check_package(path))

    def test_no_zip(self, tmp_path: Path) -> None:
        (tmp_path / "x.zip").write_text("no zip")
        with pytest.raises(SubmissionError, match="can't be read"):
            check_package(tmp_path / "x.zip")
        with pytest.raises(SubmissionError, match="no such folder or zip"):
            check_package(tmp_path / "none")
        with pytest.raises(SubmissionError, match="no system in it"):
            check_package(self.pack(tmp_path / "y.zip", {CSV: b"x"}))


class TestAgainstData:
    @pytest.fixture
    def written(self, tmp_path: Path) -> Submission:
        return write_submission(small_systems(["fan"]), tmp_path / "out", authors())

    def recordings(self, root: Path, written: Submission) -> Path:
        """Empty files of the names that the package scores; the index opens none."""
        for csv in (written.folder / LABEL).glob("anomaly_score_*.csv"):
            for line in csv.read_text().splitlines():
                name = line.split(",")[0]
                path = root / "fan" / f"{name.split('_')[2]}_test" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
        return root

    def test_exactly_the_recordings(self, tmp_path: Path, written: Submission) -> None:
        data = self.recordings(tmp_path / "data", written)
        result = run(written.archive, "--data", data)
        assert result.exit_code == 0, result.output
        assert result.stdout.count("ok, 4 cells, 80 clips") == 4

    def test_a_name_too_few_and_one_too_many(self, tmp_path: Path, written: Submission) -> None:
        data = self.recordings(tmp_path / "data", written)
        gone = data / "fan" / "source_test" / "section_01_source_test_normal_0004.wav"
        gone.rename(gone.with_name("section_01_source_test_normal_0044.wav"))
        found = [str(problem) for problem in check_package(written.folder, of_data(index_folder(data)))]
        assert len(found) == 4 * 2 * 2
        assert "_0004.wav is not in the expected recordings (1 such rows)" in found[0]
        assert (
            "the file ends without section_01_source_test_normal_0044.wav of the expected recordings"
            in found[1]
        )

    def test_evaluation_clips_go_first(self, tmp_path: Path, written: Submission) -> None:
        data = self.recordings(tmp_path / "data", written)
        (data / "fan" / "source_test" / "section_03_source_test_0000.wav").touch()
        assert list(of_data(index_folder(data))) == [CellKey("fan", "03", "source")]

    def test_machine_needs_data(self, tmp_path: Path, written: Submission) -> None:
        assert run(written.folder, "--machines", "fan").exit_code == 2
        data = self.recordings(tmp_path / "data", written)
        shutil.copytree(data / "fan", data / "pump")
        assert run(written.folder, "--data", data).exit_code != 0
        assert run(written.folder, "--data", data, "--machines", "fan").exit_code == 0


def test_json_and_exit_code(package: Path) -> None:
    (package / LABEL / CSV).unlink()
    result = run(package, "--json")
    assert isinstance(result.exception, SubmissionError)
    assert result.exception.exit_code == 3
    found = json.loads(result.stdout)
    assert found["ok"] is False
    assert found["problems"] == [{"file": f"{LABEL}/{CSV}", "line": 1, "what": "is missing; add it"}]
    assert found["systems"]["Kim_EXU_task2_2"] == {"n_cells": 42, "n_clips": 168}


def test_a_second_copy_or_a_nested_task2_is_no_package(tmp_path: Path) -> None:
    """Whatever lies elsewhere in the zip can't stand in for a damaged file."""
    written = write_submission(small_systems(), tmp_path)
    with zipfile.ZipFile(written.archive) as pack:
        files = {name: pack.read(name) for name in pack.namelist()}
    name = next(name for name in files if "anomaly_score_fan" in name)
    doubled, nested = tmp_path / "doubled.zip", tmp_path / "nested.zip"
    with zipfile.ZipFile(doubled, "w") as pack:
        for each, content in (files | {name: b"garbage\n"}).items():
            pack.writestr(each, content)
        pack.writestr(f"old/{name}", files[name])
    with zipfile.ZipFile(nested, "w") as pack:
        for each, content in files.items():
            pack.writestr(f"upload/{each}", content)
    said = [str(problem) for problem in read_package(doubled).problems]
    assert any("in another folder; remove one" in line for line in said)
    assert any("isn't at the top of the zip" in line for line in said)
    assert ["isn't at the top" in str(problem) for problem in read_package(nested).problems] == [True]
