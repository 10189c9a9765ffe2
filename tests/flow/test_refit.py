"""The evaluation set's way: search on the development sections, train the best again on all sections, score
the evaluation clips, check the package, and measure it once the labels are known."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from oddsound.recordings.synth import synthesise
from oddsound.training.bundle import Bundle, finished

ODDSOUND = Path(sys.executable).parent / "oddsound"
MACHINES = ("fan", "valve")
SETTINGS = """
model: {pretrained: none, width: 0.1, depth: 0.3, ae_hidden: 16}
augment: {time_mask_frames: 3}
training: {epochs: 2, batch_size: 8}
"""
AUTHORS = """
authors:
  - lastname: Kim
    firstname: Ada
    email: ada@example.org
    corresponding: true
    affiliation: {abbreviation: EXU, institute: Example University}
"""
SYSTEMS = [f"Kim_EXU_task2_{number}" for number in (1, 2, 3, 4)]

pytestmark = pytest.mark.slow


def oddsound(*line: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in (ODDSOUND, *line)], capture_output=True, text=True, timeout=280
    )


def succeeded(*line: object) -> subprocess.CompletedProcess[str]:
    ended = oddsound(*line)
    assert ended.returncode == 0, ended.stderr
    return ended


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """dev/tiny: sections 00-02; all/tiny: 00-05, with the evaluation clips' labels aside; a finished search
    on the former in `searched` and its best two again on the latter in `final`."""
    folder = tmp_path_factory.mktemp("refit")
    for name, evaluation in (("dev", False), ("all", True)):
        synthesise(
            folder / name / "tiny",
            seconds=1.0,
            n_train_source=4,
            n_train_target=2,
            n_test=2,
            evaluation=evaluation,
            machines=list(MACHINES),
        )
    (folder / "tiny.yaml").write_text(SETTINGS)
    (folder / "authors.yaml").write_text(AUTHORS)
    searched, final = folder / "searched", folder / "final"
    succeeded(
        "search", folder / "dev" / "tiny", "--out", searched, "--config", folder / "tiny.yaml", "--trials", 3
    )
    line = ("refit", searched, folder / "all" / "tiny", "--out", final, "--top-k", 2)
    ended = succeeded(*line, "--authors", folder / "authors.yaml")
    (folder / "stdout").write_text(ended.stdout)
    (folder / "stderr").write_text(ended.stderr)
    return folder


def best(place: Path, run: str, machine: str) -> list[Bundle]:
    return sorted(
        finished(place / run / "trials", machine),
        key=lambda bundle: (-bundle.result().omega, bundle.path.name),
    )


@pytest.mark.parametrize("machine", MACHINES)
def test_the_best_are_trained_again_as_they_were_on_all_sections(place: Path, machine: str) -> None:
    chosen = best(place, "searched", machine)[:2]
    again = best(place, "final", machine)
    assert {bundle.config() for bundle in again} == {bundle.config() for bundle in chosen}
    for bundle in again:
        table = bundle.scores()
        assert sorted({str(s) for s in table.train().section}) == ["00", "01", "02", "03", "04", "05"]
        assert sorted({str(s) for s in table.labelled().section}) == ["00", "01", "02"]
        assert table.classes == ("00", "01", "02", "03", "04", "05")


def test_the_package_is_of_the_evaluation_clips_and_passes_the_check(place: Path) -> None:
    submission = place / "final" / "submission"
    assert sorted(path.stem for path in submission.glob("*.zip")) == ["Kim_EXU_task2", *SYSTEMS]
    data = ("--data", place / "all" / "tiny")
    for archive in sorted(submission.glob("*.zip")):
        shown = succeeded("submission", "check", archive, *data).stdout
        assert "12 cells, 48 clips" in shown
    names = {path.name for path in (submission / "task2" / SYSTEMS[0]).glob("*.csv")}
    assert {name.split("_section_")[1][:2] for name in names} == {"03", "04", "05"}


def test_the_labels_once_known_give_its_omega(place: Path) -> None:
    truth = place / "all" / "tiny" / "ground_truth"
    archive = place / "final" / "submission" / "Kim_EXU_task2_4.zip"
    found = json.loads(succeeded("evaluate", archive, "--ground-truth", truth, "--json").stdout)
    shown = succeeded("evaluate", archive, "--ground-truth", truth).stdout
    assert "mean omega" in shown
    assert 0 < json.dumps(found).count('"omega"')


def test_the_same_command_again_gives_the_same_bytes(place: Path) -> None:
    zips = {path: path.read_bytes() for path in (place / "final" / "submission").glob("*.zip")}
    line = ("refit", place / "searched", place / "all" / "tiny", "--out", place / "final", "--top-k", 2)
    succeeded(*line, "--authors", place / "authors.yaml")
    assert {path: path.read_bytes() for path in zips} == zips
    assert len(zips) == 5


def test_another_choice_or_the_run_itself_is_refused(place: Path) -> None:
    data = place / "all" / "tiny"
    for line, message in (
        (("--out", place / "final", "--top-k", 1), "the best trials of"),
        (("--out", place / "searched"), "is RUN itself"),
        (("--out", place / "new", "--machines", "fan,pump"), "no machine type 'pump'"),
        (("--out", place / "new", "--top-k", 4, "--strict"), "3 finished trials, fewer than --top-k 4"),
        (("--out", place / "new", "--metric", "loss"), "--metric loss: larger must be better"),
        (("--out", place / "new", "--from", "nobody"), "no search 'nobody'"),
    ):
        ended = oddsound("refit", place / "searched", data, *line)
        assert ended.returncode in (2, 3)
        assert message in ended.stderr
        assert ended.stderr.count("\n") == 1
    assert not (place / "new").exists()
