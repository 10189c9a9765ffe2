"""The joint model of Figure 1: an autoencoder and a backbone under one contrastive loss.

`model.architecture` can leave one of the two out, which gives the networks of the two baselines.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from oddsound.config import FeatureConfig, ModelConfig
from oddsound.models.autoencoder import Autoencoder, context_vectors
from oddsound.models.backbones import build_backbone
from oddsound.models.initialise import KERAS_MOBILENETV2_MOMENTUM, KERAS_MOMENTUM, keras_initialise
from oddsound.models.pooling import build_pool
from oddsound.models.projection import Projection


@dataclass(frozen=True)
class JointOutput:
    """logits: (batch, classes); vectors, reconstruction: (batch · V, inputs); u, p: (batch, width).

    None is what the architecture doesn't have.
    """

    logits: Tensor | None = None
    vectors: Tensor | None = None
    reconstruction: Tensor | None = None
    u: Tensor | None = None
    p: Tensor | None = None


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

    def fit(self, features: NDArray[np.floating], rows: NDArray[np.intp]) -> None:
        """Mean and standard deviation of each band over the frames of `features[rows]`, which is
        (clips, bands, time); clip by clip, for it may be 2 GB."""
        mean = sum(features[row].mean(axis=1, dtype=np.float64) for row in rows) / len(rows)
        squares = sum(((features[row] - mean[:, None]) ** 2).mean(axis=1) for row in rows)
        self.mean.copy_(torch.from_numpy(mean)[:, None])
        self.std.copy_(torch.from_numpy(np.maximum(np.sqrt(squares / len(rows)), 1e-3))[:, None])


class Classifier(nn.Module):
    """Backbone, pooling and head: (batch, bands, time) to pooled (batch, width) and logits.

    `bfloat16` runs the backbone's convolutions under autocast; everything after them is float32.
    """

    def __init__(self, config: ModelConfig, n_classes: int, *, bfloat16: bool = False) -> None:
        super().__init__()
        self.autocast = bfloat16
        backbone, channels = build_backbone(config)
        # On CPU a third faster than contiguous channels; the values are the same but for rounding.
        self.backbone = backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.pool, self.width = build_pool(config.pooling, channels)
        self.head = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(self.width, n_classes))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=self.autocast):
            maps = self.backbone(x.unsqueeze(1))
        pooled: Tensor = self.pool(maps.float())
        return pooled, self.head(pooled)


class Reconstructor(nn.Module):
    """The autoencoder on vectors of `context` frames, or on whole segments (§2.1)."""

    def __init__(self, config: ModelConfig, n_mels: int, n_frames: int) -> None:
        super().__init__()
        self.context = n_frames if config.ae_view == "segment" else config.ae_context
        self.network = Autoencoder(self.context * n_mels, config.ae_hidden, config.ae_bottleneck)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(batch, bands, time) to vectors and their reconstruction, both (batch · V, inputs), and v_AE:
        the mean bottleneck of each segment's V vectors, (batch, bottleneck)."""
        vectors = context_vectors(x, self.context)
        flat = vectors.flatten(0, 1)
        reconstruction, code = self.network(flat)
        return flat, reconstruction, code.unflatten(0, vectors.shape[:2]).mean(dim=1)


class JointModel(nn.Module):
    """Takes log-mels (batch, bands, `n_frames`) in dB; whole clips or segments of them."""

    def __init__(
        self,
        config: ModelConfig,
        features: FeatureConfig,
        n_classes: int,
        n_frames: int,
        *,
        bfloat16: bool = False,
    ) -> None:
        super().__init__()
        joint = config.architecture == "joint"
        self.standardise = Standardise(features.n_mels)
        self.autoencoder: Reconstructor | None = None
        self.classifier: Classifier | None = None
        self.projection: Projection | None = None
        if joint or config.architecture == "autoencoder":
            self.autoencoder = Reconstructor(config, features.n_mels, n_frames)
        if joint or config.architecture == "classifier":
            self.classifier = Classifier(config, n_classes, bfloat16=bfloat16)
        if joint and self.classifier is not None:
            self.projection = Projection(self.classifier.width, config)
        if config.initialisation == "keras":
            slow = self.classifier is not None and config.backbone == "mobilenetv2"
            momentum = KERAS_MOBILENETV2_MOMENTUM if slow else KERAS_MOMENTUM
            keras_initialise(self, batch_norm_momentum=momentum)

    @property
    def classifies(self) -> bool:
        """Whether there are logits to score by; else it is the reconstruction's error."""
        return self.classifier is not None

    def forward(self, x: Tensor) -> JointOutput:
        x = self.standardise(x)
        pooled, logits = self.classifier(x) if self.classifier is not None else (None, None)
        vectors, reconstruction, v_ae = self.autoencoder(x) if self.autoencoder is not None else (None,) * 3
        u, p = self.projection(pooled, v_ae) if self.projection is not None else (None, None)
        return JointOutput(logits, vectors, reconstruction, u, p)

    def logits(self, x: Tensor) -> Tensor:
        """(batch, bands, time) to (batch, classes); the autoencoder is dropped (§3.2)."""
        assert self.classifier is not None
        logits: Tensor = self.classifier(self.standardise(x))[1]
        return logits

    def errors(self, x: Tensor) -> Tensor:
        """(batch, bands, time) to the mean squared error of each reconstruction, (batch,)."""
        assert self.autoencoder is not None
        vectors, reconstruction, _ = self.autoencoder(self.standardise(x))
        errors: Tensor = (reconstruction - vectors).square().reshape(len(x), -1).mean(dim=1)
        return errors

    def n_scoring_parameters(self) -> int:
        """Parameters of what scores a clip."""
        scoring = self.classifier if self.classifier is not None else self.autoencoder
        assert scoring is not None
        return sum(p.numel() for p in scoring.parameters())

    def autoencoder_parameters(self) -> list[nn.Parameter]:
        return [] if self.autoencoder is None else list(self.autoencoder.parameters())

    def backbone_parameters(self) -> list[nn.Parameter]:
        """All that is not the autoencoder's: backbone, head and projections."""
        own = {id(p) for p in self.autoencoder_parameters()}
        return [p for p in self.parameters() if id(p) not in own]
