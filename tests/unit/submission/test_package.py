import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.unit.submission.systems import authors, small_systems

from oddsound.ensemble.systems import System
from oddsound.errors import SubmissionError
from oddsound.scoring.score_files import read_scores
from oddsound.scoring.threshold import section_thresholds
from oddsound.submission.package import write_submission


@pytest.fixture(scope="module")
def systems() -> tuple[System, ...]:
    return small_systems()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_scores_round_trip_and_decisions_follow_the_threshold(
    tmp_path: Path, systems: tuple[System, ...]
) -> None:
    written = write_submission(systems, tmp_path, authors())
    assert written.labels == tuple(f"Kim_EXU_task2_{n}" for n in (1, 2, 3, 4))
    assert (written.clips, written.n_clips) == ("development", 2 * 2 * 2 * 20)
    for system in systems:
        folder = written.folder / f"Kim_EXU_task2_{system.number}"
        assert len(list(folder.glob("*.csv"))) == 2 * 2 * 2 * 2
        for machine, of in system.machines.items():
            threshold = section_thresholds(of.table)["01"]
            table = of.table.test()
            scores = read_scores(folder / f"anomaly_score_{machine}_section_01_target_test.csv")
            decisions = read_scores(folder / f"decision_result_{machine}_section_01_target_test.csv")
            by_file = dict(zip(table.file.tolist(), table.score.tolist(), strict=True))
            assert {row.file: row.value for row in scores} == {row.file: by_file[row.file] for row in scores}
            assert [row.value for row in decisions] == [float(row.value > threshold) for row in scores]
            assert len(scores) == 20


def test_same_input_same_bytes(tmp_path: Path, systems: tuple[System, ...]) -> None:
    first = write_submission(systems, tmp_path / "a", authors())
    again = write_submission(systems, tmp_path / "b", authors())
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert first.archive.name == "Kim_EXU_task2.zip"
    assert [path.name for path in first.archives] == [f"Kim_EXU_task2_{n}.zip" for n in (1, 2, 3, 4)]
    for label, archive in zip(first.labels, first.archives, strict=True):
        with zipfile.ZipFile(archive) as pack:
            assert {name: pack.read(name) for name in pack.namelist()} == {
                f"task2/{label}/{name}": content for name, content in contents(first.folder / label).items()
            }
    with zipfile.ZipFile(again.archive) as pack:
        names = pack.namelist()
        assert names == sorted(names)
        assert {name: pack.read(name) for name in names} == {
            f"task2/{name}": content for name, content in contents(again.folder).items()
        }
    write_submission(systems, tmp_path / "a", authors())
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_decisions_by_the_empirical_quantile(tmp_path: Path, systems: tuple[System, ...]) -> None:
    written = write_submission(systems, tmp_path, authors(), method="empirical")
    of = systems[1].machines["fan"].table
    threshold = section_thresholds(of, method="empirical")["00"]
    folder = written.folder / "Kim_EXU_task2_2"
    rows = (of.split == "test") & (of.section == "00") & (of.domain == "source")
    expected = dict(zip(of.file[rows].tolist(), (of.score[rows] > threshold).tolist(), strict=True))
    decided = read_scores(folder / "decision_result_fan_section_00_source_test.csv")
    assert {row.file: bool(row.value) for row in decided} == expected
    meta = (folder / "Kim_EXU_task2_2.meta.yaml").read_text()
    assert "gamma" not in meta and "90th percentile of the training" in " ".join(meta.split())


def test_zips_of_an_earlier_package_go_and_no_others(tmp_path: Path, systems: tuple[System, ...]) -> None:
    write_submission(systems, tmp_path, authors("Old"))
    (tmp_path / "my_task2_notes.zip").write_bytes(b"mine")
    write_submission(systems[:2], tmp_path, authors("New"))
    assert sorted(path.name for path in tmp_path.glob("*.zip")) == [
        "New_EXU_task2.zip",
        "New_EXU_task2_1.zip",
        "New_EXU_task2_2.zip",
        "my_task2_notes.zip",
    ]


