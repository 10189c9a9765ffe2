"""A detector scores a clip as its trial did, and refuses what it wasn't made for."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.unit.training.trials import silent

from oddsound.config import TrialConfig, overlay
from oddsound.errors import BundleError, ModelError, RecordingError
from oddsound.features.cache import build_cache, open_cache
from oddsound.recordings.clip import Clip
from oddsound.recordings.index import index_folder
from oddsound.recordings.reader import read_clip
from oddsound.scoring.threshold import section_thresholds
from oddsound.submission.package import _csvs
from oddsound.training.bundle import Bundle, finished
from oddsound.training.data import MachineData
from oddsound.training.detector import Detector, load_bundle
from oddsound.training.trial import run_trial
from oddsound.training.verdicts import NewClip, batches, verdicts

pytestmark = pytest.mark.trained


@pytest.fixture
def bundle(trained: Path) -> Bundle:
    return finished(trained, "fan")[0]


@pytest.fixture
def detector(bundle: Bundle) -> Detector:
    return load_bundle(bundle)


def new_clips(data: Path, bundle: Bundle) -> list[NewClip]:
    """Every clip that the bundle's table has, in its order."""
    table = bundle.scores()
    paths = {(clip.split, clip.file): clip.path for clip in index_folder(data).of(table.machine)}
    keys = zip(table.split, table.file, table.section, strict=True)
    return [
        NewClip(f"{split}/{file}", section, read_clip(paths[split, file])) for split, file, section in keys
    ]


