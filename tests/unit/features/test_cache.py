"""The cache: keyed by data and settings, written whole or not at all, shared, mapped."""

import json
import multiprocessing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray

from oddsound.config import FeatureConfig
from oddsound.errors import CacheError, RecordingError
from oddsound.features import cache as module
from oddsound.features import rows
from oddsound.features.cache import build_cache, cache_path, open_cache
from oddsound.features.logmel import log_mel
from oddsound.features.median import median_along_time
from oddsound.recordings.clip import Clip
from oddsound.recordings.index import index_folder
from oddsound.recordings.reader import read_clip

PLAIN = FeatureConfig()


@pytest.fixture
def clips(small_data: Path) -> tuple[Clip, ...]:
    return index_folder(small_data, ["fan"]).of("fan")[:6]


def test_rows_are_the_clips_features(clips: tuple[Clip, ...], tmp_path: Path) -> None:
    cache = open_cache(build_cache(clips, "digest", PLAIN, tmp_path))
    assert cache.clips == clips
    assert cache.data_digest == "digest"
    assert cache.features.shape == (6, 128, 30)
    assert isinstance(cache.features, np.memmap)
    for clip, row in zip(clips, cache.features, strict=True):
        samples, _ = soundfile.read(clip.path, dtype="float32")
        np.testing.assert_array_equal(row, log_mel(torch.from_numpy(samples), PLAIN).numpy())


def test_the_median_filter_is_along_time_of_each_clip(clips: tuple[Clip, ...], tmp_path: Path) -> None:
    plain = open_cache(build_cache(clips, "d", PLAIN, tmp_path))
    filtered = open_cache(build_cache(clips, "d", FeatureConfig(median_frames=7), tmp_path))
    for before, after in zip(plain.features, filtered.features, strict=True):
        np.testing.assert_array_equal(after, median_along_time(np.asarray(before), 7))


def test_half_precision_is_rounded_single(clips: tuple[Clip, ...], tmp_path: Path) -> None:
    single = open_cache(build_cache(clips, "d", PLAIN, tmp_path)).features
    half = open_cache(build_cache(clips, "d", FeatureConfig(dtype="float16"), tmp_path)).features
    assert half.dtype == np.float16
    np.testing.assert_array_equal(half, np.asarray(single).astype(np.float16))


OTHER = {
    "sample_rate": 32_000,
    "n_fft": 2048,
    "hop_length": 256,
    "n_mels": 64,
    "f_min": 50.0,
    "f_max": 7_000.0,
    "center": True,
    "mel_scale": "slaney",
    "mel_norm": "slaney",
    "power_floor": 1e-12,
    "top_db": None,
    "precision": "float64",
    "median_frames": 30,
    "dtype": "float16",
}
"""Another value of every setting."""


def test_every_setting_and_the_data_are_in_the_key(tmp_path: Path) -> None:
    assert OTHER.keys() == FeatureConfig.model_fields.keys()
    configs = [FeatureConfig.model_validate({name: value}) for name, value in OTHER.items()]
    paths = [cache_path("fan", "d", config, tmp_path) for config in [PLAIN, *configs]]
    assert len({*paths, cache_path("fan", "e", PLAIN, tmp_path)}) == len(OTHER) + 2


def test_a_later_setting_leaves_the_key_as_it_is(tmp_path: Path) -> None:
    class Later(FeatureConfig):
        preemphasis: float = 0.0

    for settings in ({}, {"hop_length": 256}):
        now, later = FeatureConfig.model_validate(settings), Later.model_validate(settings)
        assert cache_path("fan", "d", later, tmp_path) == cache_path("fan", "d", now, tmp_path)
    used = Later(preemphasis=0.97)
    assert cache_path("fan", "d", used, tmp_path) != cache_path("fan", "d", PLAIN, tmp_path)


def test_a_setting_given_at_its_default_is_the_same_key(tmp_path: Path) -> None:
    given = FeatureConfig.model_validate(PLAIN.model_dump())
    assert cache_path("fan", "d", given, tmp_path) == cache_path("fan", "d", PLAIN, tmp_path)


