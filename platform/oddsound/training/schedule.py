"""The optimiser and its learning rates (§3: halved every 30 epochs)."""

from __future__ import annotations

from torch.optim import Adam

from oddsound.config import TrainingConfig
from oddsound.models.joint import JointModel


def build_optimiser(model: JointModel, config: TrainingConfig) -> Adam:
    """Adam with two groups, the autoencoder and all the rest; either may be empty."""
    return Adam(
        [
            {"params": model.autoencoder_parameters(), "lr": config.lr_autoencoder},
            {"params": model.backbone_parameters(), "lr": config.lr_backbone},
        ],
        # A third of the time on CPU, one kernel for all on a GPU. A checkpoint goes on as it began.
        fused=True,
    )


def learning_rates(epoch: int, config: TrainingConfig) -> tuple[float, float]:
    """Autoencoder's and backbone's rates in `epoch`, counted from 1."""
    factor = 0.5 ** ((epoch - 1) // config.halve_every) if config.halve_every else 1.0
    return config.lr_autoencoder * factor, config.lr_backbone * factor


def set_learning_rates(optimiser: Adam, epoch: int, config: TrainingConfig) -> None:
    for group, rate in zip(optimiser.param_groups, learning_rates(epoch, config), strict=True):
        group["lr"] = rate
