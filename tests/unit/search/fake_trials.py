"""Trials that take no time: they test a search without training."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from ray import tune

from oddsound.config import TrialConfig
from oddsound.search.space import load_space
from oddsound.search.studies import MachinePlan, feature_name
from oddsound.training.bundle import Bundle, TrialResult, write_atomically

DIGEST = "digest"
EMPTY_SAFETENSORS = (2).to_bytes(8, "little") + b"{}"


def plan(machine: str, n_trials: int, seed: int = 0) -> MachinePlan:
    space = load_space(machine)
    caches = {feature_name(config): f"cache/{machine}" for config in space.front_ends()}
    return MachinePlan(space, DIGEST, caches, n_trials, seed)


def omega_of(config: TrialConfig) -> float:
    """Best near rho 0.1, and never the same for two rhos."""
    return 0.9 - abs(config.loss.rho - 0.1)


def write_bundle(trials: Path, config: TrialConfig, number: int, omega: float) -> Bundle:
    bundle = start_bundle(trials, config)
    bundle.write("history.json", [])
    write_atomically(bundle.weights, EMPTY_SAFETENSORS)
    with zipfile.ZipFile(bundle.scores_path, "w"):
        pass
    bundle.write_result(
        TrialResult(config.identity, config.machine, number, {"omega": omega}, 1, DIGEST, "", 0.0, "")
    )
    return bundle


def start_bundle(trials: Path, config: TrialConfig) -> Bundle:
    bundle = Bundle(trials / config.machine / config.identity)
    bundle.path.mkdir(parents=True, exist_ok=True)
    bundle.write("config.json", config.model_dump())
    return bundle


def instant(handed: dict[str, Any]) -> None:
    """Number 2 of every machine type fails, number 3 reports no number."""
    config, number = TrialConfig.model_validate(handed["trial"]), handed["number"]
    assert handed["cache"] == f"cache/{config.machine}"
    if number == 2:
        start_bundle(Path(handed["trials"]), config).write("failure.json", {"reason": "TrialError: as told"})
        tune.report({"omega": float("nan"), "failed": "TrialError: as told"})
        return
    omega = float("nan") if number == 3 else omega_of(config)
    write_bundle(Path(handed["trials"]), config, number, 0.0 if number == 3 else omega)
    tune.report({"omega": omega})