def test_centred_frames_are_cached_and_filtered(clips: tuple[Clip, ...], tmp_path: Path) -> None:
    config = FeatureConfig(center=True, mel_scale="slaney", mel_norm="slaney", top_db=None, median_frames=4)
    cache = open_cache(build_cache(clips, "d", config, tmp_path))
    assert cache.features.shape == (6, 128, 32)
    assert cache.lengths == (32,) * 6
    own = log_mel(torch.from_numpy(soundfile.read(clips[0].path, dtype="float32")[0]), config).numpy()
    np.testing.assert_array_equal(cache.features[0], median_along_time(own, 4))


def test_shorter_clips_are_padded_with_zeros(clips: tuple[Clip, ...], tmp_path: Path) -> None:
    samples, rate = soundfile.read(clips[0].path, dtype="int16")
    short = tmp_path / "short.wav"
    soundfile.write(short, samples[:8_000], rate, subtype="PCM_16")
    mixed = (replace(clips[0], path=short), clips[1])
    for config in (PLAIN, FeatureConfig(median_frames=5)):
        cache = open_cache(build_cache(mixed, "d", config, tmp_path / "cache"))
        assert cache.lengths == (14, 30)
        assert (cache.features[0, :, 14:] == 0).all()
        assert (cache.features[0, :, :14] != 0).any(axis=0).all()
        own = log_mel(torch.from_numpy(soundfile.read(short, dtype="float32")[0]), config).numpy()
        expected = median_along_time(own, config.median_frames)
        np.testing.assert_array_equal(cache.features[0, :, :14], expected)


def test_it_is_built_once(clips: tuple[Clip, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = build_cache(clips, "d", PLAIN, tmp_path)
    monkeypatch.setattr(module, "read_clip", None)  # reading again would fail
    assert build_cache(clips, "d", PLAIN, tmp_path) == path


def test_what_a_killed_build_left_is_gone_on_with(
    clips: tuple[Clip, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = open_cache(build_cache(clips, "d", PLAIN, tmp_path / "whole"))
    read: list[Path] = []

    def reading(path: Path, rate: int) -> NDArray[np.float32]:
        if len(read) == 4:
            raise KeyboardInterrupt
        read.append(path)
        return read_clip(path, rate)

    monkeypatch.setattr(module, "read_clip", reading)
    monkeypatch.setattr(rows, "n_workers", lambda: 1)
    with pytest.raises(KeyboardInterrupt):
        build_cache(clips, "d", PLAIN, tmp_path)
    read.clear()
    again = open_cache(build_cache(clips, "d", PLAIN, tmp_path))
    assert read == [clip.path for clip in clips[4:]]
    np.testing.assert_array_equal(again.features, expected.features)
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".partial") == []


def test_nothing_half_built_stays(clips: tuple[Clip, ...], tmp_path: Path) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_bytes(clips[0].path.read_bytes()[:-1000])
    with pytest.raises(RecordingError, match=r"bad\.wav"):
        build_cache((clips[1], replace(clips[0], path=bad)), "d", PLAIN, tmp_path / "cache")
    assert [p for p in (tmp_path / "cache").iterdir() if p.suffix != ".lock"] == []


@pytest.mark.long
def test_processes_that_ask_at_once_share_one(clips: tuple[Clip, ...], tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=build_cache, args=(clips, "d", PLAIN, tmp_path)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert [p.name for p in tmp_path.iterdir() if p.is_dir()] == [
        cache_path("fan", "d", PLAIN, tmp_path).name
    ]


@pytest.mark.parametrize("damage", ["no meta", "no array", "short meta", "short array", "fewer clips"])
def test_a_damaged_cache_is_refused(damage: str, clips: tuple[Clip, ...], tmp_path: Path) -> None:
    path = build_cache(clips, "d", PLAIN, tmp_path)
    meta, array = path / "meta.json", path / "features.npy"
    if damage == "no meta":
        meta.unlink()
    elif damage == "no array":
        array.unlink()
    elif damage == "short meta":
        meta.write_text(meta.read_text()[:50])
    elif damage == "short array":
        array.write_bytes(array.read_bytes()[:5000])
    else:
        document = json.loads(meta.read_text())
        meta.write_text(json.dumps(document | {"clips": document["clips"][1:]}))
    with pytest.raises(CacheError, match="remove it, it is built anew"):
        open_cache(path)
