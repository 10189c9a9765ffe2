"""Plain folders of one's own recordings, from the WAVs to a registered model that scores new ones."""

from __future__ import annotations

import csv
import io
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.command_line import oddsound, typed

from oddsound.tracking.ranking import best_trials
from oddsound.tracking.store import open_store

SETTINGS = """
model: {pretrained: none, width: 0.1, depth: 0.3, ae_hidden: 16}
augment: {time_mask_frames: 3}
training: {epochs: 1, batch_size: 4}
"""

pytestmark = pytest.mark.slow


def hum(path: Path, hertz: float, seconds: float, seed: int) -> None:
    """Stereo at 44.1 kHz, as a field recorder has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng, time = np.random.default_rng(seed), np.arange(round(seconds * 44_100)) / 44_100
    left = 0.2 * np.sin(2 * np.pi * hertz * time) + rng.normal(0, 0.02, time.size)
    soundfile.write(path, np.stack([left, rng.normal(0, 0.02, time.size)], axis=1), 44_100)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A press with anomalous recordings and a mill without, and what `run` made of them in `run`."""
    folder = tmp_path_factory.mktemp("own")
    for number in range(6):
        hum(folder / "own" / "press" / "normal" / f"{number}.wav", 300, 2.5, number)
    for number in range(2):
        hum(folder / "own" / "press" / "anomaly" / f"{number}.wav", 700, 1.2, 50 + number)
    hum(folder / "own" / "mill" / "long.wav", 120, 8, 99)
    (folder / "tiny.yaml").write_text(SETTINGS)
    return folder


def run(place: Path, *more: object) -> subprocess.CompletedProcess[str]:
    line = ("run", place / "own", "--out", place / "run", "--config", place / "tiny.yaml", "--trials", 1)
    return oddsound(*line, *more)


def test_from_wavs_to_scores(place: Path) -> None:
    refused = run(place)
    assert refused.returncode == 3 and "--resample converts it" in refused.stderr.splitlines()[-1]
    assert not (place / "run" / "trials").exists()

    ended = run(place, "--resample", "--clip-seconds", 1)
    assert ended.returncode == 0, ended.stderr
    assert "mill: no anomalous recording, so faults are laid over" in ended.stderr
    assert "press: 8 recordings, 10 clips to train on, 2 normal and 2 anomalous" in ended.stderr

    again = oddsound("search", "--resume", place / "run")
    assert again.returncode == 0, again.stderr
    assert "trial 0" not in again.stderr

    report = (place / "run" / "report.html").read_text()
    assert report.count("The anomalous clips are made up") == 1
    assert "<audio" in report and "No spectrograms" not in report, "of the clips that were cut"
    said = ended.stderr.splitlines()
    assert (
        "mill: only 1 normal and 1 anomalous test clip, so few that omega and its interval may be"
        in ended.stderr
    )
    assert (
        said.index(next(line for line in said if line.startswith("mill: the anomalous clips are made up")))
        > 9
    )
    (following,) = [line.split()[1:] for line in said if line.startswith("next ")]
    model, where = "models:/own.mill@champion", str(place / "run")
    assert following[:6] == ["oddsound", "predict", "--model", model, "--run", where]
    assert typed(*following[1:6], place / "own" / "mill").returncode == 0
    (prepared,) = (path for path in (place / "run" / "recordings").iterdir())
    check = ("submission", "check", place / "run" / "submission", "--data", prepared)
    assert typed(*check).returncode == 0
    store = open_store(None, place / "run" / "mlflow")
    (mill,) = best_trials(store, "own", "mill")
    (press,) = best_trials(store, "own", "press")
    assert (mill.anomalies[:7], press.anomalies) == ("made up", "")
    version = store.client.get_model_version_by_alias("own.mill", "champion")
    assert "The anomalous clips are made up" in version.description
    assert version.tags["oddsound.anomalies"] == mill.anomalies

    clips = sorted((prepared / "press" / "source_test").glob("*.wav"))
    line = ("predict", "--model", "models:/own.press@champion", "--run", place / "run")
    scored = typed(*line, *clips)
    assert scored.returncode == 0, scored.stderr
    assert len(scored.stdout.splitlines()) == 1 + len(clips)
    as_recorded = typed(*line, place / "own" / "press" / "anomaly")
    assert as_recorded.returncode == 0, as_recorded.stderr
    rows = list(csv.DictReader(io.StringIO(as_recorded.stdout)))
    known = [row["anomaly_score"] for row in csv.DictReader(io.StringIO(scored.stdout))]
    assert [float(row["start_s"]) for row in rows] == [0, 0]
    expected = [float(score) for score, clip in zip(known, clips, strict=True) if "anomaly" in clip.name]
    assert [float(row["anomaly_score"]) for row in rows] == expected


def test_check_and_prepare(place: Path) -> None:
    refused = typed("data", "check", place / "own", "--resample")
    assert refused.returncode == 3 and "mill: 1 normal clip; two at least are needed" in refused.stderr
    checked = typed("data", "check", place / "own", "--resample", "--clip-seconds", 1)
    assert checked.returncode == 0, checked.stderr
    assert "oddsound run" in checked.stderr and "--resample" in checked.stderr
    made = typed("data", "prepare", place / "own", place / "mine", "--resample", "--clip-seconds", 1)
    assert made.returncode == 0, made.stderr
    assert typed("data", "check", place / "mine").returncode == 0
    refused = typed("data", "check", place / "mine", "--resample")
    assert refused.returncode == 2 and "--resample: is for plain folders" in refused.stderr
