"""What each year asked for, its CSVs' names, its numbering, and its ground truths."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from oddsound.errors import ConfigError, ScoreError
from oddsound.scoring.evaluation import labelled_tables
from oddsound.scoring.ground_truth import read_ground_truth
from oddsound.scoring.omega import cells
from oddsound.scoring.score_rows import CellKey, gaps, inspect, parse_file_name
from oddsound.scoring.years import YEARS, rules_of, year_named, year_of

LATE = CellKey("3DPrinter", "00", "", "2022")
NUMBERS = [(0, 0), (1, 0), (2, 1), (3, 1), (4, 0), (5, 0), (6, 1), (7, 1)]
"""Label (1: anomaly) of each of eight hidden recordings; the odd ones are of the target domain."""


@pytest.mark.parametrize(
    ("year", "csv", "n_cells"),
    [
        ("2020", "anomaly_score_ToyConveyor_id_04.csv", 18),
        ("2021", "anomaly_score_pump_section_05_target_test.csv", 42),
        ("2022", "anomaly_score_bearing_section_03_test.csv", 21),
        ("2023", "anomaly_score_ToyNscale_section_00_test.csv", 7),
        ("2024", "anomaly_score_3DPrinter_section_00_test.csv", 9),
        ("2025", "anomaly_score_ToyRCCar_section_00_test.csv", 8),
        ("2026", "anomaly_score_BlowerDustCollector_section_00_test.csv", 5),
    ],
)
def test_the_csvs_of_each_year(year: str, csv: str, n_cells: int) -> None:
    from oddsound.submission.expected import evaluation_set

    keys = evaluation_set(YEARS[year])
    assert csv in {key.file("anomaly_score") for key in keys}
    assert len(keys) == n_cells
    for key in keys:
        assert parse_file_name(key.file("decision_result")) == ("decision_result", key)
        assert parse_file_name(key.file("ground_truth")) == ("ground_truth", key)


@pytest.mark.parametrize("year", YEARS)
def test_a_year_is_told_from_its_machine_types_and_sections(year: str) -> None:
    asked = YEARS[year]
    machines = sorted(asked.sections)
    for some in (machines, machines[:3]):
        found = year_of(asked.layout, {(m, s) for m in some for s in asked.sections[m]})
        assert found.name == year
    assert rules_of(asked.layout) == ("2021" if year in ("2020", "2021") else "2022")


def test_an_unknown_year_is_named() -> None:
    with pytest.raises(ConfigError, match=r"'2019' is known; known are 2020, 2021, .*2026"):
        year_named("2019")


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("anomaly_score_fan_section_0_test.csv", CellKey("fan", "00", "", "2022")),
        ("anomaly_score_fan_section_00.csv", CellKey("fan", "00", "", "2022")),
        ("anomaly_score_fan_section_3_source.csv", CellKey("fan", "03", "source")),
        ("anomaly_score_3DPrinter_section_00_test.csv", LATE),
        ("anomaly_score_slider_id_06.csv", CellKey("slider", "06", "source", "2020")),
    ],
)
def test_odd_names_of_csvs(name: str, key: CellKey) -> None:
    assert parse_file_name(name) == ("anomaly_score", key)


def problems(names: list[str], first: int | None = None, key: CellKey = LATE) -> list[str]:
    content = "".join(f"{name}.wav,1\n" for name in names).encode()
    scores, wrong = inspect(content, "x.csv", "anomaly_score", key)
    return [str(problem) for problem in wrong or gaps(scores, first)]


@given(start=st.integers(0, 1), n=st.integers(2, 30), data=st.data())
def test_a_hole_in_hidden_numbers_is_found(start: int, n: int, data: st.DataObject) -> None:
    names = [f"section_00_{i:04d}" for i in range(start, start + n + 1)]
    assert problems(names) == []
    assert (problems(names, first=1) == []) is (start == 1)
    hole = data.draw(st.integers(1, n - 1))
    (found,) = problems(data.draw(st.permutations(names[:hole] + names[hole + 1 :])))
    assert f"{names[hole]} is missing before {names[hole + 1]}.wav" in found


def test_numbers_run_for_each_label_or_through_all() -> None:
    apart = [f"section_00_{d}_test_{w}_{i:04d}_" for d in ("source", "target")
             for w in ("normal", "anomaly") for i in range(3)]  # fmt: skip
    together = [f"section_00_source_test_{'anomaly' if i % 3 else 'normal'}_{i:04d}_" for i in range(9)]
    assert problems(apart) == problems(together) == []
    assert "normal_0001 is missing" in problems(apart[:1] + apart[2:])[0]
    assert "_0004 is missing" in problems(together[:4] + together[5:])[0]


@pytest.mark.parametrize(
    ("file", "key", "says"),
    [
        ("section_03_0000", LATE, "of section 03, this file of section 00"),
        ("id_00_00000000", LATE, "isn't named as in the year"),
        ("section_00_0000", CellKey("fan", "00", "source", "2020"), "isn't named as in the year|of section"),
        ("section_00_0000", CellKey("fan", "00", "source"), "of section 00, this file of section 00, source"),
    ],
)
def test_a_recording_of_another_section_or_year(file: str, key: CellKey, says: str) -> None:
    import re

    (found,) = problems([file], key=key)
    assert re.search(says, found)


class TestGroundTruth:
    def folder(self, root: Path, labels: bytes = b"", domains: bytes = b"") -> Path:
        name = LATE.file("ground_truth")
        rows = [f"section_00_{i:04d}.wav,{{}}\n" for i, _ in NUMBERS]
        written = {
            "ground_truth_data": labels
            or "".join(r.format(NUMBERS[i][1]) for i, r in enumerate(rows)).encode(),
            "ground_truth_domain": domains or "".join(r.format(i % 2) for i, r in enumerate(rows)).encode(),
        }
        for folder, content in written.items():
            (root / folder).mkdir(parents=True)
            (root / folder / name).write_bytes(content)
        return root

    def scores(self) -> dict[str, bytes]:
        lines = (f"section_00_{i:04d}.wav,{(i * 5) % 8}\n" for i, _ in NUMBERS)
        return {LATE.file("anomaly_score"): "".join(lines).encode(), "result.csv": b"x"}

    @pytest.mark.parametrize("below", ["", "ground_truth_data"])
    def test_rules_of_2022(self, tmp_path: Path, below: str) -> None:
        truth = self.folder(tmp_path) / below
        (table,) = labelled_tables(self.scores(), "x", truth, year="2024").values()
        assert (table.machine, table.rules, table.classes) == ("3DPrinter", "2022", ())
        assert table.probabilities.shape == (8, 1, 0)
        label, score = np.array([n[1] for n in NUMBERS]), np.array([(i * 5) % 8 for i, _ in NUMBERS])
        odd = np.arange(8) % 2
        found = {cell.name: cell for cell in cells(table)}
        for d, domain in enumerate(("source", "target")):
            rows = (odd == d) | (label == 1)
            expected = roc_auc_score(label[rows], score[rows])
            assert found[f"section_00/{domain}"].auc == pytest.approx(expected, abs=1e-12)
        assert found["section_00"].pauc == pytest.approx(roc_auc_score(label, score, max_fpr=0.1), abs=1e-12)

    def test_the_domains_are_needed_and_of_the_same_files(self, tmp_path: Path) -> None:
        truth = self.folder(tmp_path / "a", domains=b"section_00_0000.wav,1\n")
        with pytest.raises(ScoreError, match=r"domain/ground_truth_3DP.*:1: the file ends without .*_0001"):
            read_ground_truth(truth)
        (truth / "ground_truth_domain" / LATE.file("ground_truth")).rename(
            truth / "ground_truth_domain" / "ground_truth_fan_section_00_test.csv"
        )
        with pytest.raises(
            ScoreError, match=r"domain: ground_truth_3DPrinter_section_00_test.csv is missing"
        ):
            read_ground_truth(truth)
        (truth / "ground_truth_domain").rename(truth / "elsewhere")
        with pytest.raises(ScoreError, match="from 2022 on it says each recording's domain"):
            read_ground_truth(truth)

    def test_a_name_that_contradicts_its_domain(self, tmp_path: Path) -> None:
        rows = [("source", "normal", 0), ("source", "anomaly", 1), ("target", "normal", 0)]
        names = [f"section_00_{d}_test_{w}_{i:04d}.wav" for i, (d, w, _) in enumerate(rows)]
        labels = "".join(f"{name},{row[2]}\n" for name, row in zip(names, rows, strict=True)).encode()
        truth = self.folder(tmp_path, labels, "".join(f"{name},0\n" for name in names).encode())
        with pytest.raises(ScoreError, match=r"x/anomaly.*csv:3: .*disagree on its domain"):
            labelled_tables({LATE.file("anomaly_score"): labels}, "x", truth)

    def test_the_list_of_2020(self, tmp_path: Path) -> None:
        listed = tmp_path / "eval_data_list.csv"
        listed.write_text("fan\r\nid_01_00000000.wav,a.wav,0\r\nid_01_00000004.wav,b.wav,1\r\npump\n")
        files = {"anomaly_score_fan_id_01.csv": b"id_01_00000004.wav,1\nid_01_00000000.wav,2\n"}
        (cell,) = cells(labelled_tables(files, "x", tmp_path)["fan"])
        assert (cell.section, cell.auc, cell.n_normal) == ("01", 0.0, 1)
        for wrong, line in (("id_01_00000000.wav,a.wav,0\n", 1), ("fan\nid_01_00000000.wav,1\n", 2),
                            ("fan\nx.wav,a,1\n", 2), ("fan\nid_01_00000000.wav,a,2\n", 2)):  # fmt: skip
            listed.write_text(wrong)
            with pytest.raises(ScoreError, match=f"eval_data_list.csv:{line}: "):
                read_ground_truth(tmp_path)

    def test_years_that_mix(self, tmp_path: Path) -> None:
        files = self.scores() | {"anomaly_score_fan_id_01.csv": b"id_01_00000004.wav,1\n"}
        with pytest.raises(ScoreError, match="named as in two years"):
            labelled_tables(files, "x", self.folder(tmp_path))
        with pytest.raises(
            ScoreError, match=r"x/anomaly.*: CSVs of 2020 are named like anomaly_.*_id_00.csv"
        ):
            labelled_tables(self.scores(), "x", tmp_path, year="2020")
