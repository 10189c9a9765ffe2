"""`evaluate` on the official autoencoder baseline's real scores of 2021, against its own result.csv."""

import csv
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from oddsound.cli.evaluate import evaluate
from oddsound.errors import ConfigError, ScoreError, SubmissionError
from oddsound.scoring.bootstrap import bootstrap
from oddsound.scoring.evaluation import labelled_tables
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


# Intervals.


def write(folder: Path, tie: float) -> Path:
    """fan and pump: the anomalies score 1, the first of the normal clips `tie`, the others 0."""
    folder.mkdir()
    for machine in ("fan", "pump"):
        for domain in ("source", "target"):
            rows = [(word, i) for word in ("normal", "anomaly") for i in range(10)]
            scores = [1.0 if word == "anomaly" else tie if i == 0 else 0.0 for word, i in rows]
            name = f"section_00_{domain}_test_{{}}_{{:04d}}.wav,{{}}\n"
            text = "".join(name.format(*row, score) for row, score in zip(rows, scores, strict=True))
            (folder / f"anomaly_score_{machine}_section_00_{domain}_test.csv").write_text(text)
    return folder


def test_without_resamples_there_are_no_intervals(tmp_path: Path) -> None:
    scores = write(tmp_path / "scores", 0.0)
    assert "interval" not in run(scores).stdout + run(scores, "--json").stdout
    assert run(scores).stdout == run(scores, "--resamples", 0).stdout


def test_perfection_has_an_interval_of_no_width(tmp_path: Path) -> None:
    scores = write(tmp_path / "scores", 0.0)
    found = json.loads(run(scores, "--resamples", 100, "--json").stdout)
    one = {"lower": 1.0, "upper": 1.0}
    assert found["intervals"] == {
        "level": 0.95,
        "resamples": 100,
        "omega": {"fan": one, "pump": one},
        "mean_omega": one,
        "official_score": one,
    }
    assert found["mean_omega"] == found["machines"]["fan"]["omega"] == 1.0


def test_the_intervals_are_those_of_the_bootstrap(tmp_path: Path) -> None:
    scores = write(tmp_path / "scores", 1.0)
    csvs = {path.name: path.read_bytes() for path in scores.iterdir()}
    expected = bootstrap(labelled_tables(csvs, str(scores)), 300)
    shown = run(scores, "--resamples", 300, "--json")
    assert shown.exit_code == 0, shown.output
    found = json.loads(shown.stdout)
    of_fan = expected.machines["fan"]
    assert found["intervals"]["omega"]["fan"] == {"lower": of_fan.lower, "upper": of_fan.upper}
    assert found["machines"]["fan"]["omega"] == pytest.approx(of_fan.estimate, abs=1e-12)
    for name, of in (("mean_omega", expected.mean), ("official_score", expected.official)):
        assert found["intervals"][name] == {"lower": of.lower, "upper": of.upper}, name
        assert of.lower < found[name] < of.upper <= 1.0, name
    assert expected.mean != expected.official


def test_the_text_says_the_same_intervals(tmp_path: Path) -> None:
    scores = write(tmp_path / "scores", 1.0)
    found = json.loads(run(scores, "--resamples", 300, "--json").stdout)["intervals"]
    lines = run(scores, "--resamples", 300).stdout.splitlines()
    between = {
        what: f"{100 * of['lower']:.2f} to {100 * of['upper']:.2f}"
        for what, of in (found | found["omega"]).items()
        if what in ("fan", "pump", "mean_omega", "official_score")
    }
    for what, start in (("fan", "fan "), ("pump", "pump ")):
        assert any(line.startswith(start) and line.endswith(between[what]) for line in lines), what
    for what, start in (("mean_omega", "mean omega"), ("official_score", "official score")):
        (line,) = (line for line in lines if line.startswith(start))
        assert line.endswith(f"; 95 % interval {between[what]}")
    assert lines[-1].startswith("interval") and "300 resamples" in lines[-1]


def test_each_system_of_a_package_has_its_own_intervals(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    for name, tie in (("one", 0.0), ("two", 1.0)):
        write(package / name, tie)
    found = json.loads(run(package, "--resamples", 100, "--json").stdout)["systems"]
    for name in ("one", "two"):
        alone = json.loads(run(package / name, "--resamples", 100, "--json").stdout)
        assert found[name]["intervals"] == alone["intervals"], name
    assert found["one"]["intervals"] != found["two"]["intervals"]


def test_intervals_by_the_rules_from_2022_on(tmp_path: Path) -> None:
    """Source anomalies are missed, target ones found: the AUC of each domain is of both, 0.75."""
    rows = [
        f"section_00_{domain}_test_{word}_{i:04d}_speed_1.wav,{float(word + domain == 'anomalytarget')}\n"
        for domain in ("source", "target")
        for word in ("normal", "anomaly")
        for i in range(10)
    ]
    csv = tmp_path / "anomaly_score_fan_section_00_test.csv"
    csv.write_text("".join(rows))
    shown = run(csv, "--resamples", 200, "--json")
    assert shown.exit_code == 0, shown.output
    found = json.loads(shown.stdout)
    assert found["machines"]["fan"]["auc"] == pytest.approx(0.75, abs=1e-12)
    ends = found["intervals"]
    assert ends["omega"]["fan"] == ends["mean_omega"] == ends["official_score"]
    # Drawn within its domain, each class stays as large: no resample differs.
    assert ends["mean_omega"]["lower"] == pytest.approx(found["mean_omega"], abs=1e-12)
    assert ends["mean_omega"]["upper"] == pytest.approx(found["mean_omega"], abs=1e-12)


def test_eq6_has_no_intervals(tmp_path: Path) -> None:
    refused = run(write(tmp_path / "scores", 0.0), "--pauc", "eq6", "--resamples", 100)
    assert isinstance(refused.exception, ConfigError) and refused.stdout == ""
    assert "intervals are of the official pAUC alone; leave out --resamples" in str(refused.exception)


def test_too_few_resamples_are_refused(tmp_path: Path) -> None:
    scores = write(tmp_path / "scores", 0.0)
    for few in (1, 99):
        refused = run(scores, "--resamples", few)
        assert isinstance(refused.exception, ConfigError) and refused.stdout == ""
        assert f"--resamples {few}: too few" in str(refused.exception)


@needs_data
def test_intervals_of_the_real_result() -> None:
    """About 2 points to either side of each machine type, less than half of that for the mean."""
    found = json.loads(run(SCORES, "--resamples", 2000, "--json").stdout)
    ends = found["intervals"]
    for machine, of in ends["omega"].items():
        assert of["lower"] < found["machines"][machine]["omega"] < of["upper"], machine
        assert 0.03 < of["upper"] - of["lower"] < 0.06, machine
    for name in ("mean_omega", "official_score"):
        assert ends[name]["lower"] < found[name] < ends[name]["upper"]
        assert 0.01 < ends[name]["upper"] - ends[name]["lower"] < 0.02
