"""What a search would take: some steps of a trial are measured on one worker, the rest is arithmetic.

Nothing of the search itself is built: the features of a few clips are enough, and they travel to the
worker with the task. Machine types whose trials cost alike are measured once.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from oddsound.config import TrialConfig
from oddsound.features.cache import build_cache
from oddsound.features.logmel import n_frames
from oddsound.recordings.clip import Clip
from oddsound.recordings.reader import probe
from oddsound.search.resources import Measured, Resources, at_once, fitting, measure, node_types
from oddsound.search.space import SearchSpace
from oddsound.training.classes import classes_of
from oddsound.training.data import MachineData
from oddsound.training.footprint import Footprint, Workload
from oddsound.training.segments import Segments

N_TRAIN, N_TEST = 32, 64
"""Clips of a sample: a batch of training clips, and as many test clips as are scored at once."""
_COSTS_NOTHING: dict[str, Any] = {
    "machine": True,
    "recipe": True,
    "features": {"median_frames"},
    "model": {"pretrained", "pretrained_sha256"},
    "training": {
        "epochs",
        "lr_autoencoder",
        "lr_backbone",
        "halve_every",
        "target_share",
        "holdout",
        "selection",
        "evaluate_every",
        "seed",
    },
}
"""Settings on which a training step's time and memory don't depend."""


@dataclass(frozen=True)
class Job:
    """A machine type's part of a search: `n_trials` trials like `config`, its first one, on `clips`."""

    config: TrialConfig
    clips: tuple[Clip, ...]
    n_trials: int

    @classmethod
    def of(cls, space: SearchSpace, clips: tuple[Clip, ...], n_trials: int, seed: int) -> Job:
        """The first trial is the paper's own, without pretrained weights: their values cost nothing."""
        n = min(n_trials, len(space.grid())) if space.sampler == "grid" else n_trials
        config = space.trial(space.paper, seed)
        model = config.model.model_copy(update={"pretrained": "none", "pretrained_sha256": ""})
        if config.model.pretrained == "imagenet" and model.activation == "auto":
            model = model.model_copy(update={"activation": "relu6"})
        return cls(config.model_copy(update={"model": model}), clips, n)


@dataclass(frozen=True)
class Cost:
    """What a machine type's part takes; `measured_on`: the machine type whose trial was measured."""

    job: Job
    measured: Measured
    measured_on: str

    @property
    def machine(self) -> str:
        return self.job.config.machine

    @property
    def footprint(self) -> Footprint:
        return self.measured.footprint

    @property
    def seconds_per_epoch(self) -> float:
        return self.footprint.seconds_per_epoch(self.job.config.training.evaluate_every)

    @property
    def seconds_per_trial(self) -> float:
        return self.footprint.seconds_per_trial(self.job.config.training)

    @property
    def seconds(self) -> float:
        """Of one worker, for all trials."""
        return self.job.n_trials * self.seconds_per_trial


@dataclass(frozen=True)
class Plan:
    """`n_workers`: how many trials the cluster runs at once, each with a GPU of its own where it has any."""

    costs: list[Cost]
    n_workers: int

    def seconds_on(self, n_workers: int) -> float:
        """Until the last trial ends: each worker takes the next one, the machine types in turn."""
        free = [0.0] * n_workers
        for cost in _in_turn(self.costs):
            heapq.heapreplace(free, free[0] + cost.seconds_per_trial)
        return max(free)


def plan_search(jobs: Sequence[Job], resources: Resources, said: Callable[[str], None]) -> Plan:
    """Measure on the Ray cluster that is connected, one task at a time; `said` is told of each.

    Raises ConfigError where no node has what a trial wants, RecordingError for a clip that can't be
    read, and what a trial raises in its first steps.
    """
    nodes = node_types()
    request = fitting(resources, nodes)
    known: dict[tuple[object, ...], Cost] = {}
    costs = []
    for job in jobs:
        segments = _segments(job)
        work = Workload.of(job.config, job.clips, segments)
        key = _key(job, segments, work)
        if key not in known:
            said(f"measuring a trial of {job.config.machine}")
            found = measure(job.config, sample_features(job), request, work=work)
            known[key] = Cost(job, found, job.config.machine)
        alike = known[key]
        measured = replace(alike.measured, footprint=replace(alike.footprint, work=work))
        costs.append(Cost(job, measured, alike.measured_on))
    whole = request | {"gpu": 1.0} if 0 < request["gpu"] < 1 else request
    n_workers = at_once(whole, nodes)
    return Plan(costs, min(n_workers, resources.max_concurrent or n_workers))


def sample(clips: Sequence[Clip], labels: str) -> list[Clip]:
    """Some clips that stand for all: of every class and every kind of clip one, and the longest."""
    first: dict[tuple[object, ...], Clip] = {}
    for clip in clips:
        attributes = clip.attributes if labels == "attributes" and clip.split == "train" else ""
        first.setdefault((clip.split, clip.section, clip.domain, clip.label, attributes), clip)
    chosen = {*first.values(), _longest(clips)}
    chosen |= _spread([clip for clip in clips if clip.split == "train"], N_TRAIN)
    chosen |= _spread([clip for clip in clips if clip.split == "test" and clip.label], N_TEST)
    return [clip for clip in clips if clip in chosen]


def sample_features(job: Job) -> MachineData:
    """The features of a sample, in memory; their files are gone again."""
    chosen = sample(job.clips, job.config.training.labels)
    with TemporaryDirectory(prefix="oddsound-plan-") as folder:
        data = MachineData.open(build_cache(chosen, "sample", job.config.features, Path(folder)))
        return replace(data, features=np.array(data.features))


def _spread(clips: Sequence[Clip], n: int) -> set[Clip]:
    """`n` of the clips from all over."""
    places = np.linspace(0, len(clips) - 1, min(n, len(clips))).astype(int)
    return {clips[place] for place in places}


def _longest(clips: Sequence[Clip]) -> Clip:
    """By the size of its file: clips of one rate and one format."""
    return max(clips, key=lambda clip: clip.path.stat().st_size)


def _segments(job: Job) -> Segments:
    config = job.config
    frames = n_frames(probe(_longest(job.clips).path).n_samples, config.features)
    return Segments.of(config.machine, frames, config.model)


def _key(job: Job, segments: Segments, work: Workload) -> tuple[object, ...]:
    """Trials that cost alike have it in common."""
    n_classes = len(classes_of(job.clips, job.config.training.labels).names)
    batch = min(job.config.training.batch_size, work.n_draws)
    return job.config.model_dump_json(exclude=_COSTS_NOTHING), segments, n_classes, batch


def _in_turn(costs: Sequence[Cost]) -> list[Cost]:
    """Each trial's cost, in the order in which a search begins them."""
    most = max((cost.job.n_trials for cost in costs), default=0)
    return [cost for turn in range(most) for cost in costs if turn < cost.job.n_trials]
