"""eq. 1, 2, 4 and 5 against independent arithmetic in float64."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from oddsound.config import LossConfig
from oddsound.features.augment import Mix
from oddsound.models.joint import JointOutput
from oddsound.training.losses import contrastive_loss, losses, section_loss


def eq4(u: torch.Tensor, p: torch.Tensor, rho: float) -> float:
    """The mean over i of eq. 4's summand, as it is printed."""
    total = 0.0
    for i in range(len(u)):
        products = [
            math.fsum(a * b for a, b in zip(u[i].tolist(), p[j].tolist(), strict=True)) for j in range(len(p))
        ]
        denominator = math.fsum(math.exp(s / rho) for j, s in enumerate(products) if j != i)
        total -= math.log(math.exp(products[i] / rho) / denominator)
    return total / len(u)


@given(seed=st.integers(0, 10_000), n=st.integers(2, 6), rho=st.floats(0.05, 1.0))
def test_contrastive_loss_is_eq4(seed: int, n: int, rho: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    u, p = torch.randn(2, n, 5, generator=generator, dtype=torch.float64)
    assert contrastive_loss(u, p, rho).item() == pytest.approx(eq4(u, p, rho), rel=1e-9, abs=1e-9)


def test_contrastive_loss_of_a_case_by_hand() -> None:
    u = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    # s = [[1, 0], [0, 1]] / 0.5; −log(e² / e⁰) = −2 for both
    assert contrastive_loss(u, u, 0.5).item() == pytest.approx(-2.0)


def test_contrastive_loss_does_not_overflow() -> None:
    u = torch.full((4, 256), 10.0)
    assert contrastive_loss(u, u, 0.07).item() == pytest.approx(math.log(3), abs=0.01)


def test_anchors_are_the_backbones_and_keys_the_autoencoders() -> None:
    u, p = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert contrastive_loss(u, p, 0.3).item() != pytest.approx(contrastive_loss(p, u, 0.3).item())


@given(seed=st.integers(0, 1000), weight=st.floats(0, 1))
def test_section_loss_under_mixup(seed: int, weight: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    target = torch.tensor([0, 1, 2, 1])
    partner = torch.randperm(4, generator=generator)
    log_p = [[z - math.log(sum(math.exp(v) for v in row)) for z in row] for row in logits.tolist()]
    own = -sum(log_p[i][int(target[i])] for i in range(4)) / 4
    other = -sum(log_p[i][int(target[partner[i]])] for i in range(4)) / 4
    mixed = section_loss(logits, target, Mix(weight, partner)).item()
    assert mixed == pytest.approx(weight * own + (1 - weight) * other)
    assert section_loss(logits, target, None).item() == pytest.approx(own)


def test_total_is_eq5() -> None:
    generator = torch.Generator().manual_seed(0)
    output = JointOutput(*(torch.randn(4, 3, generator=generator) for _ in range(5)))
    result = losses(output, torch.tensor([0, 1, 2, 0]), None, LossConfig(rho=0.5, contrastive_weight=0.25))
    assert result.contrastive.item() == pytest.approx(
        eq4(output.u.double(), output.p.double(), 0.5), rel=1e-5
    )
    error = ((output.reconstruction - output.vectors) ** 2).mean()
    assert result.reconstruction.item() == pytest.approx(error.item())
    assert result.total.item() == pytest.approx(
        result.reconstruction.item() + result.cross_entropy.item() + 0.25 * result.contrastive.item(),
        rel=1e-6,
    )
