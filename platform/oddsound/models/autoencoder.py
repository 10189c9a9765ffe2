"""The autoencoder (§2.1, Table 2): 640 → 4 × 128 → 32 → 4 × 128 → 640.

Each input vector is `context` consecutive log-mel frames; every layer but the last is
Linear + BatchNorm + ReLU.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

N_BLOCKS = 4


def context_vectors(x: Tensor, context: int) -> Tensor:
    """(batch, bands, time) to (batch, time − context + 1, context · bands), frame after frame."""
    return x.unfold(2, context, 1).permute(0, 2, 3, 1).flatten(2)


class Autoencoder(nn.Module):
    """(n, inputs) to its reconstruction (n, inputs) and its bottleneck (n, bottleneck)."""

    def __init__(self, inputs: int = 640, hidden: int = 128, bottleneck: int = 32) -> None:
        super().__init__()
        widths = [inputs] + [hidden] * N_BLOCKS
        self.encoder = nn.Sequential(*_blocks(widths), _block(hidden, bottleneck))
        self.decoder = nn.Sequential(*_blocks([bottleneck] + [hidden] * N_BLOCKS), nn.Linear(hidden, inputs))

    def forward(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        code = self.encoder(vectors)
        return self.decoder(code), code


def _blocks(widths: list[int]) -> list[nn.Module]:
    return [_block(i, o) for i, o in pairwise(widths)]


def _block(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU())
