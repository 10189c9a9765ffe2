"""The evaluation set's way: search on the development sections, train the best again on all sections, score
the evaluation clips, check the package, and measure it once the labels are known."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.metrics import roc_auc_score
from tests.command_line import oddsound, typed

from oddsound.cli.main import main
from oddsound.ensemble.fusions import FUSIONS
from oddsound.recordings.synth import synthesise
from oddsound.training.bundle import Bundle, finished

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

pytestmark = [pytest.mark.slow, pytest.mark.trained]


def succeeded(*line: object) -> subprocess.CompletedProcess[str]:
    """What starts a Ray has a process of its own."""
    ended = (oddsound if line[0] in ("search", "refit", "submit") else typed)(*line)
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
    values = []
    for path in sorted(
        (place / "final" / "submission" / "task2" / SYSTEMS[3]).glob("anomaly_score_fan_*.csv")
    ):
        labels = dict(
            line.split(",")
            for line in (truth / path.name.replace("anomaly_score", "ground_truth")).read_text().split()
        )
        rows = [line.split(",") for line in path.read_text().split()]
        y, score = [int(labels[file]) for file, _ in rows], [float(value) for _, value in rows]
        values += [roc_auc_score(y, score), roc_auc_score(y, score, max_fpr=0.1)]
    omega = len(values) / sum(1 / max(value, sys.float_info.epsilon) for value in values)
    assert len(values) == 12
    (system,) = found["systems"].values()
    assert system["machines"]["fan"]["omega"] == pytest.approx(omega, rel=1e-12)
    assert f"{100 * omega:.2f}" in shown


def test_the_same_command_again_gives_the_same_bytes(place: Path) -> None:
    zips = {path: path.read_bytes() for path in (place / "final" / "submission").glob("*.zip")}
    line = ("refit", place / "searched", place / "all" / "tiny", "--out", place / "final", "--top-k", 2)
    succeeded(*line, "--authors", place / "authors.yaml")
    assert {path: path.read_bytes() for path in zips} == zips
    assert len(zips) == 5


@pytest.fixture(scope="module")
def two_searches(place: Path) -> Path:
    """A second search of other trials on the same recordings, into the MLflow of `final`; then a package of
    both, of fusions that have something to learn."""
    final, uri = place / "final", f"sqlite:///{place}/final/mlflow/mlflow.db"
    line = ("refit", place / "searched", place / "all" / "tiny", "--out", place / "other", "--top-k", 1)
    succeeded(*line, "--seed", 5, "--tracking-uri", uri, "--resamples", 0, "--splits", 0)
    line = ("--from", final, "--from", place / "other", "--fusions", "best,mean_rank,greedy,mean_zscore")
    ended = succeeded("submit", final, *line, "--threshold", "empirical", "--resamples", 100, "--splits", 2)
    (place / "submitted").write_text(ended.stdout)
    return place


def test_members_come_from_all_searches_that_are_named(two_searches: Path) -> None:
    listing = json.loads((two_searches / "final" / "submission" / "systems.json").read_text())
    assert [system["name"] for system in listing["systems"]] == [
        FUSIONS[name].title for name in ("best", "mean_rank", "greedy", "mean_zscore")
    ]
    for machine in MACHINES:
        both = [b for run in ("final", "other") for b in best(two_searches, run, machine)]
        assert len(both) == 3
        of = listing["systems"][3]["machines"][machine]
        if not of["pinned_to_s1"]:
            assert {member["trial"] for member in of["members"]} == {b.path.name for b in both}
        shown = (two_searches / "submitted").read_text()
        first = min(both, key=lambda bundle: (-bundle.result().omega, bundle.path.name))
        assert f"{machine:<6}  {first.path.name}  {first.result().weights_sha256}" in shown
    estimates = listing["systems"][0]["estimates"]
    assert set(estimates) == {*MACHINES, "mean"}
    for of in estimates.values():
        assert of["interval"]["lower"] <= of["interval"]["upper"], (
            "of few clips it may leave out its estimate"
        )
        assert of["optimism"]["naive"] == pytest.approx(of["interval"]["estimate"])


def test_what_was_registered_scores_as_was_submitted(two_searches: Path) -> None:
    """Also a system with members that lie in the other run's folder."""
    data = two_searches / "all" / "tiny" / "fan"
    clips = sorted(data.glob("source_test/section_03_*.wav"))
    for number in (2, 4):
        line = ("predict", "--model", f"models:/tiny.S{number}@newest", "--run", two_searches / "final")
        shown = succeeded(*line, "--machine", "fan", *clips).stdout
        rows = {Path(row["file"]).name: row for row in csv.DictReader(io.StringIO(shown))}
        folder = two_searches / "final" / "submission" / "task2" / f"Lastname_INST_task2_{number}"
        for kind, column in (("anomaly_score", "anomaly_score"), ("decision_result", "decision")):
            written = (folder / f"{kind}_fan_section_03_source_test.csv").read_text().splitlines()
            assert len(written) == len(clips)
            for name, value in (line.split(",") for line in written):
                assert float(rows[name][column]) == float(value), (number, name)


