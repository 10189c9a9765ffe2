"""What several tests share: a small machine type on disk, its features, a small trial."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import hypothesis
import pytest
import torch

from oddsound.config import TrialConfig
from oddsound.features.cache import build_cache
from oddsound.recordings.index import index_folder
from oddsound.recordings.synth import synthesise
from oddsound.training.data import MachineData

SMALL = {
    "machine": "fan",
    "augment": {"mixup_alpha": 0.2, "time_mask_frames": 4},
    "model": {"width": 0.1, "depth": 0.3, "ae_hidden": 16},
    "training": {"epochs": 3, "batch_size": 8},
}
"""Settings of a trial that takes about a second."""


@pytest.fixture(scope="session")
def small_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two synthetic machine types with evaluation sections, clips of one second."""
    folder = tmp_path_factory.mktemp("data") / "tiny"
    synthesise(folder, seconds=1.0, n_train_source=4, n_train_target=2, n_test=2, machines=["fan", "valve"])
    return folder


@pytest.fixture(scope="session")
def small_config() -> TrialConfig:
    return TrialConfig.model_validate(SMALL)


@pytest.fixture(scope="session")
def small_cache(
    small_data: Path, small_config: TrialConfig, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    index = index_folder(small_data)
    folder = tmp_path_factory.mktemp("features")
    return build_cache(index.of("fan"), index.digest("fan"), small_config.features, folder)


@pytest.fixture
def machine_data(small_cache: Path) -> MachineData:
    return MachineData.open(small_cache)


# A time limit for each example says more about the machine's other guests than about the code.
hypothesis.settings.register_profile("shared machine", deadline=None)
hypothesis.settings.load_profile("shared machine")


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """The machine is shared; more threads make small tensors slower."""
    torch.set_num_threads(1)


@pytest.fixture
def ray_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A session folder of our own for Ray, with a short name: its sockets' paths are limited."""
    with TemporaryDirectory(prefix="or", dir="/tmp") as folder:
        monkeypatch.setenv("RAY_TMPDIR", folder)
        yield Path(folder)
