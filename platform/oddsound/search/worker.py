"""What runs in a Ray worker: one trial."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune

from oddsound.config import TrialConfig
from oddsound.errors import DataError
from oddsound.training.data import MachineData
from oddsound.training.trial import run_trial


def train_trial(handed: dict[str, Any]) -> None:
    """Run the trial of `handed` (what `MachineStudies.suggest` gives) and report each evaluated epoch."""
    cpus = ray.get_runtime_context().get_assigned_resources().get("CPU", 1)
    torch.set_num_threads(max(1, int(cpus)))
    config = TrialConfig.model_validate(handed["trial"])
    data = _open(handed["cache"])
    if data.digest != handed["data_digest"]:
        raise DataError(f"{config.machine}: the feature cache {handed['cache']} is of other recordings")
    weights = Path(handed["weights"]) if handed["weights"] else None
    run_trial(
        config, data, tune.report, trials=Path(handed["trials"]), number=handed["number"], weights=weights
    )


@lru_cache(maxsize=8)
def _open(cache: str) -> MachineData:
    """An actor runs many trials and maps each cache once."""
    return MachineData.open(Path(cache))
