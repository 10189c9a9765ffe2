"""The losses: eq. 1 (reconstruction), eq. 2 (section), eq. 4 (contrastive) and eq. 5 (their sum)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss

from oddsound.config import LossConfig
from oddsound.features.augment import Mix
from oddsound.models.joint import JointOutput


@dataclass(frozen=True)
class Losses:
    """Scalars of one batch; `total` is eq. 5."""

    total: Tensor
    reconstruction: Tensor
    cross_entropy: Tensor
    contrastive: Tensor


def section_loss(logits: Tensor, target: Tensor, mix: Mix | None) -> Tensor:
    """eq. 2 for logits (batch, classes); under mixup λ·CE(y) + (1 − λ)·CE(y of the partner)."""
    own = cross_entropy(logits, target)
    if mix is None:
        return own
    return mix.weight * own + (1.0 - mix.weight) * cross_entropy(logits, target[mix.partner])


def contrastive_loss(u: Tensor, p: Tensor, rho: float) -> Tensor:
    """eq. 4 over pairs u, p of shape (batch, width), batch at least 2, as the mean over i of

        −log( exp(⟨u_i, p_i⟩/ρ) / Σ_{j≠i} exp(⟨u_i, p_j⟩/ρ) )

    The paper sums over i; the mean keeps the value independent of the batch's size. Computed as
    logsumexp_{j≠i} − s_ii: exponentials of 256-dim products over 0.07 overflow.
    """
    similarity = u @ p.T / rho
    own = torch.eye(len(u), dtype=torch.bool, device=u.device)
    others = similarity.masked_fill(own, -torch.inf).logsumexp(dim=1)
    return (others - similarity.diagonal()).mean()


def losses(output: JointOutput, target: Tensor, mix: Mix | None, config: LossConfig) -> Losses:
    """eq. 5: L_unsup + L_sup + weight · L_contrastive; target: (batch,) section indices."""
    reconstruction = mse_loss(output.reconstruction, output.vectors)
    section = section_loss(output.logits, target, mix)
    contrastive = contrastive_loss(output.u, output.p, config.rho)
    total = reconstruction + section + config.contrastive_weight * contrastive
    return Losses(total, reconstruction, section, contrastive)
