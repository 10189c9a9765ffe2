"""From the two branches to the space of the contrastive loss (§2.3)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import normalize

from oddsound.config import ModelConfig


class Projection(nn.Module):
    """A linear map for each branch to the same width, then one shared MLP with one hidden layer.

    `normalise` scales to unit length: what the branches give (`backbone`), what the MLP gives
    (`projection`), or nothing (`none`).
    """

    def __init__(self, n_backbone: int, config: ModelConfig) -> None:
        super().__init__()
        width = config.projection
        self.normalise = config.normalise
        self.from_backbone = nn.Linear(n_backbone, width)
        self.from_autoencoder = nn.Linear(config.ae_bottleneck, width)
        self.shared = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, v_cnn: Tensor, v_ae: Tensor) -> tuple[Tensor, Tensor]:
        """v_cnn: (batch, n_backbone), v_ae: (batch, bottleneck); gives u and p, both (batch, width)."""
        return self._project(v_cnn, self.from_backbone), self._project(v_ae, self.from_autoencoder)

    def _project(self, v: Tensor, linear: nn.Linear) -> Tensor:
        if self.normalise == "backbone":
            v = normalize(v, dim=1)
        z: Tensor = self.shared(linear(v))
        return normalize(z, dim=1) if self.normalise == "projection" else z
