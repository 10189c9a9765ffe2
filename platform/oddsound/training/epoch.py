"""One epoch of the joint model."""

from __future__ import annotations

import math
import time

import numpy as np
import torch
from torch.optim import Adam

from oddsound.config import TrialConfig
from oddsound.errors import TrialError
from oddsound.features.augment import augment
from oddsound.models.joint import JointModel
from oddsound.training.checkpoint import seed_epoch
from oddsound.training.data import MachineData
from oddsound.training.losses import losses
from oddsound.training.sampler import batches, draw_epoch
from oddsound.training.schedule import learning_rates, set_learning_rates

_TERMS = ("total", "reconstruction", "cross_entropy", "contrastive")


def train_epoch(
    model: JointModel, optimiser: Adam, config: TrialConfig, data: MachineData, epoch: int
) -> dict[str, float]:
    """Train `epoch`, counted from 1; gives its mean losses, learning rates and seconds.

    Raises TrialError at the first loss that isn't finite.
    """
    started = time.perf_counter()
    rng = seed_epoch(config.identity, epoch)
    set_learning_rates(optimiser, epoch, config.training)
    drawn = draw_epoch(data.is_target_domain[data.train_rows], config.training.target_share, rng)
    sums, n = dict.fromkeys(_TERMS, 0.0), 0
    for batch in batches(data.train_rows[drawn], config.training.batch_size):
        for term, value in _step(model, optimiser, config, data, batch, rng).items():
            if not math.isfinite(value):
                raise TrialError(f"{config.machine}: loss ({term}) became {value} in epoch {epoch}")
            sums[term] += value * len(batch)
        n += len(batch)
    lr_autoencoder, lr_backbone = learning_rates(epoch, config.training)
    return {
        "epoch": epoch,
        **{f"loss/{term}": value / n for term, value in sums.items()},
        "lr/autoencoder": lr_autoencoder,
        "lr/backbone": lr_backbone,
        "seconds": time.perf_counter() - started,
    }


def _step(
    model: JointModel,
    optimiser: Adam,
    config: TrialConfig,
    data: MachineData,
    rows: np.ndarray,
    rng: np.random.Generator,
) -> dict[str, float]:
    device = next(model.parameters()).device
    x = torch.from_numpy(np.asarray(data.features[rows], np.float32)).to(device)
    target = torch.from_numpy(data.targets[rows]).to(device)
    x, mix = augment(x, config.augment, rng)
    result = losses(model(x), target, mix, config.loss)
    optimiser.zero_grad(set_to_none=True)
    torch.autograd.backward(result.total)
    optimiser.step()
    return {term: getattr(result, term).item() for term in _TERMS}
