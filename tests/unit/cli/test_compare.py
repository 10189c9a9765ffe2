"""`oddsound compare`: known answers, how systems are named, what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.submission.systems import authors, small_systems

from oddsound.cli.main import main
from oddsound.scoring.omega import cells, omega
from oddsound.submission.package import Submission, write_submission

Rule = Callable[[int, int], float]
WORDS = ("normal", "anomaly")


def perfect(label: int, i: int) -> float:
    return float(label)


def blind(label: int, i: int) -> float:
    """Every clip alike: AUC and pAUC are 0.5."""
    return 1.0


def write(folder: Path, rule: Rule, machines: tuple[str, ...] = ("fan", "pump"), n: int = 8) -> Path:
    folder.mkdir()
    for machine in machines:
        for domain in ("source", "target"):
            rows = [
                f"section_00_{domain}_test_{WORDS[label]}_{i:04d}.wav,{rule(label, i)}\n"
                for label in (0, 1)
                for i in range(n)
            ]
            csv = folder / f"anomaly_score_{machine}_section_00_{domain}_test.csv"
            csv.write_text("".join(rows))
    return folder


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Submission:
    return write_submission(small_systems(), tmp_path_factory.mktemp("package"), authors())


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["compare", *map(str, arguments), "--resamples", "200"])
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


def figures(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, dict[str, float]]:
    code, out, err = run(capsys, *arguments, "--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    return {**document["machines"], "mean": document["mean"]}


def test_perfection_against_blindness(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = write(tmp_path / "a", perfect), write(tmp_path / "b", blind)
    found = figures(capsys, a, b)
    assert list(found) == ["fan", "pump", "mean"]
    for row in found.values():
        assert row == {
            "omega_a": 1.0,
            "omega_b": 0.5,
            "difference": 0.5,
            "lower": 0.5,
            "upper": 0.5,
            "share": 1.0,
            "verdict": "A is better",
        }
    assert {row["verdict"] for row in figures(capsys, b, a).values()} == {"B is better"}


def test_the_mean_is_over_machine_types(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    b = write(tmp_path / "b", blind)
    a = write(tmp_path / "a", perfect)
    for csv in b.glob("anomaly_score_pump_*.csv"):
        shutil.copyfile(csv, a / csv.name)
    found = figures(capsys, a, b)
    assert [row["difference"] for row in found.values()] == [0.5, 0, 0.25]
    assert (found["mean"]["omega_a"], found["mean"]["omega_b"]) == (0.75, 0.5)
    assert found["pump"]["verdict"] == "can't tell" and found["pump"]["share"] == 0.5


def test_what_people_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = write(tmp_path / "a", perfect, ("fan",)), write(tmp_path / "b", blind, ("fan",))
    code, out, _ = run(capsys, a, b)
    lines = out.splitlines()
    assert code == 0 and lines[:3] == [f"A  {a}", f"B  {b}", ""]
    assert " ".join(lines[3].split()) == "omega [%] A B A - B 95 % interval A > B verdict"
    assert " ".join(lines[4].split()) == "fan 100.00 50.00 +50.00 +50.00 to +50.00 100.0 % A is better"
    assert lines[5].split()[0] == "mean" and "200 resamples" in lines[6]
    assert "chosen by these labels" in lines[7]


def test_two_systems_of_a_zip(package: Submission, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = small_systems()[:2]
    found = figures(capsys, f"{package.archive}#1", f"{package.archive}#2")
    for machine, of in first.machines.items():
        row = found[machine]
        assert row["omega_a"] == pytest.approx(omega(cells(of.table)), abs=1e-12)
        assert row["omega_b"] == pytest.approx(omega(cells(second.machines[machine].table)), abs=1e-12)
        assert row["difference"] == pytest.approx(row["omega_a"] - row["omega_b"], abs=1e-12)
        assert row["lower"] < row["difference"] < row["upper"]
    mean = (found["fan"]["omega_a"] + found["ToyCar"]["omega_a"]) / 2
    assert found["mean"]["omega_a"] == pytest.approx(mean, abs=1e-12)


def test_every_way_to_name_a_system(package: Submission, capsys: pytest.CaptureFixture[str]) -> None:
    label = "Kim_EXU_task2_2"
    one_zip = next(each for each in package.archives if each.stem == label)
    ways = [f"{package.archive}#{wanted}" for wanted in ("2", "S2", label)]
    ways += [f"{package.folder.parent}#2", f"{package.folder}#S2", package.folder / label, one_zip]
    shown = [figures(capsys, way, f"{package.archive}#1") for way in ways]
    assert all(each == shown[0] for each in shown)
    assert figures(capsys, f"{package.archive}#3", f"{package.archive}#1") != shown[0]


def test_a_path_with_a_mark_in_it(
    package: Submission, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = shutil.copytree(package.folder / "Kim_EXU_task2_1", tmp_path / "run#7")
    found = figures(capsys, odd, f"{package.archive}#1")
    assert found["mean"]["difference"] == 0 and found["mean"]["verdict"] == "can't tell"
    whole = shutil.copytree(package.folder, tmp_path / "all#7" / "task2").parent
    assert figures(capsys, f"{whole}#1", f"{package.archive}#1") == found


def test_single_csvs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = write(tmp_path / "a", perfect), write(tmp_path / "b", blind)
    name = "anomaly_score_fan_section_00_source_test.csv"
    code, out, _ = run(capsys, a / name, b / name)
    assert code == 0 and f"A  {a / name}\n" in out and "A is better" in out


def hidden(folder: Path, rule: Rule) -> Path:
    """As `write` does, of evaluation clips: their names hide the labels, the first half is normal."""
    folder.mkdir()
    for domain in ("source", "target"):
        rows = [f"section_03_{domain}_test_{i:04d}.wav,{rule(i // 8, i)}\n" for i in range(16)]
        (folder / f"anomaly_score_fan_section_03_{domain}_test.csv").write_text("".join(rows))
    return folder


def test_a_ground_truth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b, labels = hidden(tmp_path / "a", perfect), hidden(tmp_path / "b", blind), tmp_path / "labels"
    labels.mkdir()
    for csv in hidden(tmp_path / "truth", lambda label, i: label).iterdir():
        csv.rename(labels / csv.name.replace("anomaly_score", "ground_truth"))
    found = figures(capsys, a, b, "--ground-truth", labels)
    assert (found["fan"]["omega_a"], found["fan"]["omega_b"]) == (1.0, 0.5)
    name = "anomaly_score_fan_section_03_target_test.csv"
    one = figures(capsys, a / name, b / name, "--ground-truth", labels)
    assert one["fan"]["difference"] == 0.5, "one file needs no scores of the ground truth's other cells"
    code, _, err = run(capsys, a, b)
    assert code == 3 and "hides its label; give --ground-truth" in err


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("", "4 systems in it; say which"),
        ("#7", "no system '7' in it; there are Kim_EXU_task2_1, "),
        ("#", "4 systems in it; say which"),
    ],
)
def test_which_system_must_be_clear(
    package: Submission, wanted: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, f"{package.archive}{wanted}", f"{package.archive}#1")
    assert (code, out) == (2, "") and said in err and err.count("\n") == 1


def test_systems_that_cant_be_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, fewer = write(tmp_path / "a", perfect), write(tmp_path / "fewer", blind, ("fan",))
    for pair in ((a, fewer), (fewer, a)):
        code, out, err = run(capsys, *pair)
        assert (code, out) == (3, "") and f"{fewer}: no scores of pump, which {a} has" in err
    shorter = write(tmp_path / "shorter", blind, n=7)
    code, out, err = run(capsys, a, shorter)
    said = f"{a} and {shorter}: fan: only one of the two systems has scored section_00_source_test_"
    assert (code, out, err.count("\n")) == (3, "", 1) and said in err
    code, _, err = run(capsys, a, tmp_path / "nowhere")
    assert code == 3 and "no such folder or zip" in err


def test_the_seed_decides(package: Submission, capsys: pytest.CaptureFixture[str]) -> None:
    systems = f"{package.archive}#1", f"{package.archive}#3"
    assert figures(capsys, *systems, "--seed", 4) == figures(capsys, *systems, "--seed", 4)
    assert figures(capsys, *systems, "--seed", 4) != figures(capsys, *systems, "--seed", 5)


def test_the_year(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = write(tmp_path / "a", perfect), write(tmp_path / "b", blind)
    assert figures(capsys, a, b, "--year", "2021") == figures(capsys, a, b)
    code, out, err = run(capsys, a, b, "--year", "2024")
    assert (code, out) == (3, "") and f"{a}" in err and "CSVs of 2024 are named like" in err
