"""The on-disk cache of features: built once, memory-mapped by every trial of a node.

    <folder>/<machine>-<key>/features.npy   (clips, bands, frames), float32 or float16
                             meta.json      the clips in the order of the rows, and what the key is of

The key is a hash of the data's digest, the feature settings that aren't defaults and the format's
version: a changed file or setting never meets a stale array, and a setting that is added later leaves
the caches of today valid. A cache is built in a folder of another name and renamed; a build that was
killed is gone on with. Clips shorter than the machine type's longest are padded with zeros at the end (§3).
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray

from oddsound.config import FeatureConfig
from oddsound.errors import CacheError, OddsoundError, RecordingError
from oddsound.features.logmel import log_mel, n_frames
from oddsound.features.median import median_along_time
from oddsound.features.rows import Row, Told, finished, nobody, write_rows, writing
from oddsound.recordings.clip import Clip
from oddsound.recordings.names import shown
from oddsound.recordings.reader import probe, read_clip

FORMAT = 3
"""Goes up whenever a front end's arithmetic or a default changes, for the key leaves defaults out."""


@dataclass(frozen=True, eq=False)
class FeatureCache:
    """`features`: (clips, bands, frames) memory-mapped, read-only; `lengths`: frames of each clip."""

    machine: str
    clips: tuple[Clip, ...]
    lengths: tuple[int, ...]
    features: NDArray[np.floating]
    data_digest: str


def cache_path(machine: str, data_digest: str, config: FeatureConfig, folder: Path) -> Path:
    """Where the cache of this data under these settings lies, built or not."""
    settings = config.model_dump(exclude_defaults=True)
    identity = json.dumps([FORMAT, data_digest, settings], sort_keys=True)
    return folder / f"{machine}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"


def build_cache(
    clips: Sequence[Clip], data_digest: str, config: FeatureConfig, folder: Path, told: Told = nobody
) -> Path:
    """The path of the cache of one machine type's `clips`, built where it isn't there yet; `told` hears
    how far it has come.

    Processes that ask for the same cache at once wait for the first. Raises RecordingError for a
    recording that can't be used, and CacheError where the disk won't take the features; nothing
    half-built stays then.
    """
    path = cache_path(clips[0].machine, data_digest, config, folder)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(path.name + ".lock")):
        if not path.is_dir():
            _build(clips, data_digest, config, path, told)
    return path


def open_cache(path: Path) -> FeatureCache:
    """Map what `build_cache` built. Raises CacheError where it is damaged."""
    try:
        meta = json.loads((path / "meta.json").read_text())
        features = np.load(path / "features.npy", mmap_mode="r", allow_pickle=False)
        clips = tuple(Clip(**(clip | {"path": Path(clip["path"])})) for clip in meta["clips"])
        lengths, digest = tuple(meta["lengths"]), meta["data_digest"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CacheError(f"{path}: not a feature cache ({error}); remove it, it is built anew") from error
    if not len(features) == len(clips) == len(lengths):
        raise CacheError(f"{path}: {len(features)} rows for {len(clips)} clips; remove it, it is built anew")
    return FeatureCache(clips[0].machine, clips, lengths, features, digest)


def _build(clips: Sequence[Clip], data_digest: str, config: FeatureConfig, path: Path, told: Told) -> None:
    lengths, row = _rows(clips, data_digest, config, path.parent, told)
    partial = path.with_name(f"{path.name}.partial")
    with writing(partial):
        partial.mkdir(exist_ok=True)  # what a killed build left in it is kept: we hold the lock
    try:
        write_rows(partial, (len(clips), config.n_mels, max(lengths)), config.dtype, row, told)
        with writing(partial):
            _write_meta(clips, lengths, data_digest, config, partial / "meta.json")
        finished(partial, path)
    except OddsoundError:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _rows(
    clips: Sequence[Clip], data_digest: str, config: FeatureConfig, folder: Path, told: Told
) -> tuple[list[int], Row]:
    """The frames of each clip, and what gives a clip's features (bands, frames of the clip).

    The filtered features are made from the cache of the unfiltered: recordings are read once.
    """
    if config.median_frames < 2:
        lengths = [_n_frames(clip, config) for clip in clips]
        return lengths, lambda i: _log_mel(clips[i], config)
    plain = config.model_copy(update={"median_frames": 0})
    base = open_cache(build_cache(clips, data_digest, plain, folder, told))
    return list(base.lengths), lambda i: median_along_time(
        np.asarray(base.features[i, :, : base.lengths[i]], np.float32), config.median_frames
    )


def _n_frames(clip: Clip, config: FeatureConfig) -> int:
    try:
        return n_frames(probe(clip.path).n_samples, config)
    except RecordingError as error:
        named = str(error).removeprefix(f"{shown(clip.path)}: ")
        raise RecordingError(f"{shown(clip.path)}: {named}") from error


def _log_mel(clip: Clip, config: FeatureConfig) -> NDArray[np.float32]:
    waveform = torch.from_numpy(read_clip(clip.path, config.sample_rate))
    features: NDArray[np.float32] = log_mel(waveform, config).numpy()
    return features


def _write_meta(
    clips: Sequence[Clip], lengths: Sequence[int], data_digest: str, config: FeatureConfig, path: Path
) -> None:
    meta = {
        "format": FORMAT,
        "data_digest": data_digest,
        "features": config.model_dump(),
        "lengths": list(lengths),
        "clips": [asdict(clip) | {"path": str(clip.path)} for clip in clips],
    }
    path.write_text(json.dumps(meta))
