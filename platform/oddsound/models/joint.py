"""The joint model of Figure 1: an autoencoder and a backbone under one contrastive loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from oddsound.config import FeatureConfig, ModelConfig
from oddsound.models.autoencoder import Autoencoder, context_vectors
from oddsound.models.backbones import build_backbone
from oddsound.models.pooling import MeanMaxPool
from oddsound.models.projection import Projection


@dataclass(frozen=True)
class JointOutput:
    """logits: (batch, classes); vectors, reconstruction: (batch · V, inputs); u, p: (batch, width)."""

    logits: Tensor
    vectors: Tensor
    reconstruction: Tensor
    u: Tensor
    p: Tensor


class Standardise(nn.Module):
    """(batch, bands, time) minus `mean`, over `std`, per band; does nothing until they are set."""

    mean: Tensor
    std: Tensor

    def __init__(self, n_mels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_mels, 1))
        self.register_buffer("std", torch.ones(n_mels, 1))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


class JointModel(nn.Module):
    """Takes log-mels (batch, bands, time) in dB. `logits` alone is what scores a clip (§3.2).

    `bfloat16` runs the backbone's convolutions under autocast; everything after them is float32.
    """

    def __init__(
        self, config: ModelConfig, features: FeatureConfig, n_classes: int, *, bfloat16: bool = False
    ) -> None:
        super().__init__()
        self.autocast = bfloat16
        self.context = config.ae_context
        self.standardise = Standardise(features.n_mels)
        self.autoencoder = Autoencoder(
            config.ae_context * features.n_mels, config.ae_hidden, config.ae_bottleneck
        )
        backbone, width = build_backbone(config)
        # On CPU a third faster than contiguous channels; the values are the same but for rounding.
        self.backbone = backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.pool = MeanMaxPool()
        self.head = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(width, n_classes))
        self.projection = Projection(width, config)

    def forward(self, x: Tensor) -> JointOutput:
        x = self.standardise(x)
        pooled = self._pooled(x)
        vectors = context_vectors(x, self.context)
        reconstruction, code = self.autoencoder(vectors.flatten(0, 1))
        v_ae = code.unflatten(0, vectors.shape[:2]).mean(dim=1)
        u, p = self.projection(pooled, v_ae)
        return JointOutput(self.head(pooled), vectors.flatten(0, 1), reconstruction, u, p)

    def logits(self, x: Tensor) -> Tensor:
        """(batch, bands, time) to (batch, classes)."""
        logits: Tensor = self.head(self._pooled(self.standardise(x)))
        return logits

    def n_scoring_parameters(self) -> int:
        """Parameters of what scores a clip: backbone and head."""
        return sum(p.numel() for part in (self.backbone, self.head) for p in part.parameters())

    def autoencoder_parameters(self) -> list[nn.Parameter]:
        return list(self.autoencoder.parameters())

    def backbone_parameters(self) -> list[nn.Parameter]:
        """All that is not the autoencoder's: backbone, head and projections."""
        own = {id(p) for p in self.autoencoder.parameters()}
        return [p for p in self.parameters() if id(p) not in own]

    def _pooled(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=self.autocast):
            maps = self.backbone(x.unsqueeze(1))
        pooled: Tensor = self.pool(maps.float())
        return pooled
