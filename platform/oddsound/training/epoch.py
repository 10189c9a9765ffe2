"""One epoch of the joint model."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import Adam

from oddsound.config import TrialConfig
from oddsound.errors import TrialError
from oddsound.features.augment import augment
from oddsound.models.joint import JointModel
from oddsound.training.checkpoint import seed_epoch
from oddsound.training.classes import Classes
from oddsound.training.data import MachineData
from oddsound.training.device import exact_device
from oddsound.training.losses import losses
from oddsound.training.resident import resident
from oddsound.training.sampler import batches, draw_epoch
from oddsound.training.schedule import learning_rates, set_learning_rates
from oddsound.training.segments import Segments


@dataclass(frozen=True, eq=False)
class Lesson:
    """What a trial learns from: clips, what they are called, and how they are cut."""

    data: MachineData
    classes: Classes
    segments: Segments
    alive: Callable[[], None] = lambda: None
    """Called for each clip or batch of clips that is scored."""
    device: str = field(default_factory=exact_device)

    @cached_property
    def features(self) -> Tensor:
        """(clips, bands, time), on the device where they fit there."""
        return resident(self.data.features, self.device)

    @cached_property
    def target(self) -> Tensor:
        """(clips,) the class of each, on the device."""
        return torch.from_numpy(self.classes.target).to(self.device)

    def gather(self, rows: NDArray[np.intp], numbers: NDArray[np.intp]) -> Tensor:
        """(n, bands, frames) float32 on the device: segment `numbers[i]` of clip `rows[i]`."""
        where = self.features.device
        chosen = (torch.from_numpy(each).to(where, non_blocking=True) for each in (rows, numbers))
        return self.segments.gather(self.features, *chosen).to(self.device)

    def rows(self, holdout: float) -> NDArray[np.intp]:
        """The training clips without the last `holdout` of them, as Keras splits off its validation."""
        rows = self.data.train_rows
        return rows[: max(1, int(len(rows) * (1.0 - holdout)))]


def train_epoch(
    model: JointModel,
    optimiser: Adam,
    config: TrialConfig,
    lesson: Lesson,
    epoch: int,
    alive: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """Train `epoch`, counted from 1; gives its mean losses, learning rates and seconds. `alive` is called
    before each step.

    Losses stay on the device until the epoch's end, so that no step waits for its own result. Raises
    TrialError where one wasn't finite.
    """
    started = time.perf_counter()
    rng = seed_epoch(config.identity, epoch)
    set_learning_rates(optimiser, epoch, config.training)
    sums: dict[str, Tensor] = {}
    n = 0
    for rows, numbers in _drawn(lesson, config, rng):
        alive()
        for term, value in _step(model, optimiser, config, lesson, rows, numbers, rng).items():
            sums[term] = value.double() * len(rows) + sums.get(term, 0.0)
        n += len(rows)
    means = {term: total.item() / n for term, total in sums.items()}
    for term, mean in means.items():
        if not math.isfinite(mean):
            raise TrialError(f"{config.machine}: loss ({term}) became {mean} in epoch {epoch}")
    lr_autoencoder, lr_backbone = learning_rates(epoch, config.training)
    return {
        "epoch": epoch,
        **{f"loss/{term}": mean for term, mean in means.items()},
        "lr/autoencoder": lr_autoencoder,
        "lr/backbone": lr_backbone,
        "seconds": time.perf_counter() - started,
    }


def _drawn(
    lesson: Lesson, config: TrialConfig, rng: np.random.Generator
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Clips and segment numbers of each batch of the epoch."""
    rows = lesson.rows(config.training.holdout)
    clips, numbers = draw_epoch(
        lesson.data.is_target_domain[rows],
        config.training.target_share,
        rng,
        lesson.segments.n,
        config.training.segments_per_clip,
    )
    for batch in batches(len(clips), config.training.batch_size):
        yield rows[clips[batch]], numbers[batch]


def _step(
    model: JointModel,
    optimiser: Adam,
    config: TrialConfig,
    lesson: Lesson,
    rows: NDArray[np.intp],
    numbers: NDArray[np.intp],
    rng: np.random.Generator,
) -> dict[str, Tensor]:
    x = lesson.gather(rows, numbers)
    target = lesson.target[torch.from_numpy(rows).to(lesson.device, non_blocking=True)]
    x, mix = augment(x, config.augment, rng)
    result = losses(model(x), target, mix, config.loss)
    optimiser.zero_grad(set_to_none=True)
    torch.autograd.backward(result.total)
    optimiser.step()
    return {term: value.detach() for term, value in result.terms().items()}
