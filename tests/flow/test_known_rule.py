"""Scores made by a known rule over the real evaluation labels of 2021: the AUC computed by hand, and a
package of them in which one thing is wrong."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
from tests.unit.submission.systems import OFFICIAL, authors, small_systems

from oddsound.cli.main import main
from oddsound.submission.package import write_submission

TRUTH = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "dcase2021_ground_truth"
LABEL = "Kim_EXU_task2_1"
CSV = "anomaly_score_fan_section_03_source_test.csv"
Rows = list[tuple[str, int]]
pytestmark = pytest.mark.skipif(not TRUTH.is_dir(), reason="no labels of DCASE 2021 beside the checkout")


def truth() -> dict[str, Rows]:
    """File and label in each cell's CSV, by the name of its score CSV."""
    return {
        path.name.replace("ground_truth", "anomaly_score"): [
            (line.split(",")[0], int(line.split(",")[1])) for line in path.read_text().splitlines()
        ]
        for path in TRUTH.glob("ground_truth_*.csv")
    }


def missed(rows: Rows, k: int) -> list[float]:
    """The label itself, but 0 for the first k anomalies."""
    seen, scores = 0, []
    for _, label in rows:
        seen += label
        scores.append(float(label and seen > k))
    return scores


def mixed(rows: Rows, k: int) -> list[float]:
    """Depends on the number in the name and the label, with ties."""
    return [float((int(file[-8:-4]) * 37 + k) % 23 + 5 * label) for file, label in rows]


def write(folder: Path, rule: Callable[[Rows, int], list[float]], kind: str = "anomaly_score") -> Path:
    folder.mkdir(exist_ok=True)
    for k, (name, rows) in enumerate(sorted(truth().items())):
        lines = (f"{file},{score!r}\n" for (file, _), score in zip(rows, rule(rows, k), strict=True))
        (folder / name.replace("anomaly_score", kind)).write_text("".join(lines))
    return folder


def exits(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(a) for a in arguments])
    return int(ended.value.code or 0)


def evaluated(scores: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, float]]:
    assert exits("evaluate", scores, "--ground-truth", TRUTH, "--json") == 0
    machines = json.loads(capsys.readouterr().out)["machines"].values()
    cells = [cell for machine in machines for cell in machine["cells"]]
    assert len(cells) == 42
    name = "anomaly_score_{machine}_section_{section}_{domain}_test.csv"
    return {name.format(**cell): cell for cell in cells}


