"""The training step of the joint model against a straightforward PyTorch loop.

    python -m benchmarks.training                         # five rounds, full size
    python -m benchmarks.training --rounds 1 --batches 2  # quicker
    python -m benchmarks.training --accuracy              # omega over five seeds instead

Each measurement is a fresh process. The loop: float32, contiguous tensors, Adam as it comes, a DataLoader
with two workers over .npy log-mels or over WAVs (librosa); the same model, losses, augmentation and batch.
Ours is `train_epoch` on a mapped array, in the environment that a search's workers have.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import librosa
import numpy as np
import soundfile
import torch
from benchmarks.measure import in_turns, load, met, ratios, spread, table
from benchmarks.packed import (
    DIGEST,
    MACHINE,
    Pipe,
    answer,
    as_a_worker,
    made_up_clips,
    made_up_features,
)
from benchmarks.training_accuracy import tell_accuracy
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from oddsound.config import TrialConfig
from oddsound.features.augment import augment
from oddsound.training.classes import classes_of
from oddsound.training.data import MachineData
from oddsound.training.device import exact_device
from oddsound.training.epoch import Lesson, train_epoch
from oddsound.training.losses import losses
from oddsound.training.schedule import build_optimiser
from oddsound.training.segments import Segments
from oddsound.training.trial import build_model

TARGET = {"cpu": 1.6, "cuda": 6.0}
BARE_SHARE = 0.6
"""Of the bare network's rate, on a GPU."""
N_FRAMES = 311


@dataclass(frozen=True)
class Size:
    """`batches` are timed after `WARM_UP` others, with `threads` of torch's."""

    folder: Path
    batches: int
    threads: int
    width: float

    @property
    def n_clips(self) -> int:
        return (self.batches + WARM_UP) * TrialConfig(machine=MACHINE).training.batch_size

    def config(self, precision: str = "float32") -> TrialConfig:
        given = {"machine": MACHINE, "model": {"width": self.width}, "training": {"precision": precision}}
        return TrialConfig.model_validate(given)


WARM_UP = 2


class Clock:
    """Seconds of the steps after the warm-up; each call begins a step, or ends the last one."""

    def __init__(self) -> None:
        self._began: list[float] = []

    def __call__(self) -> None:
        if torch.cuda.is_available() and len(self._began) == WARM_UP:
            torch.cuda.synchronize()
        self._began.append(time.perf_counter())

    @property
    def seconds(self) -> float:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter() - self._began[WARM_UP]


# Ours.


def ours(pipe: Pipe, size: Size, precision: str) -> None:
    as_a_worker(size.threads)
    config, clock = size.config(precision), Clock()
    data = MachineData(
        MACHINE, made_up_clips(size.n_clips, 0), np.load(size.folder / "features.npy", mmap_mode="r"), DIGEST
    )
    lesson = Lesson(
        data, classes_of(data.clips, config.training.labels), Segments.of(MACHINE, N_FRAMES, config.model)
    )
    model = build_model(config, len(lesson.classes.names), N_FRAMES).to(exact_device()).train()
    train_epoch(model, build_optimiser(model, config.training), config, lesson, 1, clock)
    pipe.send(_rate(size, clock))


# The straightforward loop.


class Clips(Dataset[tuple[Tensor, Tensor]]):
    """A file a clip."""

    def __init__(self, size: Size, kind: str) -> None:
        self.files = [size.folder / f"{row}.{kind}" for row in range(size.n_clips)]
        self.target = classes_of(made_up_clips(size.n_clips, 0), "section").target

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        path = self.files[row]
        x = np.load(path) if path.suffix == ".npy" else _log_mel(path)
        return torch.from_numpy(x), torch.tensor(self.target[row])


def _log_mel(path: Path) -> NDArray[np.float32]:
    samples, rate = librosa.load(path, sr=None)
    mel = librosa.feature.melspectrogram(
        y=samples, sr=rate, n_fft=1024, hop_length=512, n_mels=128, center=False
    )
    return np.asarray(librosa.power_to_db(mel), np.float32)


