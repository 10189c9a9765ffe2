"""eq. 1, 2, 4 and 5 against independent arithmetic in float64."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pytorch_metric_learning.losses import NTXentLoss, SupConLoss
from torch.nn.functional import cross_entropy, mse_loss, normalize

from oddsound.config import LossConfig
from oddsound.features.augment import Mix
from oddsound.models.joint import JointOutput
from oddsound.training.losses import contrastive_loss, losses, nt_xent_loss, section_loss


def dot(a: torch.Tensor, b: torch.Tensor) -> float:
    return math.fsum(x * y for x, y in zip(a.tolist(), b.tolist(), strict=True))


def eq4(u: torch.Tensor, p: torch.Tensor, rho: float) -> float:
    """The mean over i of eq. 4's summand, as it is printed."""
    total = 0.0
    for i in range(len(u)):
        denominator = math.fsum(math.exp(dot(u[i], p[j]) / rho) for j in range(len(p)) if j != i)
        total -= math.log(math.exp(dot(u[i], p[i]) / rho) / denominator)
    return total / len(u)


def nt_xent(u: torch.Tensor, p: torch.Tensor, rho: float) -> float:
    """The mean over both views of every pair of −log(positive / all others), as SimCLR prints it."""
    z = [*u, *p]
    total = 0.0
    for i in range(len(z)):
        positive = math.exp(dot(z[i], z[(i + len(u)) % len(z)]) / rho)
        others = math.fsum(math.exp(dot(z[i], z[k]) / rho) for k in range(len(z)) if k != i)
        total -= math.log(positive / others)
    return total / len(z)


