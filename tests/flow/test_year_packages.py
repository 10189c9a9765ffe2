"""From recordings in the layouts of 2020, 2022 and 2023 to a package of that year that is checked and
evaluated, through the commands."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from sklearn.metrics import roc_auc_score
from tests.unit.submission.systems import authors
from tests.year_layouts import GROUND_TRUTH, relaid

from oddsound.cli.evaluate import evaluate
from oddsound.cli.submission import submission
from oddsound.config import TrialConfig
from oddsound.ensemble.systems import Member, System, build_systems
from oddsound.errors import DataError, ScoreError
from oddsound.features.cache import build_cache
from oddsound.recordings.index import index_folder
from oddsound.scoring.omega import cells, omega
from oddsound.scoring.table import ScoreTable
from oddsound.submission.package import Submission, write_submission
from oddsound.training.classes import refuse_unlearnable
from oddsound.training.data import MachineData
from oddsound.training.trial import run_trial

LABEL = "Kim_EXU_task2_1"


def trained_on(data: Path, config: TrialConfig, out: Path) -> ScoreTable:
    index = index_folder(data)
    cache = build_cache(index.of("fan"), index.digest("fan"), config.features, out / "features")
    return run_trial(config, MachineData.open(cache), lambda _: None, trials=out / "trials").scores()


def packaged(table: ScoreTable, config: TrialConfig, out: Path) -> Submission:
    member = Member("t0", omega(cells(table)), 1000, config.model_dump(), table, "0" * 64)
    systems: tuple[System, ...] = build_systems({"fan": [member]}, fallback=False)
    return write_submission(systems[:1], out, authors())


def run(*arguments: object) -> Result:
    command = submission if arguments[0] == "check" else evaluate
    return CliRunner().invoke(command, [str(a) for a in arguments])


@pytest.fixture
def one_epoch(small_config: TrialConfig) -> TrialConfig:
    training = small_config.training.model_copy(update={"epochs": 1})
    return small_config.model_copy(update={"training": training})


@pytest.mark.parametrize(
    ("year", "csv"),
    [("2020", "anomaly_score_fan_id_03.csv"), ("2022", "anomaly_score_fan_section_03_test.csv")],
)
def test_evaluation_clips(
    small_data: Path, one_epoch: TrialConfig, tmp_path: Path, year: str, csv: str
) -> None:
    data = relaid(small_data, tmp_path / "data", year)
    truth = data / GROUND_TRUTH
    table = trained_on(data, one_epoch, tmp_path)
    made = packaged(table, one_epoch, tmp_path / "out")
    assert made.clips == "evaluation"
    names = {path.name for path in (made.folder / LABEL).glob("*.csv")}
    assert (csv in names, len(names)) == (True, {"2020": 3, "2022": 6}[year])
    for expected in (("--data", data), ("--ground-truth", truth)):
        result = run("check", made.archive, *expected)
        assert result.exit_code == 0, result.output
    found = json.loads(run(made.archive, "--ground-truth", truth, "--json").stdout)["systems"][LABEL]
    known = _truth(truth, year)
    scores = {str(f): float(s) for f, s in zip(table.file, table.score, strict=True)}
    for cell in found["machines"]["fan"]["cells"]:
        of = [(f, *k) for f, k in known.items() if k[0] == cell["section"]]
        if cell["auc"] is not None:
            of_domain = [
                (f, label) for f, _, d, label in of if d == cell["domain"] or (label and year == "2022")
            ]
            expected_auc = roc_auc_score([label for _, label in of_domain], [scores[f] for f, _ in of_domain])
            assert cell["auc"] == pytest.approx(expected_auc, abs=1e-12)
        else:
            expected_pauc = roc_auc_score([k[3] for k in of], [scores[k[0]] for k in of], max_fpr=0.1)
            assert cell["pauc"] == pytest.approx(expected_pauc, abs=1e-12)
    assert len(found["machines"]["fan"]["cells"]) == {"2020": 3, "2022": 9}[year]


def _truth(folder: Path, year: str) -> dict[str, tuple[str, str, int]]:
    """Section, domain and label of fan's evaluation clips, read without oddsound."""
    if year == "2020":
        lines = (folder / "eval_data_list.csv").read_text().splitlines()
        rows = [line.split(",") for line in lines[1:]]
        return {file: (file.split("_")[1], "source", int(label)) for file, _, label in rows}
    found = {}
    for path in (folder / "ground_truth_data").glob("ground_truth_fan_*"):
        domains = dict(line.split(",") for line in
                       (folder / "ground_truth_domain" / path.name).read_text().splitlines())  # fmt: skip
        for file, label in (line.split(",") for line in path.read_text().splitlines()):
            found[file] = (file.split("_")[1], ("source", "target")[int(domains[file])], int(label))
    return found


