"""Packaged models of every kind that is scored in its own way: the networks, and several of them fused."""

from __future__ import annotations

from pathlib import Path

from tests.unit.training.trials import silent

from oddsound.config import TrialConfig, overlay
from oddsound.ensemble.packaged import package_system
from oddsound.ensemble.systems import Member, build_systems
from oddsound.features.cache import build_cache
from oddsound.recordings.index import index_folder
from oddsound.tracking.packaged import package_trial
from oddsound.training.bundle import Bundle
from oddsound.training.data import MachineData
from oddsound.training.trial import run_trial

MACHINE = "fan"
SETTINGS = {
    "joint": {},
    "classifier": {"model": {"architecture": "classifier", "segment_frames": 16}},
    "autoencoder": {"model": {"architecture": "autoencoder"}},
    "joint again": {"training": {"seed": 1}},
}
KINDS = ("joint", "classifier", "autoencoder", "fused")
"""`fused`: the mean of z-scores of two joint networks."""


def package_every_kind(data: Path, config: TrialConfig, folder: Path) -> dict[str, Path]:
    """Train each network for an epoch on the machine type's clips in `data`; give each kind's package."""
    index, bundles = index_folder(data), dict[str, Bundle]()
    for name, changes in SETTINGS.items():
        settings = overlay(config.model_dump(), {"training": {"epochs": 1}}, changes)
        own = TrialConfig.model_validate(settings)
        cache = build_cache(index.of(MACHINE), index.digest(MACHINE), own.features, folder / "features")
        bundles[name] = run_trial(own, MachineData.open(cache), silent, trials=folder / "trials")
        package_trial(bundles[name], folder / name)
    pair = {bundles[name]: folder / name for name in ("joint", "joint again")}
    (system,) = build_systems({MACHINE: [*map(_member, pair)]}, fallback=False, fusions=["mean_zscore"])
    models = {(MACHINE, bundle.path.name): place for bundle, place in pair.items()}
    package_system(system, models, folder / "fused")
    return {kind: folder / kind for kind in KINDS}


def _member(bundle: Bundle) -> Member:
    result, config = bundle.result(), bundle.config().model_dump()
    numbers = result.trial, result.omega, result.n_parameters
    return Member(*numbers, config, bundle.scores(), result.weights_sha256)
