"""Packaged models of every kind that is scored in its own way, each of another machine type, and one system
of all of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.unit.training.trials import silent

from oddsound.config import TrialConfig, overlay
from oddsound.ensemble.packaged import package_system
from oddsound.ensemble.systems import Member, build_systems
from oddsound.features.cache import build_cache
from oddsound.recordings.index import index_folder
from oddsound.recordings.synth import synthesise
from oddsound.tracking.packaged import package_trial
from oddsound.training.bundle import Bundle
from oddsound.training.data import MachineData
from oddsound.training.trial import run_trial

MACHINES = {"joint": "gearbox", "classifier": "valve", "autoencoder": "pump", "fused": "fan"}
"""By kind; `fused` is the mean of z-scores of two joint networks."""
_SETTINGS = {
    "joint": {},
    "classifier": {"model": {"architecture": "classifier", "segment_frames": 16}},
    "autoencoder": {"model": {"architecture": "autoencoder"}},
}


@dataclass(frozen=True)
class Models:
    """`data`: the recordings. `folders`: each kind's package; of `fused` it is `system`, which has all four
    machine types."""

    data: Path
    folders: dict[str, Path]

    @property
    def system(self) -> Path:
        return self.folders["fused"]

    def clips(self, kind: str) -> list[Path]:
        """The test clips of the kind's machine type."""
        return sorted((self.data / MACHINES[kind]).glob("*_test/*.wav"))


def package_every_kind(config: TrialConfig, folder: Path) -> Models:
    """Train small networks for an epoch each, on made-up clips of a second."""
    data, trials = folder / "data", dict[str, list[Bundle]]()
    machines = sorted(MACHINES.values())
    synthesise(
        data, seconds=1.0, n_train_source=4, n_train_target=2, n_test=2, machines=machines, evaluation=False
    )
    places: dict[tuple[str, str], Path] = {}
    for kind, machine in MACHINES.items():
        for seed in (0, 1) if kind == "fused" else (0,):
            bundle = _trained(data, config, folder, machine, _SETTINGS.get(kind, {}), seed)
            places[machine, bundle.path.name] = folder / "packages" / machine / str(seed)
            package_trial(bundle, places[machine, bundle.path.name])
            trials.setdefault(machine, []).append(bundle)
    members = {machine: [_member(bundle) for bundle in of] for machine, of in trials.items()}
    (system,) = build_systems(members, fallback=False, fusions=["mean_zscore"])
    package_system(system, places, folder / "system")
    folders = {kind: folder / "packages" / machine / "0" for kind, machine in MACHINES.items()}
    return Models(data, folders | {"fused": folder / "system"})


def _trained(
    data: Path, config: TrialConfig, folder: Path, machine: str, settings: dict[str, object], seed: int
) -> Bundle:
    always = {"machine": machine, "training": {"epochs": 1, "seed": seed}}
    own, index = (
        TrialConfig.model_validate(overlay(config.model_dump(), always, settings)),
        index_folder(data),
    )
    cache = build_cache(index.of(machine), index.digest(machine), own.features, folder / "features")
    return run_trial(own, MachineData.open(cache), silent, trials=folder / "trials", number=seed)


def _member(bundle: Bundle) -> Member:
    result, config = bundle.result(), bundle.config().model_dump()
    numbers = result.trial, result.omega, result.n_parameters
    return Member(*numbers, config, bundle.scores(), result.weights_sha256)
