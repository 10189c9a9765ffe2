"""A served model gives a clip `predict`'s score to the last bit, whatever stands in the same request."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.model_server import post, serving
from tests.models_of_every_kind import MACHINES, Models, package_every_kind
from tests.unit.tracking.waiting import free_port

from oddsound.config import TrialConfig
from oddsound.ensemble.opening import open_folder
from oddsound.recordings.reader import read_clip
from oddsound.training.verdicts import NewClip, verdicts

MLFLOW = str(Path(sys.executable).parent / "mlflow")

pytestmark = [pytest.mark.slow, pytest.mark.trained]


@pytest.fixture(scope="module")
def models(small_config: TrialConfig, tmp_path_factory: pytest.TempPathFactory) -> Models:
    return package_every_kind(small_config, tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def address(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of the system, which has every kind of network as the model of one of its machine types."""
    port = free_port()
    command = [MLFLOW, "models", "serve", "-m", str(models.system), "--env-manager", "local"]
    command += ["-h", "127.0.0.1", "-p", str(port)]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with serving(command, port, tmp_path_factory.mktemp("served"), os.environ | {"PATH": path}) as address:
        yield address


@pytest.mark.parametrize("kind", MACHINES)
def test_a_served_score_does_not_depend_on_the_request(models: Models, address: str, kind: str) -> None:
    machine = MACHINES[kind]
    files = models.clips(kind)[3:13]
    sections = [file.name.split("_")[1] for file in files]
    samples = [read_clip(file) for file in files]
    clips = [NewClip(f.name, section, x) for f, section, x in zip(files, sections, samples, strict=True)]
    known = verdicts(open_folder(models.folders[kind]).of(machine), clips)
    expected = [verdict.anomaly_score for verdict in known]

    def served(numbers: list[int]) -> list[float]:
        inputs: dict[str, object] = {
            "waveform": [samples[i].tolist() for i in numbers],
            "section": [sections[i] for i in numbers],
            "machine": [machine] * len(numbers),
        }
        code, answer = post(address, inputs)
        assert code == 200, answer
        return [row["anomaly_score"] for row in json.loads(answer)["predictions"]]

    everything = list(range(len(files)))
    assert len(set(expected)) == len(expected) == 10
    assert served(everything) == expected
    assert served(everything[::-1]) == expected[::-1]
    assert served([3]) == expected[3:4]