def test_one_section_whose_attributes_are_the_classes(
    small_data: Path, one_epoch: TrialConfig, tmp_path: Path
) -> None:
    """2023's layout: trained and measured by the rules of 2022, packaged, checked, evaluated to the same."""
    data = relaid(small_data, tmp_path / "data", "2023")
    by_section = one_epoch
    with pytest.raises(DataError, match=r"fan: training clips of 1 section; .*labels=attributes"):
        refuse_unlearnable("fan", index_folder(data).of("fan"), by_section)
    training = one_epoch.training.model_copy(update={"labels": "attributes"})
    config = one_epoch.model_copy(update={"training": training})
    table = trained_on(data, config, tmp_path)
    assert (table.classes, table.rules) == (("00/vel_0", "00/vel_1"), "2022")
    test = table.labelled()
    of_source = (test.domain == "source") & (test.label == 0) | (test.label == 1)
    found = {c.name: c for c in cells(table)}
    assert found["section_00/source"].auc == pytest.approx(
        roc_auc_score(test.label[of_source], test.score[of_source]), abs=1e-12
    )
    made = packaged(table, config, tmp_path / "out")
    assert run("check", made.archive, "--data", data).exit_code == 0
    result = json.loads(run(made.folder / LABEL, "--year", "2023", "--json").stdout)
    assert result["machines"]["fan"]["omega"] == pytest.approx(omega(cells(table)), abs=1e-12)
    assert np.isclose(result["official_score"], omega(cells(table)))
    refused = run(made.folder / LABEL, "--year", "2021")
    assert isinstance(refused.exception, ScoreError)
    assert "CSVs of 2021 are named like anomaly_score_fan_section_00_source_test.csv" in str(
        refused.exception
    )


def test_a_machine_type_without_attributes_is_one_line(
    small_data: Path, one_epoch: TrialConfig, tmp_path: Path
) -> None:
    data = relaid(small_data, tmp_path / "data", "2023")
    (data / "fan" / "attributes_00.csv").unlink()
    training = one_epoch.training.model_copy(update={"labels": "attributes"})
    config = one_epoch.model_copy(update={"training": training})
    with pytest.raises(DataError, match=r"1 combination.*: set model.architecture=autoencoder") as caught:
        refuse_unlearnable("fan", index_folder(data).of("fan"), config)
    assert "\n" not in str(caught.value)


def test_the_text_says_which_rule_of_auc_it_is(
    small_data: Path, one_epoch: TrialConfig, tmp_path: Path
) -> None:
    table = trained_on(relaid(small_data, tmp_path / "data", "2022"), one_epoch, tmp_path)
    made = packaged(table.where(table.label >= 0), one_epoch, tmp_path / "out")
    assert made.clips == "development"
    lines = run(made.folder / LABEL).stdout.splitlines()
    assert [line.split()[2] for line in lines[1:4]] == ["source", "target", "both"]
    assert lines[3].split()[3] == lines[1].split()[4] == "-"
    assert "against all anomalies, the rule from 2022 on" in lines[-1]
