"""What a packaged trial is: an MLflow model without a pickle, the same bytes for the same bundle."""

from __future__ import annotations

import json
import pickletools
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import yaml
from tests.unit.tracking.small_bundles import small_bundle

from oddsound.config import FeatureConfig
from oddsound.errors import BundleError
from oddsound.scoring.threshold import section_thresholds
from oddsound.tracking.packaged import package_trial
from oddsound.training.bundle import Bundle, finished
from oddsound.training.detector import load_bundle
from oddsound.training.sealed import unseal
from oddsound.training.verdicts import NewClip, verdicts


@pytest.fixture
def bundle(trained: Path) -> Bundle:
    return finished(trained, "fan")[0]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_same_bundle_is_the_same_package(bundle: Bundle, tmp_path: Path) -> None:
    first, second = package_trial(bundle, tmp_path / "a"), package_trial(bundle, tmp_path / "b")
    assert first == second and contents(tmp_path / "a") == contents(tmp_path / "b")
    unseal(tmp_path / "a", "it", first).check()


def test_what_lies_there(bundle: Bundle, tmp_path: Path) -> None:
    package_trial(bundle, tmp_path / "model")
    files = contents(tmp_path / "model")
    assert set(files) == {
        "MLmodel", "oddsound_model.py", "requirements.txt", "python_env.yaml", "input_example.json",
        "serving_input_example.json", "config.json", "detector.json", "weights.safetensors", "manifest.json",
    }  # fmt: skip
    assert files["weights.safetensors"] == bundle.weights.read_bytes()
    assert json.loads(files["manifest.json"])["files"].keys() == files.keys() - {"manifest.json"}
    for content in files.values():
        with pytest.raises(ValueError):
            list(pickletools.genops(content))


def test_the_facts_are_the_trials(bundle: Bundle, tmp_path: Path) -> None:
    package_trial(bundle, tmp_path / "model")
    facts = json.loads((tmp_path / "model" / "detector.json").read_text())
    table, config = bundle.scores(), bundle.config()
    assert facts["classes"] == list(table.classes) == ["00", "01", "02", "03", "04", "05"]
    assert (facts["machine"], facts["trial"]) == ("fan", config.identity)
    assert (facts["sample_rate"], facts["clip_frames"], facts["n_segments"]) == (16000, 30, 1)
    thresholds = {section: of["threshold"] for section, of in facts["sections"].items()}
    assert thresholds == section_thresholds(table)
    train = table.train()
    of_00 = train.score[train.section == "00"]
    assert facts["sections"]["00"]["n_train"] == len(of_00) == 6
    assert facts["sections"]["00"]["mean"] == of_00.mean()
    assert facts["sections"]["00"]["maximum"] == of_00.max()


def test_mlflow_is_told_what_goes_in_and_out(bundle: Bundle, tmp_path: Path) -> None:
    package_trial(bundle, tmp_path / "model")
    about = yaml.safe_load((tmp_path / "model" / "MLmodel").read_text())
    flavor = about["flavors"]["python_function"]
    assert flavor["model_code_path"] == "oddsound_model.py" and "python_model" not in flavor
    inputs = json.loads(about["signature"]["inputs"])
    assert [(i["name"], i["tensor-spec"]) for i in inputs] == [
        ("waveform", {"dtype": "float32", "shape": [-1, -1]}),
        ("section", {"dtype": "str", "shape": [-1]}),
    ]
    outputs = [o["name"] for o in json.loads(about["signature"]["outputs"])]
    assert outputs == ["anomaly_score", "threshold", "decision", "section_probabilities"]
    pins = (tmp_path / "model" / "requirements.txt").read_text().split()
    assert f"oddsound=={version('oddsound')}" in pins and f"torch=={version('torch')}" in pins


@pytest.mark.filterwarnings("ignore::UserWarning")  # MLflow's own, of its own type hints
def test_mlflow_loads_it_with_pickles_disallowed(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow.pyfunc

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    package_trial(bundle, tmp_path / "model")
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    waves = np.sin(np.arange(32000, dtype=np.float32).reshape(2, 16000))
    rows = loaded.predict({"waveform": waves, "section": np.array(["00", "03"])}).to_dict("records")
    clips = [NewClip("a", "00", waves[0]), NewClip("b", "03", waves[1])]
    for row, verdict in zip(rows, verdicts(load_bundle(bundle), clips), strict=True):
        assert row == {name: getattr(verdict, name) for name in row}
    (example,) = loaded.predict(loaded.input_example).to_dict("records")
    assert np.isfinite(example["anomaly_score"])
    with pytest.raises(mlflow.MlflowException, match="section '99' is unknown to the model of fan"):
        loaded.predict({"waveform": waves, "section": np.array(["00", "99"])})


def test_a_bundle_that_is_not_of_one_piece_is_refused(tmp_path: Path) -> None:
    bundle = small_bundle(tmp_path / "trials", 0, 0.6)
    bundle.scores_path.write_bytes(b"damaged")
    with pytest.raises(BundleError, match=r"scores\.npz: not a score table"):
        package_trial(bundle, tmp_path / "model")


def test_the_example_is_one_window_long(bundle: Bundle, tmp_path: Path) -> None:
    package_trial(bundle, tmp_path / "model")
    example = json.loads((tmp_path / "model" / "serving_input_example.json").read_text())
    assert np.shape(example["inputs"]["waveform"]) == (1, FeatureConfig().n_fft)
