"""`oddsound pretrain` as a user types it: a tiny corpus, a real Ray, a real MLflow store, and the weights
in a detector's backbone."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest
from tests.corpora import KINDS, esc_corpus

from oddsound.cli.main import main
from oddsound.cli.weights import prepare_weights
from oddsound.config import ModelConfig
from oddsound.models.backbones import build_backbone
from oddsound.models.pretrained import first_block_sha256, load_pretrained
from oddsound.search.space import load_space
from oddsound.tracking.pretrained import fetch_pretrained
from oddsound.tracking.store import open_store
from oddsound.training.pretrain_bundle import PretrainBundle
from oddsound.training.trial import build_model

ODDSOUND = Path(sys.executable).parent / "oddsound"
URI = "models:/corpus.pretrained.tf_efficientnet_b0/1"
EPOCHS = 30
SMALL = ModelConfig(backbone="tf_efficientnet_b0", width=0.1, depth=0.3)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return esc_corpus(tmp_path_factory.mktemp("data") / "corpus")


def command(corpus: Path, out: Path, *more: object) -> list[str]:
    line = [ODDSOUND, "pretrain", corpus, "--out", out, "--epochs", EPOCHS, "--batch-size", 4, "--cpus", 1]
    line += ["--set", "model.width=0.1", "--set", "model.depth=0.3", *more]
    return [str(part) for part in line]


def exits(line: list[str]) -> int:
    """In this process, for what needs no Ray."""
    with pytest.raises(SystemExit) as raised:
        main(line[1:])
    return int(raised.value.code or 0)


@pytest.fixture(scope="module")
def run(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped in its first epochs and then finished; its folder is given relatively."""
    folder = tmp_path_factory.mktemp("run")
    line = command(corpus, Path("out"))
    with subprocess.Popen(
        line, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stderr is not None
        talk = until(first.stderr, f"epoch 2 of {EPOCHS}")
        first.send_signal(signal.SIGTERM)
        talk += first.stderr.read()
    (folder / "interrupted").write_text(f"{first.returncode}\n{talk}")
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    (folder / "stdout").write_text(done.stdout)
    (folder / "stderr").write_text(done.stderr)
    return folder / "out"


def until(stream: IO[str], text: str) -> str:
    """What `stream` says up to and with the line that has `text`."""
    said = ""
    for line in stream:
        said += line
        if text in line:
            return said
    raise AssertionError(f"it ended without {text!r}: {said}")


@pytest.fixture
def bundle(run: Path) -> PretrainBundle:
    (path,) = (run / "pretrain").iterdir()
    return PretrainBundle(path)


def test_stdout_is_the_figures_and_the_models_address(run: Path, bundle: PretrainBundle) -> None:
    rows = [line.split() for line in (run.parent / "stdout").read_text().splitlines()]
    accuracy = f"{100 * bundle.outcome().score:.2f}"
    assert rows == [["accuracy", accuracy, "%"], ["chance", "33.33", "%"], ["model", URI]]


def test_stderr_has_a_line_an_epoch_and_the_next_command(run: Path) -> None:
    talk = (run.parent / "stderr").read_text()
    assert "24 clips, 3 classes, one label a clip, folds 1, 2" in talk
    assert talk.index(f"epoch {EPOCHS - 1} of {EPOCHS}: loss") < talk.index(
        f"epoch {EPOCHS} of {EPOCHS}: loss"
    )
    assert f"oddsound run DATA --out RUN --tracking-uri sqlite:///{run}/mlflow/mlflow.db" in talk
    assert (
        f"--set model.pretrained={URI} --set model.backbone=tf_efficientnet_b0 --set model.width=0.1" in talk
    )
    assert "Traceback" not in talk


def test_sigterm_ends_with_130_and_the_same_command_goes_on(run: Path, bundle: PretrainBundle) -> None:
    code, talk = (run.parent / "interrupted").read_text().split("\n", 1)
    assert code == "130", talk
    assert "the same command goes on" in talk and "Traceback" not in talk
    assert f"epoch 2 of {EPOCHS}" not in (run.parent / "stderr").read_text()
    assert [entry["epoch"] for entry in bundle.history()] == list(range(1, EPOCHS + 1))


def test_the_bundle_is_whole(bundle: PretrainBundle) -> None:
    result = bundle.outcome()
    assert (result.n_held_out, result.n_clips, result.corpus) == (12, 24, "corpus")
    assert bundle.settings().training.held_out_fold == 1
    assert all(kind in (bundle.path / "labels.json").read_text() for kind in KINDS)
    assert not bundle.checkpoint.exists()


@pytest.mark.parametrize("uri", [URI, URI.replace("/1", "@champion")])
def test_a_detectors_backbone_starts_from_the_registered_weights(
    uri: str, run: Path, bundle: PretrainBundle, tmp_path: Path
) -> None:
    weights = fetch_pretrained(open_store(None, run / "mlflow"), uri, tmp_path)
    backbone, _ = build_backbone(SMALL)
    load_pretrained(backbone, weights, SMALL)
    assert first_block_sha256(backbone) == bundle.outcome().first_block_sha256


def test_a_search_has_the_registered_weights_ready(run: Path, bundle: PretrainBundle, tmp_path: Path) -> None:
    model = {"pretrained": URI, "width": 0.1, "depth": 0.3}
    space = load_space("fan", [{"model": model}])
    store = open_store(None, run / "mlflow")
    (ready,), files = prepare_weights([space], {}, tmp_path, store)
    assert files[URI].read_bytes() == bundle.weights.read_bytes()
    config = ready.trial({}, 0)
    assert config.model.pretrained_sha256 == bundle.outcome().weights_sha256
    learner = build_model(config, 2, 311, files[URI])
    assert learner.classifier is not None
    assert first_block_sha256(learner.classifier.backbone) == bundle.outcome().first_block_sha256


def test_the_same_command_again_does_nothing_twice(
    corpus: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = [path for room in ("pretrain", "features", "mlflow/artifacts") for path in (run / room).rglob("*")]
    before = {path: path.stat().st_mtime_ns for path in kept if path.suffix != ".lock"}
    assert exits(command(corpus, run)) == 0
    said = capsys.readouterr()
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert "Ray starts" not in said.err and "loss" not in said.err
    assert said.out == (run.parent / "stdout").read_text()


def test_what_mlflow_lost_is_sent_by_the_same_command(corpus: Path, run: Path) -> None:
    other = f"sqlite:///{run.parent}/other/mlflow.db"
    assert exits(command(corpus, run, "--tracking-uri", other)) == 0
    store = open_store(other, run)
    assert len(store.client.search_model_versions("name='corpus.pretrained.tf_efficientnet_b0'")) == 1


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (["--fold", "7"], 3, "fold 7 has 0 of 24 clips"),
        (["--set", "model.widht=1"], 2, "model.widht: unknown key; did you mean width"),
        (["--set", "model.ae_hidden=8"], 2, "model.ae_hidden changes nothing in pretraining"),
        (["--set", "corpus=x"], 2, "named after its folder"),
        (["--set", "training.epochs"], 2, "expected SETTING=VALUE"),
        (["--pretrained", "nowhere.pt"], 3, "nowhere.pt: no such file"),
        (["--pretrained", "imagenet"], 2, "model.width 0.1 and model.depth 0.3"),
        (["--tracking-uri", "ftp://x"], 4, "tracking URI ftp://x can't be used"),
    ],
)
def test_a_mistake_is_one_line_with_its_exit_code(
    more: list[str],
    code: int,
    message: str,
    corpus: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert exits([*command(corpus, tmp_path), *more]) == code
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = [line for line in said.err.splitlines() if line.startswith("oddsound:")]
    assert message in line


def test_a_folder_without_a_corpus(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exits(["oddsound", "pretrain", str(tmp_path), "--out", str(tmp_path / "out")]) == 3
    assert "no table of a labelled corpus" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
