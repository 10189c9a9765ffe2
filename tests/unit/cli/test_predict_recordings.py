"""`oddsound predict` of recordings that are no clips: of another sample rate, and longer."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.registered_models import DATASET

from oddsound.cli.main import main
from oddsound.search.record import RunRecord, write_record
from oddsound.training.bundle import Bundle


def field_recording(path: Path, seconds: float) -> Path:
    """Noise over a hum at 44.1 kHz, in stereo."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng, time = np.random.default_rng(7), np.arange(round(seconds * 44_100)) / 44_100
    left = 0.2 * np.sin(2 * np.pi * 300 * time) + rng.normal(0, 0.02, time.size)
    soundfile.write(path, np.stack([left, -left], axis=1), 44_100)
    return path


@pytest.mark.parametrize("how", ["options", "run"])
def test_a_recording_is_cut_as_prepare_cuts_it(predict, run: Path, tmp_path: Path, how: str) -> None:
    """Whole and at its own rate, it has the scores of the clips that `data prepare` makes of it."""
    long = field_recording(tmp_path / "own" / "fan" / "long.wav", 4.3)
    with pytest.raises(SystemExit) as ended:
        line = ["data", "prepare", str(tmp_path / "own"), str(tmp_path / "made"), "--resample"]
        main([*line, "--clip-seconds", "1"])
    assert not ended.value.code
    with (tmp_path / "made" / "clips.csv").open(newline="") as stream:
        clips = {
            row["file"]: float(row["start_s"]) for row in csv.DictReader(stream) if row["made_up"] == "0"
        }
    predict("--help")  # takes what `prepare` printed
    model = ("--model", "models:/tiny.fan@champion", "--section", "00", "--batch-size", 1)
    own = shutil.copytree(run, tmp_path / "run")
    alone = predict(*model, "--run", own, *(tmp_path / "made" / file for file in clips))
    expected = {
        clips[Path(row["file"]).relative_to(tmp_path / "made").as_posix()]: row["anomaly_score"]
        for row in alone.rows
    }
    options: tuple[object, ...] = ("--resample", "--clip-seconds", 1)
    if how == "run":
        (own / "recordings").mkdir()
        asked = {"options": {"resample": True, "clip_seconds": 1.0}}
        write_record(own, RunRecord("s1", DATASET, "/data", None, {"fan": {}, "valve": {}}, command=asked))
        options = ()
    said = predict(*model, "--run", own, *options, long)
    assert said.code == 0, said.err
    assert said.out.splitlines()[0] == "file,start_s,machine,section,anomaly_score,threshold,decision"
    assert {row["file"] for row in said.rows} == {str(long)}
    assert [float(row["start_s"]) for row in said.rows] == [0, 1, 2, 3]
    assert {float(row["start_s"]): row["anomaly_score"] for row in said.rows} == expected
    assert "0.3 s at the ends of recordings fill no clip and are left out" in said.err


def test_another_rate_or_length_names_the_option(predict, bundle: Bundle, tmp_path: Path) -> None:
    long = field_recording(tmp_path / "long.wav", 3)
    line = ("--model", bundle.path, "--section", "00", long)
    assert "16000 Hz is expected: --resample converts it" in predict(*line).err
    assert "cut it, e.g. by --clip-seconds" in predict(*line, "--resample").err
    said = predict(*line, "--resample", "--clip-seconds", 1, "--json")
    assert [(each["file"], each["start_s"]) for each in json.loads(said.out)] == [
        (str(long), start) for start in (0.0, 1.0, 2.0)
    ]
