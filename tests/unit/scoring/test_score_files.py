from pathlib import Path

import pytest

from oddsound.errors import ScoreError
from oddsound.scoring.evaluation import labelled_tables
from oddsound.scoring.omega import Cell, cells
from oddsound.scoring.score_files import parse_scores, read_ground_truth_folder, read_scores
from oddsound.scoring.score_rows import CellKey, ScoreFile, parse_file_name

NAME = "anomaly_score_fan_section_00_source_test.csv"
KEY = CellKey("fan", "00", "source")
NORMAL = [f"section_00_source_test_normal_{i:04d}.wav,{i}.5" for i in range(3)]
ANOMALY = [f"section_00_source_test_anomaly_{i:04d}.wav,{i + 2}.25e0" for i in range(3)]
GOOD = NORMAL + ANOMALY


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.csv")}


def evaluate_folder(scores: Path, truth: Path | None = None) -> list[Cell]:
    tables = labelled_tables(contents(scores), str(scores), truth)
    return [cell for table in tables.values() for cell in cells(table)]


def read_score_folder(folder: Path) -> list[ScoreFile]:
    return parse_scores(contents(folder), str(folder))


def write(folder: Path, lines: list[str], name: str = NAME, end: str = "\n") -> Path:
    path = folder / name
    path.write_bytes("".join(line + end for line in lines).encode())
    return path


def test_reads_what_is_sound(tmp_path: Path) -> None:
    rows = read_scores(write(tmp_path, ["section_00_source_test_normal_0000.wav,-1.5e-3"]))
    assert [(row.line, row.file, row.value) for row in rows] == [
        (1, "section_00_source_test_normal_0000.wav", -0.0015)
    ]
    assert rows[0].name.label == "normal"


@pytest.mark.parametrize(
    ("lines", "line", "message"),
    [
        ([*GOOD[:2], "section_00_source_test_normal_0002.wav,nan", *ANOMALY], 3, "not a finite decimal"),
        ([*GOOD[:2], "section_00_source_test_normal_0002.wav,-inf", *ANOMALY], 3, "not a finite decimal"),
        ([*GOOD[:2], "section_00_source_test_normal_0002.wav,1e999", *ANOMALY], 3, "not a finite decimal"),
        ([*GOOD[:2], "section_00_source_test_normal_0002.wav,1_0", *ANOMALY], 3, "not a finite decimal"),
        ([*GOOD[:2], "section_00_source_test_normal_0002.wav,", *ANOMALY], 3, "not a finite decimal"),
        ([*GOOD[:2], "section_00_source_test_normal_0002.wav, 1", *ANOMALY], 3, "not a finite decimal"),
        ([NORMAL[0], ",1.0"], 2, "is not file.wav,value"),
        ([NORMAL[0], ""], 2, "is not file.wav,value"),
        ([NORMAL[0], NORMAL[1] + ",2"], 2, "is not file.wav,value"),
        ([NORMAL[0], NORMAL[1].replace(",", ";")], 2, "is not file.wav,value"),
        ([*NORMAL, NORMAL[1]], 4, "0001.wav stands twice, first in line 2"),
        (["file,score", *GOOD], 1, "a header\\? remove the line"),
        ([*NORMAL, "section_01_source_test_anomaly_0000.wav,1"], 4, "of section 01, source"),
        ([*NORMAL, "section_00_target_test_anomaly_0000.wav,1"], 4, "of section 00, target"),
        ([*NORMAL, "section_00_source_train_normal_0003.wav,1"], 4, "training recording"),
        ([*NORMAL, "../../x.wav,1"], 4, "not a recording's name"),
        ([NORMAL[0], NORMAL[2]], 2, "section_00_source_test_normal_0001 is missing before"),
        (NORMAL[1:], 1, "normal_0000 is missing before"),
    ],
)
def test_bad_lines_are_refused_by_file_and_line(
    tmp_path: Path, lines: list[str], line: int, message: str
) -> None:
    path = write(tmp_path, lines)
    with pytest.raises(ScoreError, match=f"{NAME}:{line}: .*{message}"):
        read_scores(path)


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        (b"", 1, "the file is empty"),
        ((GOOD[0] + "\r\n" + GOOD[1] + "\r\n").encode(), 1, "CRLF"),
        ((GOOD[0] + "\n" + GOOD[1] + "\r\n").encode(), 2, "CRLF"),
        ((GOOD[0] + "\n" + GOOD[1]).encode(), 2, "may be cut short"),
        (b"\xef\xbb\xbf" + GOOD[0].encode() + b"\n", 1, "byte order mark"),
        (b"\xff\xfe\x00,1\n", 1, "not a recording's name"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, content: bytes, line: int, message: str) -> None:
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(ScoreError, match=f"{NAME}:{line}: .*{message}"):
        read_scores(tmp_path / NAME)


def test_messages_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(ScoreError) as caught:
        read_scores(write(tmp_path, ["a\x00\x1b[31mb\x85.wav,1"]))
    assert str(caught.value).isprintable()


def test_names_of_2020_may_have_gaps(tmp_path: Path) -> None:
    lines = ["normal_id_00_00000007.wav,1", "anomaly_id_00_00000012.wav,2"]
    (cell,) = evaluate_folder(write(tmp_path, lines).parent)
    assert (cell.section, cell.domain, cell.auc) == ("00", "source", 1.0)


@pytest.mark.parametrize("machine", ["fan", "ToyCar", "3DPrinter", "my_mill-2"])
def test_names_of_files(machine: str) -> None:
    key = CellKey(machine, "03", "target")
    assert parse_file_name(key.file("anomaly_score")) == ("anomaly_score", key)
    assert parse_file_name(f"decision_result_{machine}_section_03_target.csv") == ("decision_result", key)


