"""What several tests share: a small machine type on disk, its features, a small trial."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import hypothesis
import pytest
import torch
from tests.postgres import Postgres, postgres_server
from tests.s3 import ObjectStore, s3_server

from oddsound.config import TrialConfig
from oddsound.features.cache import build_cache
from oddsound.recordings.index import index_folder
from oddsound.recordings.synth import synthesise
from oddsound.training.data import MachineData
from oddsound.training.trial import run_trial

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


@pytest.fixture(scope="session")
def trained(small_data: Path, small_config: TrialConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of trials, two of fan and one of valve, of one epoch each; nobody may change them."""
    folder, index = tmp_path_factory.mktemp("trained"), index_folder(small_data)
    for machine, seed in (("fan", 0), ("fan", 1), ("valve", 0)):
        training = small_config.training.model_copy(update={"epochs": 1, "seed": seed})
        config = small_config.model_copy(update={"machine": machine, "training": training})
        clips, digest = index.of(machine), index.digest(machine)
        cache = build_cache(clips, digest, config.features, folder / "features")
        run_trial(config, MachineData.open(cache), lambda _: None, trials=folder / "trials", number=seed)
    return folder / "trials"


# A time limit for each example says more about the machine's other guests than about the code.
hypothesis.settings.register_profile("shared machine", deadline=None)
hypothesis.settings.load_profile("shared machine")


@pytest.hookimpl(tryfirst=True)  # before `-m` looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever is made of the trained trials depends on their figures; some fixtures start servers."""
    for item in items:
        given = set(getattr(item, "fixturenames", ()))
        if "trained" in given:
            item.add_marker(pytest.mark.trained)
        if given & {"postgres", "object_store", "serve", "proxy"}:
            item.add_marker(pytest.mark.server)


@pytest.fixture(autouse=True, scope="session")
def _threads() -> None:
    """One, for the machine is shared and more make small tensors slower; or as many as are asked for."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))


@pytest.fixture
def ray_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A session folder of our own for Ray, with a short name: its sockets' paths are limited."""
    with TemporaryDirectory(prefix="or", dir="/tmp") as folder:
        monkeypatch.setenv("RAY_TMPDIR", folder)
        yield Path(folder)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real server; `postgres.fresh()` is the address of an empty database in it."""
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    """A real S3-compatible store with one bucket."""
    with s3_server() as store:
        yield store