def test_evaluation_clips_go_first(tmp_path: Path) -> None:
    written = write_submission(small_systems(evaluation=("03",)), tmp_path)
    assert (written.clips, written.n_clips) == ("evaluation", 2 * 2 * 10)
    names = {path.name for path in written.folder.rglob("anomaly_score_*.csv")}
    assert names == {
        f"anomaly_score_{machine}_section_03_{domain}_test.csv"
        for machine in ("fan", "ToyCar")
        for domain in ("source", "target")
    }


def test_a_machine_type_without_evaluation_clips_is_refused(tmp_path: Path) -> None:
    with_them, without = small_systems(["fan"], evaluation=("03",)), small_systems(["pump"])
    mixed = [replace(a, machines=a.machines | b.machines) for a, b in zip(with_them, without, strict=True)]
    with pytest.raises(SubmissionError, match="pump: no evaluation clips, while other machine types have"):
        write_submission(mixed, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_no_test_clips_or_unlike_systems(tmp_path: Path, systems: tuple[System, ...]) -> None:
    of = systems[0].machines["fan"]
    train_only = replace(systems[0], machines={"fan": replace(of, table=of.table.train())})
    with pytest.raises(SubmissionError, match="fan: no development clips; add"):
        write_submission([train_only], tmp_path)
    with pytest.raises(SubmissionError, match="the same machine types"):
        write_submission([systems[0], train_only], tmp_path)
    with pytest.raises(SubmissionError, match="one to four systems"):
        write_submission([], tmp_path)


def test_a_section_without_training_clips(tmp_path: Path, systems: tuple[System, ...]) -> None:
    of = systems[0].machines["fan"]
    table = of.table.where((of.table.split == "test") | (of.table.section == "00"))
    with pytest.raises(SubmissionError, match="fan, section 01: test clips but no training clips"):
        write_submission([replace(systems[0], machines={"fan": replace(of, table=table)})], tmp_path)


def test_names_that_no_score_file_may_hold(tmp_path: Path, systems: tuple[System, ...]) -> None:
    of = systems[0].machines["fan"]
    table = replace(of.table, file=np.char.add("../", of.table.file))
    with pytest.raises(SubmissionError, match=r"csv:1: .*not a recording's name"):
        write_submission([replace(systems[0], machines={"fan": replace(of, table=table)})], tmp_path)


def test_replaced_whole_and_reports_kept(tmp_path: Path, systems: tuple[System, ...]) -> None:
    written = write_submission(systems, tmp_path, authors("Old"))
    report = written.folder / "Old_EXU_task2_1" / "Old_EXU_task2_1.technical_report.pdf"
    report.write_bytes(b"%PDF")
    written = write_submission(systems, tmp_path, authors("Old"))
    assert report.read_bytes() == b"%PDF"
    with zipfile.ZipFile(written.archive) as pack:
        assert "task2/Old_EXU_task2_1/Old_EXU_task2_1.technical_report.pdf" in pack.namelist()
    report.unlink()
    write_submission(systems[:1], tmp_path, authors("New"))
    assert [path.name for path in written.folder.iterdir()] == ["New_EXU_task2_1"]


def test_strangers_are_never_replaced(tmp_path: Path, systems: tuple[System, ...]) -> None:
    written = write_submission(systems, tmp_path)
    before = contents(tmp_path)
    (written.folder / "notes.txt").write_text("mine")
    with pytest.raises(SubmissionError, match=r"notes.txt: not part of a package; move it away"):
        write_submission(systems, tmp_path)
    (written.folder / "notes.txt").unlink()
    assert contents(tmp_path) == before


def test_a_failure_leaves_the_package_before(
    tmp_path: Path, systems: tuple[System, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_submission(systems, tmp_path)
    before = contents(tmp_path)

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    with pytest.raises(OSError, match="No space"):
        write_submission(systems, tmp_path, authors("New"))
    assert contents(tmp_path) == before


def test_a_swap_that_fails_is_undone(
    tmp_path: Path, systems: tuple[System, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = write_submission(systems, tmp_path)
    before = contents(written.folder)

    def refused(self: Path, target: Path) -> None:
        raise OSError(f"{self} -> {target}")

    monkeypatch.setattr(Path, "replace", refused)
    with pytest.raises(OSError, match="task2"):
        write_submission(systems, tmp_path)
    assert contents(written.folder) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["task2"]