def loop(pipe: Pipe, size: Size, kind: str) -> None:
    torch.set_num_threads(size.threads)
    device, config, clock = exact_device(), size.config(), Clock()
    loader = DataLoader(
        Clips(size, kind),
        config.training.batch_size,
        shuffle=True,
        num_workers=2,
        pin_memory=device == "cuda",
    )
    model, optimiser = _plain(config, device)
    rng = np.random.default_rng(0)
    batches = iter(loader)
    for _ in range(WARM_UP + size.batches):
        clock()
        x, target = next(batches)
        x, target = x.to(device), target.to(device)
        x, mix = augment(x, config.augment, rng)
        result = losses(model(x), target, mix, config.loss)
        optimiser.zero_grad()
        torch.autograd.backward(result.total)
        optimiser.step()
        result.total.item()
    pipe.send(_rate(size, clock))


def bare(pipe: Pipe, size: Size) -> None:
    """The same, without any data: one batch that is there already, and nothing is augmented."""
    torch.set_num_threads(size.threads)
    device, config, clock = exact_device(), size.config(), Clock()
    model, optimiser = _plain(config, device)
    x = torch.from_numpy(made_up_features(config.training.batch_size, N_FRAMES)).to(device)
    target = torch.arange(len(x), device=device) % 3
    for _ in range(WARM_UP + size.batches):
        clock()
        optimiser.zero_grad()
        torch.autograd.backward(losses(model(x), target, None, config.loss).total)
        optimiser.step()
    pipe.send(_rate(size, clock))


def _plain(config: TrialConfig, device: str) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    model = build_model(config, 3, N_FRAMES).to(device).train()
    model = model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return model, torch.optim.Adam(model.parameters(), lr=1e-3)


def _rate(size: Size, clock: Clock) -> float:
    """Samples per second."""
    return size.batches * TrialConfig(machine=MACHINE).training.batch_size / clock.seconds


# Files and tables.


def write_files(size: Size) -> None:
    features, rng = made_up_features(size.n_clips, N_FRAMES), np.random.default_rng(0)
    np.save(size.folder / "features.npy", features)
    for row, clip in enumerate(features):
        np.save(size.folder / f"{row}.npy", clip)
        noise = 0.1 * rng.standard_normal(160_000).astype(np.float32)
        soundfile.write(size.folder / f"{row}.wav", noise, 16_000, subtype="PCM_16")


def contenders(size: Size) -> dict[str, Callable[[], float]]:
    return {
        "loop over .npy": lambda: answer(loop, size, "npy", as_worker=False),
        "loop over WAVs": lambda: answer(loop, size, "wav", as_worker=False),
        "loop without data": lambda: answer(bare, size, as_worker=False),
        "oddsound": lambda: answer(ours, size, "float32"),
        "oddsound, freed memory given back": lambda: answer(ours, size, "float32", as_worker=False),
        "oddsound, bfloat16": lambda: answer(ours, size, "bfloat16"),
    }


def tell_speed(folder: Path, rounds: int, batches: int, threads: int, width: float) -> None:
    size = Size(folder, batches, threads, width)
    write_files(size)
    found = in_turns(contenders(size), rounds, warm_up=False)
    first = found["loop over .npy"]
    rows = [[name, spread(rates), spread(ratios(rates, first))] for name, rates in found.items()]
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {threads} threads"
    gained, target = ratios(found["oddsound"], first), TARGET[exact_device()]
    print("## Training step\n")
    print(
        "Joint model (EfficientNet-B0"
        + (f" of width {width:g}" if width != 1 else "")
        + f" and autoencoder), batches of 32 clips of 128 x 311, {device}: samples per second of {batches} "
        f"batches after {WARM_UP}, {rounds} rounds in turn, each in a fresh process ({load()}).\n"
    )
    print(table(["", "samples/s", "times the loop over .npy"], rows))
    print(f"\nTarget {target:g} times the loop over .npy: {met(float(np.median(gained)) >= target)}.")
    if torch.cuda.is_available():
        share = float(np.median(ratios(found["oddsound"], found["loop without data"])))
        print(f"Target {BARE_SHARE:.0%} of the loop without data: {share:.0%}, {met(share >= BARE_SHARE)}.")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=3, help="timed in each round")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--accuracy", action="store_true", help="omega of each way instead of its speed")
    given = parser.parse_args()
    if given.accuracy:
        tell_accuracy(given.rounds)
        return
    with TemporaryDirectory(prefix="oddsound-bench-") as folder:
        tell_speed(Path(folder), given.rounds, given.batches, given.threads, given.width)


if __name__ == "__main__":
    main()
