"""What a trial takes: seconds and memory, measured on a few of its own training steps.

Knows neither Ray nor MLflow, and leaves nothing on disk. Every epoch of a trial seeds its own
generators, so that a trial in the same process afterwards is the same as without.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray

from oddsound.config import TrainingConfig, TrialConfig
from oddsound.features.freed_memory import give_back_freed_memory
from oddsound.models.joint import JointModel
from oddsound.recordings.clip import Clip
from oddsound.training.checkpoint import seed_epoch
from oddsound.training.classes import classes_of
from oddsound.training.data import MachineData
from oddsound.training.epoch import Lesson, train_epoch
from oddsound.training.inference import batch_clips
from oddsound.training.sampler import draw_epoch
from oddsound.training.schedule import build_optimiser
from oddsound.training.scores import score_clips
from oddsound.training.segments import Segments
from oddsound.training.trial import build_model
from oddsound.training.usage import forget_peaks, host_peak

CONTEXT_BYTES = 600 << 20
"""What CUDA itself takes of a GPU for each process, beside what torch asks of it: an allowance."""
_PATIENCE_S = 20.0
"""When steps have taken so long together, two of them are enough."""
_QUICK_S = 2.0


@dataclass(frozen=True)
class Workload:
    """How much of it there is: segments drawn in an epoch, test clips scored at an evaluation, and all
    clips, which are scored once at the end."""

    n_draws: int
    n_evaluated: int
    n_clips: int

    @classmethod
    def of(cls, config: TrialConfig, clips: Sequence[Clip], segments: Segments) -> Workload:
        """A trial's of `config` on `clips`."""
        n_train = sum(clip.split == "train" for clip in clips)
        n_train = max(1, int(n_train * (1.0 - config.training.holdout)))
        draws, _ = draw_epoch(
            np.zeros(n_train, bool),
            0,
            np.random.default_rng(0),
            segments.n,
            config.training.segments_per_clip,
        )
        labelled = sum(clip.split == "test" and clip.label is not None for clip in clips)
        return cls(len(draws), labelled, len(clips))


@dataclass(frozen=True)
class Footprint:
    """One trial's, on one worker.

    `host_bytes` is the peak of the process's resident memory: Python and torch themselves, network,
    optimiser, batches and the features that were touched. `gpu_bytes` is what torch held at most, and
    `CONTEXT_BYTES`; 0 without a GPU.
    """

    seconds_per_batch: float
    seconds_per_clip: float
    """Of scoring."""
    batch_size: int
    work: Workload
    host_bytes: int
    gpu_bytes: int

    @property
    def batches_per_epoch(self) -> float:
        """The last batch of an epoch is a part of one."""
        return self.work.n_draws / self.batch_size

    @property
    def seconds_scoring(self) -> float:
        """Of one evaluation."""
        return self.work.n_evaluated * self.seconds_per_clip

    def seconds_per_epoch(self, evaluate_every: int = 1) -> float:
        """Training, and the epoch's share of an evaluation every so many epochs."""
        return self.batches_per_epoch * self.seconds_per_batch + self.seconds_scoring / evaluate_every

    def seconds_per_trial(self, training: TrainingConfig) -> float:
        """Every epoch's training, the evaluations, and the scores of all clips at the end."""
        evaluations = -(-training.epochs // training.evaluate_every)  # the last epoch is evaluated too
        return (
            training.epochs * self.batches_per_epoch * self.seconds_per_batch
            + evaluations * self.seconds_scoring
            + self.work.n_clips * self.seconds_per_clip
        )


def measure_footprint(
    config: TrialConfig,
    data: MachineData,
    weights: Path | None = None,
    n_batches: int = 3,
    work: Workload | None = None,
) -> Footprint:
    """Train `n_batches` batches after one to warm up, score a few clips, and tell what that took.

    Slow batches are fewer. `work`: where `data` is only a sample of what a trial has. Raises what a trial
    raises in its first steps.
    """
    segments = Segments.of(data.machine, data.features.shape[2], config.model)
    work = work or Workload.of(config, data.clips, segments)
    training = config.training.model_copy(
        update={"batch_size": min(config.training.batch_size, work.n_draws), "holdout": 0.0}
    )
    config = config.model_copy(update={"training": training})
    lesson = _Endless(
        data,
        classes_of(data.clips, training.labels),
        segments,
        n_rows=training.batch_size * (n_batches + 2),
    )
    _start_afresh()
    seconds = _seconds(config, lesson, weights, n_batches)
    footprint = Footprint(*seconds, training.batch_size, work, host_peak(), _gpu_peak())
    _start_afresh()
    return footprint


@dataclass(frozen=True, eq=False)
class _Endless(Lesson):
    """A lesson that has its training clips again and again: an epoch lasts as long as it is needed."""

    n_rows: int = 0

    def rows(self, holdout: float) -> NDArray[np.intp]:
        rows = super().rows(holdout)
        return np.resize(rows, max(len(rows), self.n_rows))


class _Enough(Exception):
    """Ends an epoch."""


def _seconds(
    config: TrialConfig, lesson: _Endless, weights: Path | None, n_batches: int
) -> tuple[float, float]:
    """Of a batch's training and of a clip's scoring."""
    seed_epoch(config.identity, 0)
    model = build_model(config, len(lesson.classes.names), lesson.segments.frames, weights)
    model.to(lesson.device).train()
    return _step_seconds(model, config, lesson, n_batches), _scoring_seconds(model, config, lesson)


def _step_seconds(model: JointModel, config: TrialConfig, lesson: _Endless, n_batches: int) -> float:
    """The median of the steps after the first, which warms up."""
    began: list[float] = []

    def step_begins() -> None:
        if lesson.device == "cuda":
            torch.cuda.synchronize()  # a step is queued long before it is done
        began.append(time.perf_counter())
        slow = len(began) > 2 and began[-1] - began[0] > _PATIENCE_S
        if slow or len(began) > n_batches + 1:
            raise _Enough

    with suppress(_Enough):
        train_epoch(model, build_optimiser(model, config.training), config, lesson, 1, step_begins)
    return median(after - before for before, after in itertools.pairwise(began[1:]))


def _scoring_seconds(model: JointModel, config: TrialConfig, lesson: _Endless) -> float:
    """By a batch as an epoch's evaluation has them; a first time that is quick only warms up."""
    at_once = batch_clips(lesson.segments)
    rows = lesson.data.labelled_rows[:at_once]
    rows = rows if len(rows) else np.arange(len(lesson.data.clips))[:at_once]
    for _ in range(2):
        began = time.perf_counter()
        score_clips(model, config, lesson, rows, in_batches=True)
        seconds = time.perf_counter() - began
        if seconds > _QUICK_S:
            break
    return seconds / len(rows)


def _start_afresh() -> None:
    """What was garbage before is not the trial's."""
    give_back_freed_memory()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    forget_peaks()


def _gpu_peak() -> int:
    return torch.cuda.max_memory_reserved() + CONTEXT_BYTES if torch.cuda.is_available() else 0
