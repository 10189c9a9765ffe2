"""`oddsound table1` on small synthetic machines: every system of the paper by its own recipe, found
again in MLflow, beside the paper's figures. A real Ray, a real MLflow store, the real networks."""

from __future__ import annotations

import csv
import subprocess
from pathlib import Path

import pytest
import torch
from mlflow.entities import Run
from safetensors.torch import load_file
from tests.command_line import oddsound

from oddsound.cli.main import main
from oddsound.config import ModelConfig, TrialConfig, flattened, overlay
from oddsound.models.backbones import build_backbone
from oddsound.models.pretrained import IMAGENET_SHA256, first_block_sha256, imagenet_file, load_pretrained
from oddsound.recipes import RECIPES, recipe_settings
from oddsound.recordings.synth import synthesise
from oddsound.report.paper_figures import PAPER
from oddsound.search.record import read_record
from oddsound.tracking.store import open_store
from oddsound.training.bundle import finished

MACHINES = ("fan",)
"""One: each costs eight full-size networks. tests/unit/report/test_table1.py has tables of several."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of 2.2 s: 67 frames, 69 with the baselines' centring; a segment of MobileNetV2's has 64."""
    folder = tmp_path_factory.mktemp("table1") / "small"
    synthesise(
        folder, seconds=2.2, n_train_source=4, n_train_target=1, n_test=2, machines=MACHINES, evaluation=False
    )
    return folder


def table1(data: Path, out: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return oddsound("table1", data, "--out", out, "--epochs", "1", *more, timeout=850)


@pytest.fixture(scope="module")
def ended(data: Path) -> subprocess.CompletedProcess[str]:
    ended = table1(data, data.parent / "out")
    assert ended.returncode == 0, ended.stderr
    return ended


@pytest.fixture
def out(data: Path, ended: subprocess.CompletedProcess[str]) -> Path:
    return data.parent / "out"


def recorded(out: Path, machine: str) -> list[Run]:
    """The trials of the machine type in MLflow."""
    store, record = open_store(None, out / "mlflow"), read_record(out)
    experiment = store.find_experiment(f"{record.dataset}/{machine}")
    assert experiment is not None
    return list(store.client.search_runs([experiment], "tags.`oddsound.kind` = 'trial'"))


@pytest.mark.parametrize("machine", MACHINES)
def test_every_row_is_trained_by_its_own_recipe(machine: str, out: Path) -> None:
    runs = {run.data.params["recipe"]: run.data.params for run in recorded(out, machine)}
    assert runs.keys() == set(RECIPES)
    for name in RECIPES:
        settings = overlay({"machine": machine}, recipe_settings(name), {"training": {"epochs": 1}})
        if name.startswith("effnet_pretrain"):
            settings = overlay(settings, {"model": {"pretrained_sha256": IMAGENET_SHA256}})
        expected = flattened(TrialConfig.model_validate(settings).model_dump())
        assert runs[name] == {key: str(value) for key, value in expected.items()}


def test_pretrained_rows_begin_with_those_weights(out: Path) -> None:
    config = ModelConfig(backbone="tf_efficientnet_b0", pretrained="imagenet")
    torch.manual_seed(0)
    network = build_backbone(config)[0]
    load_pretrained(network, imagenet_file(), config)
    imagenet = first_block_sha256(network)
    for machine in MACHINES:
        begun = {
            b.config().recipe: b.result().initial_block_sha256 for b in finished(out / "trials", machine)
        }
        assert {recipe for recipe, block in begun.items() if block == imagenet} == {
            recipe for recipe in RECIPES if "pretrain" in recipe
        }


def test_the_table_has_the_papers_column_beside_ours(
    out: Path, ended: subprocess.CompletedProcess[str]
) -> None:
    with (out / "table1.csv").open() as stream:
        rows = {(row["row"], row["machine"]): row for row in csv.DictReader(stream)}
    measured = {
        (b.config().recipe, machine): b.result()
        for machine in MACHINES
        for b in finished(out / "trials", machine)
    }
    assert len(measured) == 8
    for (recipe, machine), result in measured.items():
        row = rows[recipe, machine]
        assert float(row["paper"]) == PAPER[recipe].omega[machine]
        assert float(row["omega"]) == pytest.approx(100 * result.metrics["omega_last"], abs=0.006)
        assert float(row["omega_best_dev"]) == pytest.approx(
            100 * result.metrics["omega_best_dev"], abs=0.006
        )
        assert float(row["difference"]) == pytest.approx(float(row["omega"]) - float(row["paper"]), abs=0.006)
    best = max(
        r.omega for (recipe, machine), r in measured.items() if recipe[:6] == "effnet" and machine == "fan"
    )
    assert float(rows["S1", "fan"]["omega"]) == pytest.approx(100 * best, abs=0.006)
    assert {f"S{n}" for n in range(1, 5)} <= {row for row, _ in rows}
    for title in (PAPER[name].title for name in PAPER):
        assert title in ended.stdout
        assert title in (out / "table1.md").read_text()
    assert "<table" in (out / "table1.html").read_text()


def test_baselines_and_efficientnets_are_what_they_are_called(out: Path) -> None:
    parts = {
        b.config().recipe: {n.split(".")[0] for n in load_file(b.weights)}
        for b in finished(out / "trials", "fan")
    }
    assert parts["ae_baseline"] == {"autoencoder", "standardise"}
    assert parts["mobilenet_baseline"] == {"classifier", "standardise"}
    assert parts["effnet"] == {"autoencoder", "classifier", "projection", "standardise"}


def test_the_same_command_again_trains_nothing(
    data: Path, out: Path, ended: subprocess.CompletedProcess[str]
) -> None:
    again = table1(data, out)
    assert again.returncode == 0, again.stderr
    assert again.stdout == ended.stdout
    assert "finished: omega" not in again.stderr
    assert [len(recorded(out, machine)) for machine in MACHINES] == [8]


def test_submit_packages_the_systems_that_the_table_shows(
    out: Path, ended: subprocess.CompletedProcess[str]
) -> None:
    with (out / "table1.csv").open() as stream:
        shown = {(row["row"], row["machine"]): row["omega"] for row in csv.DictReader(stream)}
    submitted = oddsound("submit", out, timeout=120)
    assert submitted.returncode == 0, submitted.stderr
    table = submitted.stdout.partition("\n\n")[0]
    rows = {line.split()[0]: line.split()[1:] for line in table.splitlines()}
    for machine in MACHINES:
        by_system = [value.rstrip("*") for value in rows[machine]]
        assert by_system == [shown[f"S{number}", machine] for number in range(1, 5)]


def test_clips_shorter_than_a_segment_are_refused_before_any_trial(
    small_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["table1", str(small_data), "--out", str(tmp_path / "out"), "--epochs", "1"])
    assert ended.value.code == 3
    assert "fewer than model.segment_frames 64" in capsys.readouterr().err
    assert not (tmp_path / "out" / "trials").exists()
