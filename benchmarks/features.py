"""Features from WAVs on disk to the cache, against the usual way.

    python -m benchmarks.features                           # 3,000 clips of 10 s, five rounds
    python -m benchmarks.features --clips 300 --rounds 1    # quicker
    python -m benchmarks.features --recordings DATA         # how far float32 is from float64 on WAVs below it

The usual way: librosa's load, melspectrogram and power_to_db, clip after clip, into one array; measured on a
part of the clips and given as a rate. Reading + FFT: soundfile's read and torch's STFT alone, by as many
threads as ours. All are warm: the files are in the page cache, and librosa has compiled.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import librosa
import numpy as np
import soundfile
import torch
from benchmarks.measure import in_turns, load, met, ratios, say, seconds, spread, table
from benchmarks.packed import Pipe, answer, made_up_clips

from oddsound.config import FeatureConfig
from oddsound.features.cache import build_cache
from oddsound.features.freed_memory import keep_freed_memory
from oddsound.features.logmel import log_mel
from oddsound.features.threads import n_workers, single_threads
from oddsound.recordings.clip import Clip
from oddsound.recordings.reader import read_clip
from oddsound.training.usage import forget_peaks, host_peak

USUAL, ALONE, OURS = "librosa, clip after clip", "reading + FFT alone", "oddsound"
MEDIAN, EXACT = "oddsound, median filter of 31 added", "oddsound, float64"
TARGET, TARGET_ALONE, TARGET_MEDIAN, TARGET_BYTES = 12.0, 1.5, 2.0, 1.5 * 2**30


@dataclass(frozen=True)
class Ways:
    """Each gives clips per second; `few` of the clips are enough for the slow ones."""

    clips: Sequence[Clip]
    few: int
    folder: Path

    def usual(self) -> float:
        return self.few / seconds(lambda: [_librosa(clip.path) for clip in self.clips[: self.few]])

    def alone(self) -> float:
        window = torch.hann_window(1024)

        def read(clip: Clip) -> None:
            samples, _ = soundfile.read(clip.path, dtype="float32")
            torch.stft(torch.from_numpy(samples), 1024, 512, window=window, center=False, return_complex=True)

        keep_freed_memory()
        with single_threads(n_workers()) as pool:
            return len(self.clips) / seconds(lambda: list(pool.map(read, self.clips)))

    def ours(self) -> float:
        return self._build(self.clips, FeatureConfig(), "plain")

    def exact(self) -> float:
        return self._build(self.clips[: self.few], FeatureConfig(precision="float64"), "exact")

    def median(self) -> float:
        """Of the filter alone: the unfiltered cache is there."""
        (self.folder / "median").mkdir()
        for path in (self.folder / "plain").iterdir():
            path.rename(self.folder / "median" / path.name)
        return self._build(self.clips, FeatureConfig(median_frames=31), "median")

    def _build(self, clips: Sequence[Clip], config: FeatureConfig, name: str) -> float:
        took = seconds(lambda: build_cache(clips, "digest", config, self.folder / name))
        if name != "plain":
            shutil.rmtree(self.folder / name)
        return len(clips) / took


def _librosa(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    samples, rate = librosa.load(path, sr=None)
    mel = librosa.feature.melspectrogram(
        y=samples, sr=rate, n_fft=1024, hop_length=512, n_mels=128, center=False
    )
    return np.asarray(librosa.power_to_db(mel), np.float32)


def peak(pipe: Pipe, clips: Sequence[Clip], folder: Path) -> None:
    """Peak memory of building both caches in a fresh process, imports included."""
    forget_peaks()
    build_cache(clips, "digest", FeatureConfig(median_frames=31), folder)
    pipe.send(host_peak())


def written_clips(folder: Path, n: int) -> list[Clip]:
    folder.mkdir()
    rng = np.random.default_rng(0)
    clips = []
    for clip in made_up_clips(n, 0):
        path = folder / clip.path
        noise = 0.1 * rng.standard_normal(160_000).astype(np.float32)
        soundfile.write(path, noise, 16_000, subtype="PCM_16")
        clips.append(Clip(path, clip.machine, clip.section, clip.domain, clip.split, clip.label))
    return clips


def tell(folder: Path, n: int, rounds: int) -> None:
    say(f"writing {n} clips")
    clips = written_clips(folder / "wavs", n)
    ways = Ways(clips, max(1, n // 10), folder)
    contenders: dict[str, Callable[[], float]] = {
        USUAL: ways.usual,
        ALONE: ways.alone,
        OURS: ways.ours,
        MEDIAN: ways.median,
        EXACT: ways.exact,
    }
    found = in_turns(contenders, rounds)
    bytes_ = answer(peak, clips, folder / "peak", as_worker=False)
    rows = [[name, spread(rates), spread(ratios(rates, found[USUAL]))] for name, rates in found.items()]
    print("## Features\n")
    print(
        f"{n:,} clips of 10 s, 16-bit WAVs in the page cache, to log-mels on disk; {n_workers()} CPUs, "
        f"{rounds} rounds in turn ({load()}).\n"
    )
    print(table(["", "clips/s", "times librosa"], rows))
    print()
    for name, found_ratio, limit, is_least in (
        ("times librosa", ratios(found[OURS], found[USUAL]), TARGET, True),
        ("times the time of reading + FFT alone", ratios(found[ALONE], found[OURS]), TARGET_ALONE, False),
        (
            "times the log-mel's time for the median filter",
            ratios(found[OURS], found[MEDIAN]),
            TARGET_MEDIAN,
            False,
        ),
    ):
        value = float(np.median(found_ratio))
        is_met = value >= limit if is_least else value <= limit
        says = "at least" if is_least else "at most"
        print(f"- {spread(found_ratio)} {name}; target {says} {limit:g}: {met(is_met)}.")
    print(
        f"- Peak memory of building both caches: {bytes_ / 2**20:,.0f} MiB; target below "
        f"{TARGET_BYTES / 2**20:,.0f}: {met(bytes_ < TARGET_BYTES)}."
    )


def tell_precision(folder: Path) -> None:
    """How far the default precision is from the reference."""
    single, double = FeatureConfig(), FeatureConfig(precision="float64")
    largest = []
    for path in sorted(folder.rglob("*.wav")):
        waveform = torch.from_numpy(read_clip(path))
        largest.append(float((log_mel(waveform, single) - log_mel(waveform, double)).abs().max()))
    print("## float32 against float64\n")
    print(
        f"{len(largest):,} recordings: the largest difference of a clip's values is {np.median(largest):.1e} "
        f"dB in the median clip and {max(largest):.1e} dB in the worst."
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--recordings", type=Path, help="compare the precisions on these, and nothing else")
    given = parser.parse_args()
    if given.recordings:
        tell_precision(given.recordings)
        return
    with TemporaryDirectory(prefix="oddsound-bench-") as folder:
        tell(Path(folder), given.clips, given.rounds)


if __name__ == "__main__":
    main()
