"""What speed costs: omega of the fast ways and of the reference, over seeds, on synthetic machines."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import torch
import yaml
from benchmarks.measure import say, spread, table

from oddsound.config import TrainingConfig, TrialConfig, overlay
from oddsound.features.cache import build_cache
from oddsound.models.joint import JointModel
from oddsound.recordings.index import index_folder
from oddsound.recordings.synth.folder import synthesise
from oddsound.training import trial
from oddsound.training.data import MachineData
from oddsound.training.schedule import build_optimiser

MACHINES = ("fan", "ToyCar")
SMOKE = Path("search_spaces/smoke.yaml")


@dataclass(frozen=True)
class Way:
    """`plain`: contiguous tensors and Adam as it comes."""

    name: str
    settings: dict[str, Any]
    plain: bool = False


WAYS = (
    Way("reference: float64 features, contiguous, plain Adam", {"features": {"precision": "float64"}}, True),
    Way("oddsound", {}),
    Way("oddsound, bfloat16", {"training": {"precision": "bfloat16"}}),
)


def tell_accuracy(n_seeds: int) -> None:
    with TemporaryDirectory(prefix="oddsound-bench-") as name:
        folder = Path(name)
        synthesise(
            folder / "data", seconds=2.0, n_train_source=24, n_test=20, evaluation=False, machines=MACHINES
        )
        found = {
            (way.name, machine): [_omega(folder, way, machine, seed) for seed in range(n_seeds)]
            for way in WAYS
            for machine in MACHINES
        }
    print("## What the fast ways cost\n")
    print(
        f"Omega [%] of {n_seeds} seeds on synthetic machines (settings of `smoke`, 24 training clips of each "
        "section's source domain, 20 test clips of each section, domain and class).\n"
    )
    rows = [[way.name, *(spread(found[way.name, machine], 4) for machine in MACHINES)] for way in WAYS]
    print(table(["", *MACHINES], rows))


def _omega(folder: Path, way: Way, machine: str, seed: int) -> float:
    settings = overlay(yaml.safe_load(SMOKE.read_text()), way.settings)
    config = TrialConfig.model_validate(overlay({"machine": machine, "training": {"seed": seed}}, settings))
    index = index_folder(folder / "data", [machine])
    cache = build_cache(index.of(machine), "digest", config.features, folder / "cache")
    with ExitStack() as patched:
        if way.plain:
            patched.enter_context(patch.object(trial, "build_model", _contiguous))
            patched.enter_context(patch.object(trial, "build_optimiser", _plain))
        bundle = trial.run_trial(config, MachineData.open(cache), lambda _: None, trials=folder / way.name)
    omega = 100 * bundle.result().omega
    say(f"{way.name}, {machine}, seed {seed}: {omega:.2f}")
    return omega


_build_model = trial.build_model


def _contiguous(*arguments: Any) -> JointModel:
    model: JointModel = _build_model(*arguments).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return model


def _plain(model: JointModel, config: TrainingConfig) -> torch.optim.Adam:
    groups = build_optimiser(model, config).param_groups
    return torch.optim.Adam([{"params": group["params"], "lr": group["lr"]} for group in groups])
