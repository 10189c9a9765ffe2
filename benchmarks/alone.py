"""What it costs that a clip is given to the network by itself, and what it saves: rounding.

    python -m benchmarks.alone                              # 64 clips of 128 x 311, full size, five rounds
    python -m benchmarks.alone --clips 16 --rounds 1 --width 0.25

Each way scores the same clips with the same network: in batches, as `score_clips` and `predict` did, and one
by one in as many threads, as they do now (`oddsound.training.inference`). Beside the rates stands how far
the logits of a clip lie from those that it has alone.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable

import numpy as np
import torch
from benchmarks.measure import in_turns, load, ratios, say, seconds, spread, table
from numpy.typing import NDArray
from torch import Tensor

from oddsound.config import FeatureConfig, ModelConfig
from oddsound.models.joint import JointModel
from oddsound.training.inference import outputs_by_clip
from oddsound.training.segments import Segments

BANDS, FRAMES = 128, 311
BATCHES = (16, 64)


class Ways:
    """Each gives clips per second and keeps its logits, (clips, 1, classes)."""

    def __init__(self, n: int, width: float) -> None:
        config = ModelConfig.model_validate({"pretrained": "none", "width": width})
        torch.manual_seed(0)
        self.network = JointModel(config, FeatureConfig(), 6, FRAMES).eval()
        self.clips: Tensor = 10 * torch.randn(n, BANDS, FRAMES) - 40
        self.logits: dict[str, NDArray[np.float64]] = {}

    def alone(self, name: str, threads: int) -> float:
        def work() -> None:
            self.logits[name] = outputs_by_clip(
                self.network.logits, lambda i: self.clips[i], len(self.clips), Segments(FRAMES, 1, 1), "cpu"
            )

        return self._rate(work, threads)

    @torch.inference_mode()
    def batched(self, name: str, threads: int, size: int) -> float:
        def work() -> None:
            parts = [self.network.logits(batch) for batch in torch.split(self.clips, size)]
            self.logits[name] = torch.cat(parts).double().numpy()[:, None]

        return self._rate(work, threads)

    def _rate(self, work: Callable[[], None], threads: int) -> float:
        torch.set_num_threads(threads)
        return len(self.clips) / seconds(work)


def tell(n: int, rounds: int, width: float) -> None:
    ways, cpus = Ways(n, width), len(os.sched_getaffinity(0))
    measured: dict[str, Callable[[], float]] = {}
    for threads in sorted({1, cpus}):
        alone = f"one by one, {threads} at once"
        measured[alone] = lambda name=alone, threads=threads: ways.alone(name, threads)  # type: ignore[misc]
        for size in BATCHES:
            name = f"batches of {size}, {threads} thread{'s' if threads > 1 else ''}"
            measured[name] = lambda name=name, threads=threads, size=size: ways.batched(name, threads, size)  # type: ignore[misc]
    found = in_turns(measured, rounds)
    first = next(iter(found))
    print("## A clip alone and in batches\n")
    print(
        f"Logits of {n} clips of {BANDS} × {FRAMES} (EfficientNet-B0 of width {width:g}), {cpus} CPUs, "
        f"{rounds} rounds in turn ({load()}).\n"
    )
    rows = [
        [
            name,
            spread(rate),
            spread(ratios(rate, found[first])),
            f"{np.abs(ways.logits[name] - ways.logits[first]).max():.1g}",
        ]
        for name, rate in found.items()
    ]
    print(table(["", "clips/s", "times the first", "logits differ from the first's by"], rows))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--width", type=float, default=1.0)
    given = parser.parse_args()
    say("warming up")
    tell(given.clips, given.rounds, given.width)


if __name__ == "__main__":
    main()
