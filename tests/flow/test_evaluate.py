"""`evaluate` on the official autoencoder baseline's real scores of 2021, against its own result.csv."""

import csv
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from oddsound.cli.evaluate import evaluate
from oddsound.errors import ScoreError, SubmissionError
from oddsound.scoring.metrics import pauc
from oddsound.scoring.score_files import read_csv

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
SCORES = DATA / "dcase2021_scores"
TRUTH = DATA / "dcase2021_ground_truth"
needs_data = pytest.mark.skipif(
    not (SCORES.is_dir() and TRUTH.is_dir()), reason="no DCASE 2021 scores beside the checkout"
)
OMEGA = {  # per cent
    "fan": 57.95,
    "gearbox": 58.66,
    "pump": 58.83,
    "slider": 61.18,
    "valve": 51.97,
    "ToyCar": 56.76,
    "ToyTrain": 57.22,
}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(evaluate, [str(a) for a in arguments])


def result_csv() -> dict[tuple[str, str, str], tuple[float, float]]:
    """AUC and pAUC of each cell as the evaluator wrote them."""
    found, machine = {}, ""
    with (SCORES / "result.csv").open(newline="") as stream:
        for row in csv.reader(stream):
            if len(row) == 1:
                machine = row[0]
            elif len(row) == 7 and row[1] in ("source", "target"):
                found[machine, row[0], row[1]] = (float(row[2]), float(row[3]))
    return found


@needs_data
def test_every_figure_of_the_real_result() -> None:
    result = run(SCORES, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    expected = result_csv()
    assert len(expected) == 42
    computed = {
        (c["machine"], c["section"], c["domain"]): (c["auc"], c["pauc"])
        for machine in found["machines"].values()
        for c in machine["cells"]
    }
    assert computed.keys() == expected.keys()
    for key, values in expected.items():
        assert computed[key] == pytest.approx(values, abs=1e-12), key
    omegas = {machine: round(100 * of["omega"], 2) for machine, of in found["machines"].items()}
    assert omegas == OMEGA
    assert round(100 * found["mean_omega"], 2) == 57.51
    assert round(100 * found["official_score"], 2) == 57.39


@needs_data
def test_text_has_two_decimals() -> None:
    result = run(SCORES)
    assert "gearbox    66.29   52.60    58.66" in result.stdout
    assert "mean omega       57.51 %   arithmetic mean over 7 machine types" in result.stdout
    assert "official score   57.39 %   harmonic mean over all 84 AUC and pAUC values" in result.stdout


@needs_data
def test_eq6_is_far_below_the_official_pauc() -> None:
    found = json.loads(run(SCORES, "--pauc", "eq6", "--json").stdout)
    assert 0.02 < found["machines"]["valve"]["pauc"] < 0.2
    assert found["pauc_definition"] == "eq6"


@needs_data
def test_eq6_and_mcclish_agree_on_real_scores() -> None:
    for path in SCORES.glob("anomaly_score_*.csv"):
        file = read_csv(path)
        label = [int(row.name.label == "anomaly") for row in file.rows]
        score = [row.value for row in file.rows]
        if label.count(0) % 10 == 0:
            mcclish = 0.5 * (1 + (0.1 * pauc(label, score, "eq6") - 0.005) / 0.095)
            assert pauc(label, score) == pytest.approx(mcclish, abs=1e-12)


@needs_data
def test_real_ground_truth(tmp_path: Path) -> None:
    """The labels themselves as scores: every cell is perfect, one of the organisers' files is CRLF."""
    for path in TRUTH.glob("ground_truth_*.csv"):
        scores = tmp_path / path.name.replace("ground_truth", "anomaly_score")
        scores.write_bytes(path.read_bytes().replace(b"\r", b""))
    found = json.loads(run(tmp_path, "--ground-truth", TRUTH, "--json").stdout)
    assert found["official_score"] == 1.0
    clips = [c["n_normal"] + c["n_anomaly"] for m in found["machines"].values() for c in m["cells"]]
    assert (len(clips), sum(clips)) == (42, 8635)


@needs_data
@pytest.mark.parametrize("line", [1, 100, 150])
def test_a_row_removed_from_the_real_scores_is_found(tmp_path: Path, line: int) -> None:
    shutil.copytree(SCORES, tmp_path / "scores")
    path = tmp_path / "scores" / "anomaly_score_fan_section_00_source_test.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[: line - 1] + lines[line:]))
    result = run(tmp_path / "scores")
    if line == 100:  # the last normal clip: nothing follows that would show the gap
        assert result.exit_code == 0
    else:
        assert isinstance(result.exception, ScoreError)
        assert "is missing before" in str(result.exception)
        assert result.stdout == ""


def test_a_bad_folder_is_one_line_and_exit_code_3(tmp_path: Path) -> None:
    result = run(tmp_path)
    assert isinstance(result.exception, SubmissionError)
    assert result.exception.exit_code == 3
    assert "\n" not in str(result.exception)