@pytest.mark.parametrize("name", ["result.csv", "anomaly_score_fan_section_0_both.csv", "x" + NAME])
def test_other_names_are_none_of_ours(name: str) -> None:
    assert parse_file_name(name) is None


def test_folder_is_sorted_and_leaves_others_alone(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    write(tmp_path, ["anything"], "result.csv")
    target = [line.replace("source", "target") for line in GOOD]
    write(tmp_path, target, NAME.replace("source_test", "target"))
    assert [file.key.domain for file in read_score_folder(tmp_path)] == ["source", "target"]


def test_folder_errors(tmp_path: Path) -> None:
    with pytest.raises(ScoreError, match=r"has no anomaly_score_"):
        read_score_folder(tmp_path)
    with pytest.raises(ScoreError, match=r"is not a folder with ground_truth_"):
        read_ground_truth_folder(tmp_path / "none")
    write(tmp_path, GOOD)
    write(tmp_path, GOOD, NAME.replace("_test", ""))
    with pytest.raises(ScoreError, match=r"the same cell as"):
        read_score_folder(tmp_path)
    (tmp_path / NAME.replace("_test", "")).unlink()
    write(tmp_path, GOOD, "anomaly_score_fan.csv")
    with pytest.raises(ScoreError, match=r"not a score file's name"):
        read_score_folder(tmp_path)


def test_a_missing_csv_of_a_machine_type_is_named(tmp_path: Path) -> None:
    for cell in ("00_source", "00_target", "01_source"):
        section, domain = cell.split("_")
        lines = [line.replace("00_source", cell) for line in GOOD]
        write(tmp_path, lines, f"anomaly_score_fan_section_{section}_{domain}_test.csv")
    with pytest.raises(ScoreError, match=r"anomaly_score_fan_section_01_target_test.csv is missing"):
        evaluate_folder(tmp_path)


@pytest.mark.parametrize(("lines", "missing"), [(NORMAL, "anomalous"), (ANOMALY, "normal")])
def test_one_class_is_refused_by_file_and_line(tmp_path: Path, lines: list[str], missing: str) -> None:
    write(tmp_path, lines)
    with pytest.raises(ScoreError, match=f"{NAME}:3: the file ends without {missing} clip"):
        evaluate_folder(tmp_path)


class TestGroundTruth:
    FILES = [f"section_00_source_test_{i:04d}.wav" for i in range(4)]  # noqa: RUF012
    TRUTH = [f"{file},{i % 2}" for i, file in enumerate(FILES)]  # noqa: RUF012

    def folders(self, root: Path, scored: list[str], truth: list[str], end: str = "\n") -> tuple[Path, Path]:
        for name in ("scores", "truth"):
            (root / name).mkdir()
        write(root / "scores", scored)
        write(root / "truth", truth, KEY.file("ground_truth"), end)
        return root / "scores", root / "truth"

    def test_labels_come_from_it_also_in_crlf_and_any_order(self, tmp_path: Path) -> None:
        scored = [f"{file},{i % 2}.0" for i, file in enumerate(self.FILES)]
        (cell,) = evaluate_folder(*self.folders(tmp_path, scored[::-1], self.TRUTH, "\r\n"))
        assert (cell.auc, cell.n_normal, cell.n_anomaly) == (1.0, 2, 2)

    def test_names_alone_hide_the_label(self, tmp_path: Path) -> None:
        scores, _ = self.folders(tmp_path, [f"{file},1" for file in self.FILES], self.TRUTH)
        with pytest.raises(ScoreError, match=r"csv:1: .* hides its label; give --ground-truth"):
            evaluate_folder(scores)

    def test_first_missing_and_first_surplus_name(self, tmp_path: Path) -> None:
        scores, truth = self.folders(tmp_path, [f"{file},1" for file in self.FILES[:3]], self.TRUTH)
        with pytest.raises(ScoreError, match=r"csv:3: the file ends without section_00_source_test_0003"):
            evaluate_folder(scores, truth)
        write(scores, [f"{file},1" for file in self.FILES])
        write(truth, self.TRUTH[:2], KEY.file("ground_truth"))
        with pytest.raises(ScoreError, match=r"csv:3: section_00_source_test_0002.wav is not in the ground"):
            evaluate_folder(scores, truth)

    def test_labels_are_0_or_1(self, tmp_path: Path) -> None:
        _, truth = self.folders(tmp_path, GOOD, [*self.TRUTH[:1], self.FILES[1] + ",2"])
        with pytest.raises(ScoreError, match=r"ground_truth_.*csv:2: .*neither 0"):
            read_ground_truth_folder(truth)

    def test_missing_cells_either_way(self, tmp_path: Path) -> None:
        scores, truth = self.folders(tmp_path, GOOD, [line.replace(".5", "") for line in NORMAL[:2]])
        target = CellKey("fan", "00", "target").file("ground_truth")
        write(truth, ["section_00_target_test_0000.wav,0"], target)
        with pytest.raises(ScoreError, match=r"anomaly_score_fan_section_00_target_test.csv is missing"):
            evaluate_folder(scores, truth)
        (truth / KEY.file("ground_truth")).unlink()
        (truth / target).rename(truth / CellKey("pump", "00", "target").file("ground_truth"))
        with pytest.raises(ScoreError, match=r"has no ground_truth_fan_section_00_source_test.csv"):
            evaluate_folder(scores, truth)

    def test_a_name_that_contradicts_it(self, tmp_path: Path) -> None:
        truth_lines = [line.split(",")[0] + ",1" for line in GOOD]
        scores, truth = self.folders(tmp_path, GOOD, truth_lines)
        with pytest.raises(ScoreError, match=r"csv:1: .* disagree"):
            evaluate_folder(scores, truth)