def test_every_fusion_side_by_side(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["ensemble", str(place / "final"), "--machines", "fan", "--resamples", "100", "--splits", "2"]
    shown = []
    for more in ([], ["--json"]):
        with pytest.raises(SystemExit, match="0"):
            main([*line, *more])
        shown.append(capsys.readouterr().out)
    for name, fusion in FUSIONS.items():
        starred = name + (" *" if fusion.uses_labels else " ")
        assert any(row.startswith(starred) for row in shown[0].splitlines())
    found = json.loads(shown[1])
    assert set(found) == {"fan"}
    assert set(found["fan"]) == set(FUSIONS)
    single = best(place, "final", "fan")[0]
    assert found["fan"]["best"]["omega"] == pytest.approx(single.result().omega)
    assert found["fan"]["best"]["members"] == [single.path.name]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (("refit", "searched", "all/tiny", "--out", "final", "--top-k", "1"), "the best trials of"),
        (("refit", "searched", "all/tiny", "--out", "searched"), "is RUN itself"),
        (("refit", "searched", "all/tiny", "--out", "new", "--machines", "fan,pump"), "machine type 'pump'"),
        (
            ("refit", "searched", "all/tiny", "--out", "new", "--top-k", "4", "--strict"),
            "fewer than --top-k 4",
        ),
        (("refit", "searched", "all/tiny", "--out", "new", "--metric", "loss"), "larger must be better"),
        (("refit", "searched", "all/tiny", "--out", "new", "--from", "nobody"), "no search 'nobody'"),
        (("submit", "final", "--metric", "auc/section_09/source"), "that has the metric"),
        (
            ("submit", "final", "--top-k", "9", "--strict"),
            "fan: 2 finished trials, fewer than the 9",
        ),
        (("submit", "final", "--fusions", "best,median"), "fusion 'median'"),
        (("refit", "searched", "all/tiny", "--out", "new", "--fusions", "best,best"), "one to 4 different"),
        (("refit", "searched", "all/tiny", "--out", "new", "--authors", "nobody.yaml"), "nobody.yaml"),
        (("submit", "final", "--fusions", ","), "one to 4 different"),
        (("submit", "final", "--from", "searched"), "no search"),
        (("ensemble", "final", "--machines", "pump"), "--machines pump: no finished trial of it"),
    ],
)
def test_what_is_refused_in_one_line(
    place: Path,
    line: tuple[str, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = (place / "final" / "submission" / "systems.json").read_bytes()
    monkeypatch.chdir(place)
    with pytest.raises(SystemExit) as ended:
        main(list(line))
    said = capsys.readouterr().err
    assert ended.value.code in (2, 3)
    assert message in said
    assert said.splitlines()[-1].startswith("oddsound: ")
    assert not (place / "new").exists()
    assert (place / "final" / "submission" / "systems.json").read_bytes() == before
