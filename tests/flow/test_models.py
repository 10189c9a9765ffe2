"""Every way to a model that docs/models.md has, as it stands there, against a real server: one score."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.mlflow_server import mlflow_server
from tests.model_server import post, serving
from tests.registered_models import DATASET, register_systems_of, register_trials
from tests.unit.tracking.waiting import free_port

from oddsound.cli.main import main
from oddsound.recordings.reader import read_clip
from oddsound.search.record import RunRecord, write_record
from oddsound.tracking.store import open_store

DOCS = Path(__file__).parents[2] / "docs" / "models.md"
BIN = Path(sys.executable).parent

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Lab:
    """A folder with `clip.wav` and the server's address; `replaced` are the docs' words for what is here."""

    folder: Path
    uri: str
    port: int
    replaced: dict[str, str]

    @property
    def environment(self) -> dict[str, str]:
        path = f"{BIN}:{os.environ['PATH']}"  # as an active virtual environment has it
        more = {"PATH": path, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", "MLFLOW_TRACKING_URI": self.uri}
        return os.environ | more

    def blocks(self, language: str) -> list[str]:
        """The docs' blocks in their order."""
        found = re.findall(rf"^```{language}\n(.*?)^```", DOCS.read_text(), re.MULTILINE | re.DOTALL)
        for word, here in self.replaced.items():
            found = [block.replace(word, here) for block in found]
        return found

    def run(self, *line: str) -> str:
        ended = subprocess.run(
            line, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=120
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout


@pytest.fixture(scope="module")
def lab(trained: Path, small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A server that has the trials and S2, through its own proxy of artifacts."""
    folder, served = tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("served")
    clip = next((small_data / "fan" / "source_test").glob("section_01_*anomaly*.wav"))
    shutil.copyfile(clip, folder / "clip.wav")
    with mlflow_server(served, free_port()) as server:
        store = open_store(server.uri, served)
        register_trials(store, trained)
        register_systems_of(store, trained, served / "systems", numbers=[2])
        write_record(served, RunRecord("s1", DATASET, "/data", server.uri, {"fan": {}, "valve": {}}))
        port = free_port()
        replaced = {"http://lab:5000": server.uri, "5001": str(port), "runs/first": str(served)}
        replaced |= {"data/dcase2021": str(small_data), "dcase2021": DATASET}
        yield Lab(folder, server.uri, port, replaced)


@pytest.fixture(scope="module")
def predicted(lab: Lab) -> tuple[float, float]:
    """The scores of clip.wav by the champion and by S2, as the docs' first commands have them."""
    folder, single, system = lab.blocks("sh")[0].splitlines()
    folder, _, scores = folder.partition(" > ")
    assert scores == "scores.csv" and len(predict(lab, folder).splitlines()) == 25
    (row,) = csv.DictReader(io.StringIO(predict(lab, single)))
    (document,) = json.loads(predict(lab, system))
    assert (row["file"], row["section"], document["machine"]) == ("clip.wav", "01", "fan")
    return float(row["anomaly_score"]), document["anomaly_score"]


def predict(lab: Lab, line: str) -> str:
    """What the command says; here and not in a process of its own, which would import torch again."""
    program, *arguments = shlex.split(line)
    with (
        contextlib.chdir(lab.folder),
        contextlib.redirect_stdout(io.StringIO()) as said,
        pytest.raises(SystemExit) as ended,
    ):
        main(arguments)
    assert program == "oddsound" and not ended.value.code
    return said.getvalue()


def test_a_served_model_answers_with_predicts_score(lab: Lab, predicted: tuple[float, float]) -> None:
    _, serve, curl = lab.blocks("sh")
    with serving(["bash", "-c", serve], lab.port, lab.folder, lab.environment) as address:
        (row,) = json.loads(lab.run("bash", "-c", curl))["predictions"]
        assert row["anomaly_score"] == predicted[0]
        assert row["decision"] == int(row["anomaly_score"] > row["threshold"])
        assert sum(row["section_probabilities"].values()) == pytest.approx(1)

        samples = read_clip(lab.folder / "clip.wav").tolist()
        code, answer = post(address, {"waveform": [samples, samples], "section": ["01", "01"]})
        both = [row["anomaly_score"] for row in json.loads(answer)["predictions"]]
        assert code == 200 and both == [row["anomaly_score"]] * 2
        code, answer = post(address, {"waveform": [samples], "section": ["77"]})
        assert code == 400 and "section '77' is unknown to the model of fan; it knows 00, 01" in answer


def test_pyfunc_and_the_safe_loader_give_predicts_scores(lab: Lab, predicted: tuple[float, float]) -> None:
    by_mlflow, by_ours = lab.blocks("python")
    fan, system = (json.loads(line)[0] for line in lab.run(sys.executable, "-c", by_mlflow).splitlines())
    found = fan["anomaly_score"], system["anomaly_score"]
    assert found == pytest.approx(predicted, abs=1e-9), "to_json writes ten digits"
    with contextlib.chdir(lab.folder), contextlib.redirect_stdout(io.StringIO()) as said:
        exec(by_ours, {})
    assert float(said.getvalue()) == predicted[1]
