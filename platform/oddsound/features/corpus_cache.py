"""The features of a labelled corpus: every clip of one length, through the detector's own front end.

    <folder>/corpus-<key>/features.npy   (clips, bands, frames), row i is the corpus's clip i
                          labels.json    the classes, each clip's fold and labels, the corpus's digest

The key is a hash of the corpus, the feature settings, the length and the format's version. It is built
in a folder of another name and renamed; a build that was killed is gone on with.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from torchaudio.functional import resample

from oddsound.config import FeatureConfig
from oddsound.errors import CacheError, OddsoundError
from oddsound.features.logmel import log_mel, n_frames
from oddsound.features.median import median_along_time
from oddsound.features.rows import Told, finished, nobody, write_rows, writing
from oddsound.recordings.labelled import Corpus, LabelledClip
from oddsound.recordings.sound import read_sound

FORMAT = 2
_COVERED = 0.95


@dataclass(frozen=True, eq=False)
class CorpusFeatures:
    """`features`: (clips, bands, frames) mapped, read-only; `targets`: (clips, classes), 1 where the
    clip has the label; `folds`: (clips,). `names`: what classes are called where that differs."""

    features: NDArray[np.floating]
    targets: NDArray[np.float32]
    folds: NDArray[np.int64]
    classes: tuple[str, ...]
    names: dict[str, str]
    multi_label: bool
    digest: str


def common_seconds(corpus: Corpus, longest: float) -> float:
    """The length that 95 % of the clips don't exceed, at most `longest`.

    Not the longest clip's: two of ESC-10's 400 files are 7 s long, and the other 398 would be padded.
    """
    durations = np.array([clip.duration for clip in corpus.clips])
    return min(longest, float(np.quantile(durations, _COVERED, method="nearest")))


def build_corpus_cache(
    corpus: Corpus, config: FeatureConfig, seconds: float, folder: Path, told: Told = nobody
) -> Path:
    """The folder of the features of the corpus's clips, cut or padded with silence to `seconds`.

    Built where it isn't there yet; `told` hears how far it has come. Raises RecordingError for a clip that
    can't be decoded, and CacheError where the disk won't take the features.
    """
    identity = [FORMAT, corpus.digest, dict(corpus.names), config.model_dump(exclude_defaults=True), seconds]
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
    path = folder / f"corpus-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(path.name + ".lock")):
        if not path.is_dir():
            _build(corpus, config, seconds, path, told)
    return path


def open_corpus_cache(path: Path) -> CorpusFeatures:
    """Map what `build_corpus_cache` built. Raises CacheError where it is damaged."""
    try:
        labels = json.loads((path / "labels.json").read_text())
        features = np.load(path / "features.npy", mmap_mode="r", allow_pickle=False)
        classes = tuple(labels["classes"])
        targets = np.zeros((len(labels["clips"]), len(classes)), np.float32)
        for row, present in enumerate(labels["clips"]):
            targets[row, present] = 1.0
        folds = np.array(labels["folds"], np.int64)
        names, multi_label, digest = labels["names"], labels["multi_label"], labels["digest"]
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise CacheError(f"{path}: not a corpus's features ({error}); remove it, it is built anew") from error
    if not len(features) == len(targets) == len(folds):
        raise CacheError(
            f"{path}: {len(features)} rows for {len(targets)} clips; remove it, it is built anew"
        )
    return CorpusFeatures(features, targets, folds, classes, names, multi_label, digest)


def clip_features(clip: LabelledClip, config: FeatureConfig, seconds: float) -> NDArray[np.float32]:
    """(bands, frames): mono, resampled, cut or padded at the end, then log-mel and median filter."""
    samples, rate = read_sound(clip.path, clip.start, min(clip.duration, seconds))
    waveform = resample(torch.from_numpy(samples), rate, config.sample_rate)
    length = round(seconds * config.sample_rate)
    waveform = torch.nn.functional.pad(waveform[:length], (0, max(0, length - len(waveform))))
    return median_along_time(log_mel(waveform, config).numpy(), config.median_frames)


def _build(corpus: Corpus, config: FeatureConfig, seconds: float, path: Path, told: Told) -> None:
    partial = path.with_name(f"{path.name}.partial")
    with writing(partial):
        partial.mkdir(exist_ok=True)  # what a killed build left in it is kept: we hold the lock
    frames = n_frames(round(seconds * config.sample_rate), config)
    shape = (len(corpus.clips), config.n_mels, frames)

    def row(index: int) -> NDArray[np.float32]:
        return clip_features(corpus.clips[index], config, seconds)

    try:
        write_rows(partial, shape, config.dtype, row, told)
        with writing(partial):
            (partial / "labels.json").write_text(json.dumps(_labels(corpus)))
        finished(partial, path)
    except OddsoundError:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _labels(corpus: Corpus) -> dict[str, Any]:
    index = {label: i for i, label in enumerate(corpus.classes)}
    return {
        "classes": list(corpus.classes),
        "names": {label: name for label, name in corpus.names.items() if label in index},
        "multi_label": corpus.multi_label,
        "digest": corpus.digest,
        "folds": [clip.fold for clip in corpus.clips],
        "clips": [[index[label] for label in clip.labels] for clip in corpus.clips],
    }