def tone(samples: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.sin(np.arange(samples, dtype=np.float32) / 7) / 5


KINDS = {
    "autoencoder": {"model": {"architecture": "autoencoder", "ae_view": "segment"}},
    "segments": {"model": {"segment_frames": 12, "segment_hop": 6, "architecture": "classifier"}},
    "attributes": {"training": {"labels": "attributes"}},
    "baseline": {
        "model": {"architecture": "classifier", "backbone": "mobilenetv2", "initialisation": "keras"},
        "training": {"anomaly_score": "baseline_code"},
        "features": {"center": True, "mel_scale": "slaney", "top_db": None},
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_trial_scores_as_it_did(
    small_data: Path, small_config: TrialConfig, tmp_path: Path, kind: str
) -> None:
    settings = overlay(small_config.model_dump(), {"training": {"epochs": 1}}, KINDS[kind])
    config, index = TrialConfig.model_validate(settings), index_folder(small_data)
    cache = build_cache(index.of("fan"), index.digest("fan"), config.features, tmp_path / "features")
    bundle = run_trial(config, MachineData.open(cache), silent, trials=tmp_path / "trials")
    scores_as_its_trial(bundle, small_data)


def test_the_papers_kind_of_trial_scores_as_it_did(bundle: Bundle, small_data: Path) -> None:
    scores_as_its_trial(bundle, small_data)


def scores_as_its_trial(bundle: Bundle, data: Path) -> None:
    """Its scores are those of scores.npz to the last bit, alone too, decided by the section's threshold."""
    detector, clips, table = load_bundle(bundle), new_clips(data, bundle), bundle.scores()
    found = verdicts(detector, clips)
    assert [verdicts(detector, [clip])[0] for clip in clips[::9]] == found[::9]
    assert verdicts(detector, clips[::-1]) == found[::-1]
    np.testing.assert_array_equal([v.anomaly_score for v in found], table.score)
    thresholds = section_thresholds(table)
    assert all(v.threshold == thresholds[v.section] for v in found)
    assert all(v.decision == (v.anomaly_score > v.threshold) for v in found)
    if table.classes:
        assert all(sum(v.section_probabilities.values()) == pytest.approx(1) for v in found)
        assert all(list(v.section_probabilities) == ["00", "01", "02", "03", "04", "05"] for v in found)
    else:
        assert all(v.section_probabilities == {} for v in found)


def test_decisions_are_those_of_a_submission(small_data: Path, bundle: Bundle, detector: Detector) -> None:
    table = bundle.scores()
    lines = b"".join(csv for name, csv in _csvs(table, "development") if name.startswith("decision"))
    submitted = dict(line.split(",") for line in lines.decode().split())
    found = verdicts(detector, new_clips(small_data, bundle))
    mine = {v.file.removeprefix("test/"): str(v.decision) for v in found if v.file.startswith("test/")}
    assert submitted and submitted.items() <= mine.items()


def test_a_score_depends_on_no_neighbour(small_data: Path, bundle: Bundle, detector: Detector) -> None:
    clips = new_clips(small_data, bundle)[:7]
    together = verdicts(detector, clips)
    assert together == [verdicts(detector, [clip])[0] for clip in clips]
    assert together == [v for batch in batches(clips, 3) for v in verdicts(detector, batch)]
    assert [len(batch) for batch in batches(clips, 3)] == [3, 3, 1]
    assert verdicts(detector, []) == []


def test_of_several_clips_the_bad_one_is_named(detector: Detector) -> None:
    good, bad = tone(16_000), tone(16_000)
    bad[5] = np.nan
    clips = [NewClip("good.wav", "00", good), NewClip("bad.wav", "00", bad)]
    with pytest.raises(RecordingError, match=r"bad\.wav"):
        detector.table(clips)
    assert detector.network.classifier is not None
    detector.network.classifier.head[1].bias.data.fill_(np.nan)
    with pytest.raises(ModelError, match=r"no finite number for good\.wav"):
        detector.table([clips[0], NewClip("other.wav", "00", good)])


@pytest.mark.parametrize("settings", [{}, {"dtype": "float16"}, {"median_frames": 4, "dtype": "float16"}])
def test_features_are_the_caches_to_the_last_bit(
    tmp_path: Path, detector: Detector, settings: dict[str, object]
) -> None:
    features = detector.config.features.model_copy(update=settings)
    clips = []
    for name, samples in (("long", 16000), ("short", 9000)):
        soundfile.write(tmp_path / f"{name}.wav", tone(samples), 16000, subtype="FLOAT")
        clips.append(Clip(tmp_path / f"{name}.wav", "fan", "00", "source", "test", None))
    cached = open_cache(build_cache(clips, "0" * 64, features, tmp_path / "cache")).features
    same = replace(detector, config=detector.config.model_copy(update={"features": features}))
    for row, samples in zip(cached, (16000, 9000), strict=True):
        found = same._features(NewClip("x.wav", "00", tone(samples)))
        np.testing.assert_array_equal(found, row.astype(np.float32))


def test_a_full_clip_has_just_as_many_samples(detector: Detector) -> None:
    frames = detector.facts.clip_frames
    assert len(tone(9000)) < detector.full_samples <= 16000
    assert detector.full_samples == (frames - 1) * 512 + 1024
    centred = detector.config.features.model_copy(update={"center": True})
    same = replace(detector, config=detector.config.model_copy(update={"features": centred}))
    assert same.full_samples == (frames - 1) * 512


@pytest.mark.parametrize(
    ("section", "samples", "message"),
    [
        ("00", tone(17000), r"x\.wav: 1\.06 s, 32 frames; .* is for clips of 30 \(0\.99 s\): cut it"),
        ("00", tone(500), r"x\.wav: 500 samples are less than one analysis window"),
        ("00", np.array([0.1, np.nan] * 8000, np.float32), r"x\.wav: samples that aren't finite"),
        ("00", np.zeros((2, 16000), np.float32), "not of one channel"),
        ("06", tone(16000), r"section '06' is unknown to the model of fan; it knows 00, 01, 02, 03, 04, 05"),
        ("", tone(16000), "section '' is unknown"),
    ],
)
def test_a_clip_that_it_was_not_made_for_is_refused(
    detector: Detector, section: str, samples: np.ndarray[tuple[int], np.dtype[np.float32]], message: str
) -> None:
    with pytest.raises(RecordingError, match=message):
        verdicts(detector, [NewClip("x.wav", section, samples)])


def copied(bundle: Bundle, folder: Path) -> Bundle:
    return Bundle(Path(shutil.copytree(bundle.path, folder / bundle.path.name)))


def test_a_bundle_of_before_says_what_it_lacks(bundle: Bundle, tmp_path: Path) -> None:
    old = copied(bundle, tmp_path)
    old.write_result(replace(old.result(), clip_frames=0))
    with pytest.raises(ModelError, match="didn't say how long its clips were; train it again"):
        load_bundle(old)


def test_other_weights_than_the_results_are_refused(trained: Path, bundle: Bundle, tmp_path: Path) -> None:
    damaged = copied(bundle, tmp_path)
    shutil.copyfile(finished(trained, "fan")[1].weights, damaged.weights)
    with pytest.raises(ModelError, match=r"weights\.safetensors: not the weights that result\.json is of"):
        load_bundle(damaged)


def test_scores_that_are_damaged_or_anothers_are_refused(
    trained: Path, bundle: Bundle, tmp_path: Path
) -> None:
    damaged = copied(bundle, tmp_path)
    shutil.copyfile(finished(trained, "valve")[0].scores_path, damaged.scores_path)
    with pytest.raises(BundleError, match="of another trial"):
        load_bundle(damaged)
    damaged.scores_path.write_bytes(b"PK")
    with pytest.raises(BundleError, match="not a score table"):
        load_bundle(damaged)


def test_a_configuration_that_makes_no_network_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    damaged = copied(bundle, tmp_path)
    config = json.loads((damaged.path / "config.json").read_text())
    config["model"]["segment_frames"] = 31
    damaged.write("config.json", config)
    with pytest.raises(ModelError, match=r"config\.json makes no network \(fan: a clip has 30 frames"):
        load_bundle(damaged)