def test_anomalies_that_score_as_normal_clips(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """k of n anomalies tie with all normal clips: each such pair counts half, so AUC = 1 − k / 2n; the ROC
    goes from (0, a) to (1, 1) in a line, a = 1 − k / n, so the area up to 0.1 is 0.1 (a + 0.05 (1 − a))."""
    found = evaluated(write(tmp_path / "scores", missed), capsys)
    for k, (name, rows) in enumerate(sorted(truth().items())):
        n = sum(label for _, label in rows)
        a = 1 - k / n
        area = 0.1 * (a + 0.05 * (1 - a))
        assert found[name]["auc"] == pytest.approx(1 - k / (2 * n), abs=1e-12), name
        assert found[name]["pauc"] == pytest.approx(0.5 * (1 + (area - 0.005) / 0.095), abs=1e-12), name


def test_pairs_counted_one_by_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = evaluated(write(tmp_path / "scores", mixed), capsys)
    values = set()
    for k, (name, rows) in enumerate(sorted(truth().items())):
        scored = list(zip(mixed(rows, k), (label for _, label in rows), strict=True))
        pairs = [(x, y) for x, normal in scored if not normal for y, odd in scored if odd]
        wins = sum(Fraction(1) if y > x else Fraction(1, 2) if y == x else 0 for x, y in pairs)
        assert found[name]["auc"] == pytest.approx(float(wins / len(pairs)), abs=1e-12), name
        values.add(found[name]["auc"])
    assert len(values) > 20


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The task2 folder of one system that scores the evaluation set of 2021 by the rule above."""
    systems = small_systems(OFFICIAL, sections=(), evaluation=("03", "04", "05"), n=4)
    made = write_submission(systems[:1], tmp_path_factory.mktemp("known"), authors())
    write(made.folder / LABEL, mixed)
    write(made.folder / LABEL, lambda rows, _: [label for _, label in rows], "decision_result")
    return made.folder


@pytest.fixture
def package(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "task2")


def zipped(folder: Path) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as pack:
        for file in folder.rglob("*.*"):
            pack.write(file, Path("task2", file.relative_to(folder)).as_posix())
    return path


def test_the_whole_one_passes_and_evaluates(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for expected in ([], ["--year", "2021"], ["--ground-truth", TRUTH]):
        assert exits("submission", "check", zipped(package), *expected) == 0
        shown = capsys.readouterr()
        assert shown.out == f"{LABEL}: ok, 42 cells, 8635 clips\n"
        assert ("evaluation set of 2021" in shown.err) is (expected != ["--ground-truth", TRUTH])
    assert exits("evaluate", zipped(package), "--ground-truth", TRUTH) == 0
    assert f"{LABEL}\nmachine" in capsys.readouterr().out


def test_one_file_is_evaluated_without_the_other_cells(
    package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exits("evaluate", package / LABEL / CSV, "--ground-truth", TRUTH, "--json") == 0
    (cell,) = json.loads(capsys.readouterr().out)["machines"]["fan"]["cells"]
    assert (cell["section"], cell["domain"], cell["n_normal"] + cell["n_anomaly"]) == ("03", "source", 200)
    (package / LABEL / CSV).unlink()
    assert exits("evaluate", package, "--ground-truth", TRUTH) == 3
    assert f"{LABEL}: {CSV} is missing" in capsys.readouterr().err


def swap_two_names(text: str) -> str:
    """The names of rows 3 and 4, of which one is now another section's."""
    return text.replace("section_03_source_test_0003.wav", "section_04_source_test_0003.wav")


WRONG = {
    "a swapped file name": (swap_two_names, 4, "section_04_source_test_0003.wav is of section 04"),
    "a name of no recording": (lambda t: t.replace("_0003.", "_0999."), 4, "_0999.wav is not in the"),
    "a missing row": (lambda t: "".join(t.splitlines(True)[:4] + t.splitlines(True)[5:]), 199,
                      "the file ends without section_03_source_test_0004.wav"),
    "a missing last row": (lambda t: "".join(t.splitlines(True)[:-1]), 199, "ends without"),
    "a NaN": (lambda t: "".join([*t.splitlines(True)[:9], "section_03_source_test_0009.wav,nan\n",
                                 *t.splitlines(True)[10:]]), 10, "'nan' is not a finite"),
    "CRLF": (lambda t: t.replace("\n", "\r\n"), 1, "CRLF"),
    "a header": (lambda t: "filename,score\n" + t, 1, "a header? remove the line"),
    "a wrong section": (lambda t: t.replace("section_03", "section_05"), 1, "is of section 05"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.parametrize("command", ["check", "evaluate"])
def test_one_wrong_thing_is_named_by_file_and_line(
    package: Path, what: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change, line, message = WRONG[what]
    path = package / LABEL / CSV
    path.write_bytes(change(path.read_bytes().decode()).encode())
    words = ["submission", "check"] if command == "check" else ["evaluate"]
    assert exits(*words, zipped(package), "--ground-truth", TRUTH) == 3
    shown = capsys.readouterr()
    told = shown.out.splitlines()[0] if command == "check" else shown.err.splitlines()[-1]
    assert f"{LABEL}/{CSV}:{line}: " in told, told
    assert message in told
    assert command == "check" or shown.out == ""


def test_a_csv_under_another_name(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The organisers' evaluator would take either without a word."""
    one, other = (package / LABEL / CSV.replace("03", section) for section in ("03", "04"))
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    assert exits("submission", "check", package, "--ground-truth", TRUTH) == 3
    told = capsys.readouterr().out
    assert f"{LABEL}/{one.name}:1: section_04_source_test_0000.wav is of section 04" in told
    assert f"{LABEL}/{other.name}:1: section_03_source_test_0000.wav is of section 03" in told
