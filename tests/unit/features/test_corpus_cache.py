"""The features of a labelled corpus."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from tests.corpora import RATE, audioset_corpus, esc_corpus
from torchaudio.functional import resample

from oddsound.config import FeatureConfig
from oddsound.errors import CacheError, RecordingError
from oddsound.features import corpus_cache
from oddsound.features.corpus_cache import build_corpus_cache, common_seconds, open_corpus_cache
from oddsound.features.logmel import log_mel
from oddsound.recordings.corpus import read_corpus
from oddsound.recordings.sound import read_sound

CONFIG = FeatureConfig()


def test_each_row_is_the_detectors_front_end_on_its_clip(tmp_path: Path) -> None:
    corpus = read_corpus(esc_corpus(tmp_path / "esc", n_each=1))
    data = open_corpus_cache(build_corpus_cache(corpus, CONFIG, 1.0, tmp_path / "cache"))
    assert data.features.shape == (6, 128, 30)
    for row, clip in enumerate(corpus.clips):
        samples, _ = read_sound(clip.path, 0.0, 1.0)
        waveform = resample(torch.from_numpy(samples), RATE, 16_000)
        np.testing.assert_array_equal(data.features[row], log_mel(waveform, CONFIG).numpy())
        assert data.classes[int(data.targets[row].argmax())] == clip.labels[0]
        assert data.folds[row] == clip.fold
    np.testing.assert_array_equal(data.targets.sum(axis=1), 1)
    assert (data.multi_label, data.digest) == (False, corpus.digest)


def test_several_labels_are_several_ones(tmp_path: Path) -> None:
    corpus = read_corpus(audioset_corpus(tmp_path / "audioset"))
    data = open_corpus_cache(build_corpus_cache(corpus, CONFIG, 1.0, tmp_path / "cache"))
    assert data.multi_label
    assert [len(clip.labels) for clip in corpus.clips] == data.targets.sum(axis=1).tolist()
    assert data.names["/m/tone"] == "Tone, so called"


def test_clips_are_padded_with_silence_and_cut(tmp_path: Path) -> None:
    corpus = read_corpus(esc_corpus(tmp_path / "esc", n_each=1))
    config = CONFIG.model_copy(update={"top_db": None})
    longer = open_corpus_cache(build_corpus_cache(corpus, config, 2.0, tmp_path / "cache"))
    shorter = open_corpus_cache(build_corpus_cache(corpus, config, 0.5, tmp_path / "cache"))
    assert longer.features.shape[2] == 61 and shorter.features.shape[2] == 14
    assert np.allclose(longer.features[:, :, 40:], -100, rtol=0, atol=1e-5)


def test_a_few_long_clips_make_the_others_no_longer(tmp_path: Path) -> None:
    corpus = read_corpus(esc_corpus(tmp_path / "esc", n_each=4))
    assert common_seconds(corpus, 10.0) == 1.0
    assert common_seconds(corpus, 0.4) == 0.4
    one_long = corpus.clips[0].__class__(corpus.clips[0].path, ("tone",), 1, 0.0, 7.0)
    assert common_seconds(corpus.__class__(corpus.root, (*corpus.clips, one_long), False, ()), 10.0) == 1.0


def test_it_is_built_once_and_never_for_other_settings(tmp_path: Path) -> None:
    corpus = read_corpus(esc_corpus(tmp_path / "esc", n_each=1))
    path = build_corpus_cache(corpus, CONFIG, 1.0, tmp_path / "cache")
    with patch.object(corpus_cache, "read_sound", side_effect=AssertionError):
        assert build_corpus_cache(corpus, CONFIG, 1.0, tmp_path / "cache") == path
    other = CONFIG.model_copy(update={"n_mels": 64})
    assert build_corpus_cache(corpus, other, 1.0, tmp_path / "cache") != path


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    corpus = read_corpus(esc_corpus(tmp_path / "esc", n_each=1))
    corpus.clips[3].path.write_bytes(b"")
    with pytest.raises(RecordingError, match=corpus.clips[3].path.name):
        build_corpus_cache(corpus, CONFIG, 1.0, tmp_path / "cache")
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_a_damaged_cache_is_named(tmp_path: Path) -> None:
    corpus = read_corpus(esc_corpus(tmp_path / "esc", n_each=1))
    path = build_corpus_cache(corpus, CONFIG, 1.0, tmp_path / "cache")
    (path / "labels.json").write_text("{}")
    with pytest.raises(CacheError, match="remove it"):
        open_corpus_cache(path)
