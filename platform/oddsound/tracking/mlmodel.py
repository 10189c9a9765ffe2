"""The files that make a folder an MLflow model that MLflow's own tools can load and serve.

The model is code-based: `MLmodel` names a Python file of ours, and MLflow runs it. Nothing is pickled.
All is written here, without MLflow's inference of requirements (which loads the model in a process of
its own, seconds each): the same bundle gives the same bytes under the same versions.
"""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec
from mlflow.types.schema import Map

from oddsound import __version__
from oddsound.config import FeatureConfig
from oddsound.training.sealed import MANIFEST, as_json

CODE = "oddsound_model.py"
_NEEDED = ("mlflow", "numpy", "safetensors", "scipy", "timm", "torch", "torchaudio", "torchvision")
_LOADER = "mlflow.pyfunc.loaders.code_model"
_EXAMPLE_HZ = 440.0


def write_mlmodel(
    folder: Path, code: str, example: dict[str, str], features: FeatureConfig, created: str
) -> None:
    """Make `folder` an MLflow model that is loaded by running `code`, which sets the model.

    `example`: the strings that a clip comes with (`section`), such as the model knows. `created`: a time
    in ISO 8601, that of the trial, lest two packages of one trial differ.
    """
    (folder / CODE).write_text(code)
    (folder / "requirements.txt").write_text(_requirements())
    (folder / "python_env.yaml").write_text(
        f"python: {platform.python_version()}\ndependencies:\n- -r requirements.txt\n"
    )
    inputs = {"waveform": [_tone(features)]} | {name: [value] for name, value in example.items()}
    (folder / "input_example.json").write_bytes(as_json(inputs))
    (folder / "serving_input_example.json").write_bytes(as_json({"inputs": inputs}))
    _mlmodel(tuple(example), created).save(str(folder / "MLmodel"))


def _mlmodel(names: tuple[str, ...], created: str) -> Model:
    model = Model(
        utc_time_created=created,
        signature=_signature(names),
        model_uuid=None,
        saved_input_example_info={
            "artifact_path": "input_example.json",
            "serving_input_path": "serving_input_example.json",
            "type": "ndarray",
        },
    )
    flavor: dict[str, Any] = {
        "loader_module": _LOADER,
        "model_code_path": CODE,
        "python_version": platform.python_version(),
        "env": {"virtualenv": "python_env.yaml"},
        # How the code learns where it lies.
        "artifacts": {"manifest": {"path": MANIFEST, "uri": MANIFEST}},
    }
    return model.add_flavor("python_function", **flavor)


def _signature(names: tuple[str, ...]) -> ModelSignature:
    """waveform (clips, samples) float32 and a string a clip for each of `names`, in; a row a clip, out."""
    inputs: list[ColSpec | TensorSpec] = [TensorSpec(np.dtype("float32"), (-1, -1), "waveform")]
    inputs += [TensorSpec(np.dtype("str"), (-1,), name) for name in names]
    outputs: list[ColSpec | TensorSpec] = [
        ColSpec(DataType.double, "anomaly_score"),
        ColSpec(DataType.double, "threshold"),
        ColSpec(DataType.long, "decision"),
        ColSpec(Map(DataType.double), "section_probabilities"),
    ]
    return ModelSignature(inputs=Schema(inputs), outputs=Schema(outputs))


def _requirements() -> str:
    lines = [f"oddsound=={__version__}", *(f"{name}=={version(name)}" for name in _NEEDED)]
    return "\n".join(lines) + "\n"


def _tone(features: FeatureConfig) -> list[float]:
    """One window of it: a shorter clip is padded, and the example stays small."""
    step = 2 * np.pi * _EXAMPLE_HZ / features.sample_rate
    return [round(0.1 * float(np.sin(step * n)), 4) for n in range(features.n_fft)]
