"""Shapes, parameter counts and poolings, against the paper's tables and timm's own network."""

import pytest
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st

from oddsound.config import FeatureConfig, ModelConfig
from oddsound.models.autoencoder import Autoencoder, context_vectors
from oddsound.models.backbones import BACKBONES, build_backbone
from oddsound.models.joint import JointModel
from oddsound.models.pooling import MeanMaxPool
from oddsound.models.projection import Projection

SMALL = ModelConfig(width=0.25, depth=0.5)


def test_context_vectors_of_a_known_spectrogram() -> None:
    x = torch.arange(2 * 7.0).reshape(1, 2, 7)  # bands 2, frames 7: band 0 is 0..6, band 1 is 7..13
    vectors = context_vectors(x, 5)
    assert vectors.shape == (1, 3, 10)
    assert vectors[0, 1].tolist() == [1, 8, 2, 9, 3, 10, 4, 11, 5, 12]


def test_a_ten_second_clip_gives_307_vectors_of_640() -> None:
    assert context_vectors(torch.zeros(1, 128, 311), 5).shape == (1, 307, 640)


def test_autoencoder_is_table_2() -> None:
    network = Autoencoder()
    shapes = [tuple(p.shape) for name, p in network.named_parameters() if p.ndim == 2]
    assert shapes == [
        *[(128, 640), (128, 128), (128, 128), (128, 128), (32, 128)],
        *[(128, 32), (128, 128), (128, 128), (128, 128), (640, 128)],
    ]
    linear = 640 * 128 + 3 * 128 * 128 + 128 * 32 + 32 * 128 + 3 * 128 * 128 + 128 * 640
    biases_and_norms = (8 * 128 + 32) * 3 + 640
    assert sum(p.numel() for p in network.parameters()) == linear + biases_and_norms
    reconstruction, code = network(torch.randn(4, 640))
    assert reconstruction.shape == (4, 640)
    assert code.shape == (4, 32)


def test_full_width_is_timms_efficientnet_b0() -> None:
    ours, channels = build_backbone(ModelConfig())
    reference = timm.create_model("efficientnet_b0", in_chans=1, num_classes=0)
    assert channels == 1280
    reference.load_state_dict(ours.state_dict())
    x = torch.randn(2, 1, 64, 33)
    with torch.inference_mode():
        torch.testing.assert_close(ours.eval()(x), reference.eval().forward_features(x), rtol=0, atol=0)
    assert sum(p.numel() for p in ours.parameters()) == 5_288_548 - 1_281_000 - 2 * 32 * 9


def test_every_registered_backbone_runs() -> None:
    for name in BACKBONES:
        network, channels = build_backbone(SMALL.model_copy(update={"backbone": name}))
        assert network(torch.randn(2, 1, 128, 61)).shape[:2] == (2, channels)


@given(st.integers(0, 1000))
def test_gamp_is_mean_over_bands_then_mean_plus_max_over_time(seed: int) -> None:
    x = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    pooled = MeanMaxPool()(x)
    for b in range(2):
        for c in range(3):
            over_time = [sum(x[b, c, f, t].item() for f in range(4)) / 4 for t in range(5)]
            assert pooled[b, c].item() == pytest.approx(sum(over_time) / 5 + max(over_time))


@pytest.mark.parametrize("normalise", ["none", "backbone", "projection"])
def test_projection_normalises_where_it_is_told(normalise: str) -> None:
    torch.manual_seed(0)
    projection = Projection(20, ModelConfig(normalise=normalise))  # type: ignore[arg-type]
    v_cnn, v_ae = torch.randn(3, 20), torch.randn(3, 32)
    u, p = projection(v_cnn, v_ae)
    assert u.shape == p.shape == (3, 256)
    unit = torch.allclose(u.norm(dim=1), torch.ones(3)) and torch.allclose(p.norm(dim=1), torch.ones(3))
    assert unit == (normalise == "projection")
    scaled, _ = projection(7 * v_cnn, v_ae)
    assert torch.allclose(scaled, u, atol=1e-5) == (normalise == "backbone")


def test_the_two_branches_share_one_mlp() -> None:
    projection = Projection(32, ModelConfig())
    projection.from_backbone.load_state_dict(projection.from_autoencoder.state_dict())
    v = torch.randn(3, 32)
    u, p = projection(v, v)
    assert torch.equal(u, p)


def test_joint_model_gives_what_it_says() -> None:
    model = JointModel(SMALL, FeatureConfig(), n_classes=4, n_frames=61)
    output = model(torch.randn(3, 128, 61))
    assert output.logits.shape == (3, 4)
    assert output.vectors.shape == output.reconstruction.shape == (3 * 57, 640)
    assert output.u.shape == output.p.shape == (3, 256)