def pairs(seed: int, n: int, width: int = 5) -> torch.Tensor:
    """(2, n, width) float64."""
    return torch.randn(2, n, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(seed=st.integers(0, 10_000), n=st.integers(2, 6), rho=st.floats(0.05, 1.0))
def test_contrastive_loss_is_eq4(seed: int, n: int, rho: float) -> None:
    u, p = pairs(seed, n)
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


@given(seed=st.integers(0, 10_000), n=st.integers(1, 6), rho=st.floats(0.05, 1.0))
def test_nt_xent_loss_is_the_double_loop(seed: int, n: int, rho: float) -> None:
    u, p = pairs(seed, n)
    assert nt_xent_loss(u, p, rho).item() == pytest.approx(nt_xent(u, p, rho), rel=1e-9, abs=1e-9)


@given(seed=st.integers(0, 10_000), n=st.integers(2, 16), rho=st.floats(0.05, 1.0))
def test_nt_xent_loss_is_metric_learnings_on_unit_vectors(seed: int, n: int, rho: float) -> None:
    u, p = normalize(pairs(seed, n, 8), dim=2)
    embeddings, labels = torch.cat([u, p]), torch.arange(n).repeat(2)
    ours = nt_xent_loss(u, p, rho).item()
    # Their logarithms have a small constant added, hence the tolerance.
    assert ours == pytest.approx(NTXentLoss(temperature=rho)(embeddings, labels).item(), abs=1e-6)
    assert ours == pytest.approx(SupConLoss(temperature=rho)(embeddings, labels).item(), abs=1e-6)


def test_nt_xent_loss_of_a_case_by_hand() -> None:
    u = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    # Each of the four has its partner at 1/0.5 and two at 0: log((e² + 2) / e²).
    assert nt_xent_loss(u, u, 0.5).item() == pytest.approx(math.log(1 + 2 * math.exp(-2)))


def test_nt_xent_loss_does_not_overflow_and_takes_products_as_they_are() -> None:
    u = torch.full((4, 256), 10.0)
    assert nt_xent_loss(u, u, 0.07).item() == pytest.approx(math.log(7), abs=0.05)
    v, w = pairs(0, 4).float()
    assert nt_xent_loss(3 * v, 3 * w, 0.9).item() == pytest.approx(nt_xent_loss(v, w, 0.1).item(), rel=1e-5)


@given(seed=st.integers(0, 1000))
def test_nt_xent_loss_is_symmetric_and_never_negative(seed: int) -> None:
    u, p = pairs(seed, 4).float()
    assert nt_xent_loss(u, p, 0.07).item() == pytest.approx(nt_xent_loss(p, u, 0.07).item(), rel=1e-5)
    assert nt_xent_loss(u, 5 * u, 0.07).item() >= 0


@pytest.mark.parametrize("loss", [contrastive_loss, nt_xent_loss])
def test_gradients_are_finite_where_exponentials_are_not(loss: Callable[..., torch.Tensor]) -> None:
    u, p = (100 * pairs(0, 8, 256).float()).requires_grad_()
    gradient = torch.autograd.grad(loss(u, p, 0.07), [u, p])
    assert all(torch.isfinite(part).all() for part in gradient)


def each_cross_entropy(logits: torch.Tensor, target: torch.Tensor) -> list[float]:
    rows = zip(logits.tolist(), target.tolist(), strict=True)
    return [math.log(math.fsum(math.exp(z) for z in row)) - row[y] for row, y in rows]


def mixed_cross_entropy(logits: torch.Tensor, target: torch.Tensor, mix: Mix) -> list[float]:
    own, other = each_cross_entropy(logits, target), each_cross_entropy(logits, target[mix.partner])
    return [mix.weight * a + (1 - mix.weight) * b for a, b in zip(own, other, strict=True)]


def batch(seed: int, n: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits (n, 3) in float64, their targets, and a partner for each."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(n, 3, generator=generator, dtype=torch.float64)
    return logits, torch.randint(3, (n,), generator=generator), torch.randperm(n, generator=generator)


@given(seed=st.integers(0, 1000), weight=st.floats(0, 1))
def test_section_loss_under_mixup(seed: int, weight: float) -> None:
    logits, target, partner = batch(seed, 4)
    mix = Mix(weight, partner)
    each = mixed_cross_entropy(logits, target, mix)
    assert section_loss(logits, target, mix).item() == pytest.approx(sum(each) / 4)
    plain = each_cross_entropy(logits, target)
    assert section_loss(logits, target, None).item() == pytest.approx(sum(plain) / 4)


@given(
    seed=st.integers(0, 1000),
    n=st.integers(2, 33),
    hundredths=st.integers(1, 99),
    weight=st.none() | st.floats(0, 1),
)
def test_hard_mining_averages_the_highest(seed: int, n: int, hundredths: int, weight: float | None) -> None:
    logits, target, partner = batch(seed, n)
    mix = None if weight is None else Mix(weight, partner)
    each = each_cross_entropy(logits, target) if mix is None else mixed_cross_entropy(logits, target, mix)
    n_hard = -(-hundredths * n // 100)  # the ceiling, in integers
    hardest = sorted(each)[-n_hard:]
    expected = math.fsum(hardest) / n_hard
    assert section_loss(logits, target, mix, hundredths / 100).item() == pytest.approx(expected, rel=1e-9)


def test_hard_mining_of_a_case_by_hand() -> None:
    # With two equal logits the cross entropy is log 2; with one far ahead it is 0 or the difference.
    logits = torch.tensor([[0.0, 0.0], [90.0, 0.0], [0.0, 90.0], [80.0, 0.0]])
    target = torch.tensor([0, 0, 0, 1])
    assert section_loss(logits, target, None, 0.25).item() == 90.0
    assert section_loss(logits, target, None, 0.5).item() == 85.0
    assert section_loss(logits, target, None, 0.51).item() == pytest.approx((170 + math.log(2)) / 3)
    assert section_loss(logits, target, None, 1e-12).item() == 90.0, "one sample at least"


def test_easy_samples_get_no_gradient() -> None:
    logits, target, _ = batch(0, 8)
    logits.requires_grad_()
    (gradient,) = torch.autograd.grad(section_loss(logits, target, None, 0.25), logits)
    each = torch.tensor(each_cross_entropy(logits, target))
    assert set(gradient.abs().sum(dim=1).nonzero().flatten().tolist()) == set(each.topk(2).indices.tolist())


@pytest.mark.parametrize("mixed", [False, True])
def test_a_hard_fraction_of_1_is_plain_cross_entropy_to_the_bit(mixed: bool) -> None:
    logits, target, partner = batch(0, 31)
    logits = logits.float()
    expected = cross_entropy(logits, target)
    if mixed:
        expected = 0.3 * expected + 0.7 * cross_entropy(logits, target[partner])
    mix = Mix(0.3, partner) if mixed else None
    assert torch.equal(section_loss(logits, target, mix, 1.0), expected)


TARGET = torch.tensor([0, 1, 2, 0])


def five_parts() -> list[torch.Tensor]:
    """logits, vectors, reconstruction, u, p of four clips."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(4, 3, generator=generator) for _ in range(5)]


@pytest.mark.parametrize(("name", "reference"), [("eq4", eq4), ("nt_xent", nt_xent)])
def test_total_is_eq5(name: str, reference: Callable[..., float]) -> None:
    logits, vectors, reconstruction, u, p = parts = five_parts()
    config = LossConfig.model_validate(
        {
            "contrastive": name,
            "rho": 0.5,
            "reconstruction_weight": 2,
            "section_weight": 0.5,
            "contrastive_weight": 0.25,
            "hard_fraction": 0.6,
        }
    )
    result = losses(JointOutput(*parts), TARGET, None, config)
    terms = {name: value.item() for name, value in result.terms().items()}
    assert list(terms) == ["total", "reconstruction", "cross_entropy", "contrastive"]
    assert terms["contrastive"] == pytest.approx(reference(u.double(), p.double(), 0.5), rel=1e-5)
    assert terms["reconstruction"] == pytest.approx(((reconstruction - vectors) ** 2).mean().item())
    hardest = sorted(each_cross_entropy(logits, TARGET))[-3:]
    assert terms["cross_entropy"] == pytest.approx(sum(hardest) / 3, rel=1e-5)
    assert terms["total"] == pytest.approx(
        2 * terms["reconstruction"] + 0.5 * terms["cross_entropy"] + 0.25 * terms["contrastive"], rel=1e-5
    )


def test_the_defaults_are_the_papers_to_the_bit() -> None:
    logits, vectors, reconstruction, u, p = parts = five_parts()
    result = losses(JointOutput(*parts), TARGET, None, LossConfig())
    expected = mse_loss(reconstruction, vectors) + cross_entropy(logits, TARGET)
    assert torch.equal(result.total, expected + contrastive_loss(u, p, 0.07))


def test_a_weight_of_0_is_out_of_the_total_and_still_reported() -> None:
    result = losses(JointOutput(*five_parts()), TARGET, None, LossConfig(contrastive_weight=0))
    terms = {name: value.item() for name, value in result.terms().items()}
    assert terms["contrastive"] != 0
    assert terms["total"] == pytest.approx(terms["reconstruction"] + terms["cross_entropy"])


@pytest.mark.parametrize(
    ("absent", "present"),
    [
        (("vectors", "reconstruction", "u", "p"), "cross_entropy"),  # the classifier
        (("logits", "u", "p"), "reconstruction"),  # the autoencoder
    ],
)
def test_a_branch_that_is_not_there_has_no_term(absent: tuple[str, ...], present: str) -> None:
    whole = JointOutput(*five_parts())
    result = losses(replace(whole, **dict.fromkeys(absent)), TARGET, None, LossConfig())
    terms = result.terms()
    assert list(terms) == ["total", present]
    assert torch.equal(terms["total"], terms[present])
    assert torch.equal(terms[present], losses(whole, TARGET, None, LossConfig()).terms()[present])
