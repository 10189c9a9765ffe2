"""How a trial's model lies in MLflow: below `model/` of its run, loadable by anyone.

config.json          the trial's configuration
detector.json        what else is needed to score a clip: `training.facts`
weights.safetensors  the network
MLmodel, oddsound_model.py, requirements.txt, python_env.yaml, *input_example.json
                     for MLflow's own tools; `tracking.mlmodel`
manifest.json        the SHA-256 of each of them; its own is the tag `layout.MODEL`
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from oddsound.tracking.mlmodel import write_mlmodel
from oddsound.training.bundle import Bundle
from oddsound.training.facts import CONFIG, FACTS, WEIGHTS, facts_of
from oddsound.training.sealed import Sealed, as_json, seal

if TYPE_CHECKING:
    from oddsound.training.detector import Detector

_CODE = '''"""Loads this model where MLflow's own tools ask for it; `oddsound predict` never runs it."""

from oddsound.tracking.packaged import serve_detector

serve_detector()
'''


def package_trial(bundle: Bundle, folder: Path) -> str:
    """Write the model of a whole bundle into `folder`, which is made; the SHA-256 of its manifest.

    Raises BundleError where the bundle isn't whole and of one piece.
    """
    config, result = bundle.config(), bundle.result()
    facts = facts_of(bundle, config)
    folder.mkdir(parents=True)
    shutil.copyfile(bundle.path / CONFIG, folder / CONFIG)
    shutil.copyfile(bundle.weights, folder / WEIGHTS)
    (folder / FACTS).write_bytes(as_json(facts.model_dump()))
    example = {"section": next(iter(facts.sections), "00")}
    write_mlmodel(folder, _CODE, example, config.features, result.finished)
    return seal(folder, "detector")


def serve_detector() -> None:
    """What the code file of a trial's model runs."""
    from oddsound.tracking.pyfunc import serve  # torch and mlflow.pyfunc take seconds to import

    serve(_open)


def _open(sealed: Sealed) -> Callable[[str], Detector]:
    from oddsound.training.detector import load_detector

    detector = load_detector(sealed)
    return lambda machine: detector  # it is of one machine type, whatever is asked for