def test_a_score_needs_neither_autoencoder_nor_projection() -> None:
    model = JointModel(SMALL, FeatureConfig(), n_classes=3, n_frames=61).eval()
    x = torch.randn(2, 128, 61)
    with torch.inference_mode():
        before = model.logits(x)
        for parameter in (*model.autoencoder.parameters(), *model.projection.parameters()):
            parameter.fill_(float("nan"))
        assert torch.equal(model.logits(x), before)
    scoring = (model.classifier.backbone, model.classifier.head)
    assert model.n_scoring_parameters() == sum(p.numel() for part in scoring for p in part.parameters())


def test_a_clip_is_paired_with_itself() -> None:
    """v_AE of each clip of a batch is that of the clip alone: pairs stay index-aligned."""
    torch.manual_seed(0)
    model = JointModel(SMALL, FeatureConfig(), n_classes=3, n_frames=61).eval()
    x = torch.randn(3, 128, 20)
    with torch.inference_mode():
        together = model(x)
        for i in range(3):
            alone = model(x[i : i + 1])
            torch.testing.assert_close(together.p[i], alone.p[0])
            torch.testing.assert_close(together.u[i], alone.u[0])


def test_training_and_scoring_see_the_same_logits() -> None:
    model = JointModel(SMALL, FeatureConfig(), n_classes=3, n_frames=61).eval()
    model.standardise.mean.fill_(-40.0)
    model.standardise.std.fill_(20.0)
    x = torch.randn(2, 128, 20) * 20 - 40
    with torch.inference_mode():
        torch.testing.assert_close(model(x).logits, model.logits(x), rtol=0, atol=0)


def test_every_parameter_is_in_exactly_one_group() -> None:
    model = JointModel(SMALL, FeatureConfig(), n_classes=3, n_frames=61)
    grouped = [id(p) for p in model.autoencoder_parameters() + model.backbone_parameters()]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters())


def test_standardise_does_nothing_until_it_is_set() -> None:
    model = JointModel(SMALL, FeatureConfig(), n_classes=3, n_frames=61)
    x = torch.randn(1, 128, 10)
    assert torch.equal(model.standardise(x), x)


def test_the_segment_view_is_one_vector_a_segment() -> None:
    """The authors' reading: 64 × 128 values into a bottleneck of 8."""
    config = SMALL.model_copy(update={"ae_view": "segment", "ae_bottleneck": 8})
    model = JointModel(config, FeatureConfig(), n_classes=3, n_frames=64)
    output = model(torch.randn(2, 128, 64))
    assert output.vectors.shape == (2, 8192)
    assert model.autoencoder.network.encoder[-1][0].out_features == 8
    x = torch.randn(2, 128, 64)
    assert model(x).vectors.reshape(2, 64, 128).transpose(1, 2).equal(x)


@pytest.mark.parametrize("architecture", ["classifier", "autoencoder"])
def test_a_baseline_has_only_its_own_branch(architecture: str) -> None:
    config = SMALL.model_copy(update={"architecture": architecture})
    model = JointModel(config, FeatureConfig(), n_classes=3, n_frames=20).eval()
    output = model(torch.randn(2, 128, 20))
    classifies = architecture == "classifier"
    assert (output.logits is None) != classifies
    assert (output.reconstruction is None) == classifies
    assert output.u is None and output.p is None
    assert model.classifies == classifies
    assert model.n_scoring_parameters() == sum(p.numel() for p in model.parameters())


def test_an_error_is_the_mean_square_over_a_segments_vectors() -> None:
    config = SMALL.model_copy(update={"architecture": "autoencoder"})
    model = JointModel(config, FeatureConfig(), n_classes=0, n_frames=20).eval()
    model.standardise.mean.fill_(0.5)
    model.standardise.std.fill_(2.0)
    x = torch.randn(3, 128, 20)
    output = model(x)
    for i in range(3):
        rows = slice(16 * i, 16 * (i + 1))
        own = ((output.reconstruction[rows] - output.vectors[rows]) ** 2).mean()
        torch.testing.assert_close(model.errors(x)[i], own)


@pytest.mark.parametrize(("backbone", "momentum"), [("mobilenetv2", 0.001), ("efficientnet_b0", 0.01)])
def test_keras_batch_norm_is_as_slow_as_the_network_has_it(backbone: str, momentum: float) -> None:
    settings = {"architecture": "classifier", "initialisation": "keras", "backbone": backbone, "width": 0.5}
    model = JointModel(ModelConfig.model_validate(settings), FeatureConfig(), n_classes=3, n_frames=64)
    norms = [m for m in model.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    assert {(norm.momentum, norm.eps) for norm in norms} == {(momentum, 1e-3)}
