"""Weights as Keras begins with, for the two official baselines.

Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks",
AISTATS 2010: U(−a, a), a = √(6 / (fan_in + fan_out)), zero biases.
"""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

KERAS_EPS = 1e-3
KERAS_MOMENTUM = 0.01
"""Keras's default 0.99 is the share that the running statistics keep, torch's the share that is new."""
KERAS_MOBILENETV2_MOMENTUM = 0.001
"""keras.applications.MobileNetV2 sets 0.999 in each of its batch norms."""


def keras_initialise(model: nn.Module, *, batch_norm_momentum: float = KERAS_MOMENTUM) -> None:
    """Fill `model` in place: Glorot-uniform weights, zero biases, batch norm with Keras's ε and momentum.

    Keras takes the fans of a depthwise kernel as (channels · k², k²) where torch takes (k², channels · k²):
    their sum, all that Glorot's bound needs, is the same.
    """
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, _BatchNorm):
            module.reset_parameters()
            module.eps, module.momentum = KERAS_EPS, batch_norm_momentum
