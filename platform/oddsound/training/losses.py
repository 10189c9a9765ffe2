"""The losses: eq. 1 (reconstruction), eq. 2 (section), eq. 4 (contrastive) and eq. 5 (their sum)."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import reduce

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss

from oddsound.config import LossConfig
from oddsound.features.augment import Mix
from oddsound.models.joint import JointOutput


@dataclass(frozen=True)
class Losses:
    """Scalars of one batch. `total` is eq. 5; each term is before its weight, and None where the
    architecture has no such branch.
    """

    total: Tensor
    reconstruction: Tensor | None
    cross_entropy: Tensor | None
    contrastive: Tensor | None

    def terms(self) -> dict[str, Tensor]:
        """`total` and the terms that are there, by name."""
        named = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: value for name, value in named if value is not None}


def section_loss(logits: Tensor, target: Tensor, mix: Mix | None, hard_fraction: float = 1.0) -> Tensor:
    """eq. 2 for logits (batch, classes); under mixup λ·CE(y) + (1 − λ)·CE(y of the partner).

    Below 1, `hard_fraction` averages only the ⌈hard_fraction · batch⌉ samples of the highest (mixed)
    cross entropy: online hard example mining (Shrivastava et al. 2016). The others get no gradient.
    """
    if hard_fraction == 1:
        return _mixed_cross_entropy(logits, target, mix, "mean")
    each = _mixed_cross_entropy(logits, target, mix, "none")
    return each.topk(_n_hard(hard_fraction, len(each))).values.mean()


def contrastive_loss(u: Tensor, p: Tensor, rho: float) -> Tensor:
    """eq. 4 over pairs u, p of shape (batch, width), batch at least 2, as the mean over i of

        −log( exp(⟨u_i, p_i⟩/ρ) / Σ_{j≠i} exp(⟨u_i, p_j⟩/ρ) )

    The paper sums over i; the mean keeps the value independent of the batch's size. Computed as
    logsumexp_{j≠i} − s_ii: exponentials of 256-dim products over 0.07 overflow.
    """
    similarity = u @ p.T / rho
    return (_over_others(similarity) - similarity.diagonal()).mean()


def nt_xent_loss(u: Tensor, p: Tensor, rho: float) -> Tensor:
    """NT-Xent over pairs u, p of shape (batch, width): with z = [u; p], the mean over its rows i of

        −log( exp(⟨z_i, z_i'⟩/ρ) / Σ_{j≠i} exp(⟨z_i, z_j⟩/ρ) )      z_i' the partner of z_i

    SimCLR's loss, or SupCon with each pair as a class of its own: symmetric, and with the positive pair
    in the denominator, so unlike eq. 4 never below 0. The products are taken as they are; they are
    SimCLR's cosines where `model.normalise` is "projection".
    """
    z, n = torch.cat([u, p]), len(u)
    similarity = z @ z.T / rho
    partner = torch.cat([similarity.diagonal(n), similarity.diagonal(-n)])
    return (_over_others(similarity) - partner).mean()


def losses(output: JointOutput, target: Tensor, mix: Mix | None, config: LossConfig) -> Losses:
    """eq. 5, the weighted sum of L_unsup, L_sup and L_contrastive; target: (batch,) class indices.

    A term whose inputs `output` lacks is None and not in the sum; one of weight 0 is still reported.
    """
    reconstruction = section = contrastive = None
    if output.vectors is not None and output.reconstruction is not None:
        reconstruction = mse_loss(output.reconstruction, output.vectors)
    if output.logits is not None:
        section = section_loss(output.logits, target, mix, config.hard_fraction)
    if output.u is not None and output.p is not None:
        contrastive = _CONTRASTIVE[config.contrastive](output.u, output.p, config.rho)
    weighted = [
        weight * term
        for weight, term in (
            (config.reconstruction_weight, reconstruction),
            (config.section_weight, section),
            (config.contrastive_weight, contrastive),
        )
        if term is not None
    ]
    return Losses(reduce(operator.add, weighted), reconstruction, section, contrastive)


_CONTRASTIVE: Mapping[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "eq4": contrastive_loss,
    "nt_xent": nt_xent_loss,
}


def _over_others(similarity: Tensor) -> Tensor:
    """logsumexp of each row of (n, n) without its diagonal element: (n,)."""
    own = torch.eye(len(similarity), dtype=torch.bool, device=similarity.device)
    return similarity.masked_fill(own, -torch.inf).logsumexp(dim=1)


def _mixed_cross_entropy(logits: Tensor, target: Tensor, mix: Mix | None, reduction: str) -> Tensor:
    own = cross_entropy(logits, target, reduction=reduction)
    if mix is None:
        return own
    partners = cross_entropy(logits, target[mix.partner], reduction=reduction)
    return mix.weight * own + (1.0 - mix.weight) * partners


def _n_hard(fraction: float, n: int) -> int:
    """⌈fraction · n⌉, at least 1; 0.07 of 100 is 7 though the floating-point product is above it."""
    return max(1, math.ceil(round(fraction * n, 9)))
