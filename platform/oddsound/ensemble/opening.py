"""Any packaged model, whatever its kind, as what scores the clips of a machine type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from oddsound.ensemble.packaged import load_fused, read_system
from oddsound.errors import ConfigError
from oddsound.training.bundle import Bundle
from oddsound.training.detector import load_bundle, load_detector
from oddsound.training.sealed import MANIFEST, Sealed, unseal
from oddsound.training.verdicts import MachineModel


@dataclass(frozen=True)
class OpenModel:
    """A model's machine types, and what gives the model of one of them; of a system it is loaded then."""

    machines: tuple[str, ...]
    of: Callable[[str], MachineModel]


def open_sealed(sealed: Sealed) -> OpenModel:
    """The detector or system that is sealed. Raises ModelError."""
    if sealed.manifest.kind == "system":
        facts = read_system(sealed)
        return OpenModel(tuple(facts.machines), lambda machine: load_fused(sealed, facts, machine))
    return _single(load_detector(sealed))


def open_folder(folder: Path) -> OpenModel:
    """The model in a folder: a packaged one with its manifest, or a whole trial bundle.

    Raises ConfigError where it is neither, ModelError and BundleError where it is damaged.
    """
    if (folder / MANIFEST).is_file():
        sealed = unseal(folder, str(folder))
        sealed.check()
        return open_sealed(sealed)
    if Bundle(folder).is_whole:
        return _single(load_bundle(Bundle(folder)))
    raise ConfigError(
        f"{folder}: neither a model's folder ({MANIFEST}) nor a finished trial's (result.json); give one, or "
        "models:/<name>@<alias>"
    )


def _single(detector: MachineModel) -> OpenModel:
    return OpenModel((detector.machine,), lambda machine: detector)
