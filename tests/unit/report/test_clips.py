"""The clips that are shown: which, and that picture and sound are the recording's."""

import base64
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.unit.scoring.tables import score_table

from oddsound.config import FeatureConfig
from oddsound.features.cache import open_cache
from oddsound.features.median import median_along_time
from oddsound.recordings.index import index_folder
from oddsound.recordings.reader import read_clip
from oddsound.report.clips import (
    band_centres,
    choose,
    flac_uri,
    origins,
    read_recording,
    recorded_tests,
    spectrogram_figure,
    spectrograms,
)
from oddsound.report.svg import drawing, inline_svg
from oddsound.scoring.table import UNKNOWN


def test_the_most_and_the_least_anomalous_of_the_labelled_clips() -> None:
    table = score_table(evaluation=("02",))
    labelled = table.labelled()
    order = np.argsort(labelled.score)
    chosen = choose(table)
    assert [clip.file for clip in chosen] == [str(labelled.file[row]) for row in order[[-1, -2, 0, 1]]]
    assert [clip.kind for clip in chosen] == ["most", "most", "least", "least"]
    assert {clip.label for clip in chosen} <= {"normal", "anomaly"}


def test_without_labels_any_test_clip_will_do() -> None:
    table = score_table()
    hidden = replace(table, label=np.full_like(table.label, UNKNOWN))
    chosen = choose(hidden)
    test = table.test()
    assert chosen[0].file == test.file[np.argmax(test.score)] and chosen[0].label == ""


@pytest.mark.parametrize(("n", "kinds"), [(0, []), (1, ["most"]), (3, ["most", "most", "least"])])
def test_few_clips_are_shown_once(n: int, kinds: list[str]) -> None:
    table = score_table()
    few = table.where(np.flatnonzero(table.split == "test")[:n])
    chosen = choose(few)
    assert [clip.kind for clip in chosen] == kinds
    assert len({clip.file for clip in chosen}) == n


def test_the_picture_is_what_the_network_saw(small_data: Path, small_cache: Path) -> None:
    cache, clips = open_cache(small_cache), index_folder(small_data).of("fan")
    config = FeatureConfig()
    for row in (0, len(clips) - 1):
        raw, nothing = spectrograms(read_clip(clips[row].path), config)
        assert nothing is None and np.array_equal(raw, cache.features[row])
    median = FeatureConfig(median_frames=7)
    filtered = spectrograms(read_clip(clips[-1].path), median)[1]
    assert filtered is not None and np.array_equal(filtered, median_along_time(raw, 7))
    with drawing():
        one, two = (inline_svg(spectrogram_figure(raw, f, median), "x", "l") for f in (None, raw))
    assert one.count("<image") + 1 == two.count("<image")
    assert ">4,000<" in one and "frequency [Hz]" in one


def test_the_sound_is_the_recordings_to_the_last_bit(small_data: Path) -> None:
    samples = read_clip(index_folder(small_data).of("fan")[0].path)
    kind, _, content = flac_uri(samples, 16_000).partition(",")
    assert kind == "data:audio/flac;base64"
    heard, rate = soundfile.read(io.BytesIO(base64.b64decode(content)), dtype="float32")
    assert rate == 16_000 and np.array_equal(heard, samples)


def test_bands_lie_where_the_mel_scale_has_them() -> None:
    """HTK's mel of 8 kHz is 2840; 128 bands between."""
    centres = band_centres(FeatureConfig())
    assert centres.shape == (128,)
    expected = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 130)[1:-1] / 2595) - 1)
    assert np.abs(centres[40:] / expected[40:] - 1).max() < 0.02


TABLE = """file,recording,start_s,seconds,label,made_up
press/train/section_00_source_train_normal_0000.wav,press/normal/a.wav,0,2.5,normal,0
press/source_test/section_00_source_test_anomaly_0001.wav,"press/normal/b, c.wav",10,2,anomaly,1
mill/source_test/section_00_source_test_anomaly_0001.wav,mill/d.wav,0,2,anomaly,0
"""


def test_clips_of_plain_folders_are_seconds_of_recordings(tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_text(TABLE)
    found = origins(tmp_path, "press")
    assert found.keys() == {
        "section_00_source_train_normal_0000.wav",
        "section_00_source_test_anomaly_0001.wav",
    }
    origin = found["section_00_source_test_anomaly_0001.wav"]
    assert origin.recording == "press/normal/b, c.wav"
    assert str(origin) == "10 to 12 s, with a made-up fault"


@pytest.mark.parametrize("content", [None, "", "file,when\nx,y\n", TABLE.replace("10,2,", "ten,2,"), "\x00"])
def test_without_such_a_table_no_origin_is_made_up(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "clips.csv").write_text(content)
    assert origins(tmp_path, "press") == {}


def test_recordings_that_are_gone_are_said(small_data: Path, tmp_path: Path) -> None:
    assert "no such folder" in str(recorded_tests(tmp_path / "away", "fan"))
    assert "no machine type 'pump'" in str(recorded_tests(small_data, "pump"))
    found = recorded_tests(small_data, "fan")
    assert not isinstance(found, str) and all(path.parent.name.endswith("_test") for path in found.values())
    assert "can't be read" in str(read_recording(tmp_path / "no.wav", FeatureConfig()))
