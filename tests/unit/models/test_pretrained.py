"""Pretrained backbones give the features of the networks that their weights come from."""

from collections import OrderedDict
from functools import cache
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from tests.unit.models.references import efficientnet_features, random_b0
from torch import Tensor, nn
from torch.nn import functional as F

from oddsound.config import ModelConfig
from oddsound.models.backbones import build_backbone
from oddsound.models.pretrained import (
    ImportReport,
    backbone_bytes,
    first_block_sha256,
    imagenet_file,
    load_pretrained,
)

pytestmark = pytest.mark.long

NOISE = torch.randn(2, 1, 64, 45, generator=torch.Generator().manual_seed(0))
RGB = NOISE.expand(-1, 3, -1, -1)
N_LITE0, N_B0 = 294, 358
"""Tensors of the backbones, the counters of 49 batch norms among them; 64 are squeeze-excite's."""


def config_of(**settings: object) -> ModelConfig:
    return ModelConfig.model_validate(settings)


def loaded(path: Path, config: ModelConfig, **settings: float) -> tuple[nn.Module, ImportReport]:
    network, _ = build_backbone(config)
    report = load_pretrained(network, path, config, **settings)
    return network.eval(), report


def features(network: nn.Module, x: Tensor = NOISE) -> Tensor:
    with torch.inference_mode():
        maps: Tensor = network(x)
    return maps


def saved(state: object, path: Path) -> Path:
    torch.save(state, path)
    return path


@cache
def lite0() -> Tensor:
    """Of the reference, from the file as its authors wrote it, by its own names."""
    state = torch.load(imagenet_file(), weights_only=True)
    return efficientnet_features(state, RGB, F.relu6)


@pytest.mark.parametrize("channels", [1, 3])
def test_lite0_gives_its_features(channels: int) -> None:
    config = config_of(backbone="tf_efficientnet_lite0", pretrained="imagenet", input_channels=channels)
    network, report = loaded(imagenet_file(), config)
    assert lite0().mean() > 0.1
    assert (features(network) - lite0()).abs().max() < 1e-4 * lite0().abs().max()
    assert (len(report.loaded), report.missing, report.opened) == (N_LITE0, (), ())
    assert report.skipped == ("_fc.weight", "_fc.bias")
    assert report.fraction == 1


@pytest.mark.parametrize("gate_bias", [4.0, 40.0])
def test_b0_with_open_gates_gives_lite0s_features(gate_bias: float) -> None:
    config = config_of(backbone="tf_efficientnet_b0", pretrained="imagenet")
    network, report = loaded(imagenet_file(), config, gate_bias=gate_bias)
    assert (features(network) - lite0()).abs().max() < 1e-4 * lite0().abs().max()
    assert (len(report.loaded), len(report.opened), report.missing) == (N_LITE0, N_B0 - N_LITE0, ())
    assert report.fraction == pytest.approx(3_370_432 / 4_006_972)


def test_open_gates_train() -> None:
    network, _ = loaded(imagenet_file(), config_of(backbone="tf_efficientnet_b0", pretrained="imagenet"))
    network(NOISE).square().sum().backward()
    for name, parameter in network.named_parameters():
        if ".se.conv_expand." in name:
            assert parameter.grad is not None
            assert parameter.grad.abs().max() > 0, name


def test_some_row_of_an_opened_gate_passes_relu_whatever_comes_in() -> None:
    network, _ = loaded(imagenet_file(), config_of(backbone="tf_efficientnet_b0", pretrained="imagenet"))
    generator = torch.Generator().manual_seed(0)
    for name, weight in network.state_dict().items():
        if name.endswith("se.conv_reduce.weight"):
            squeezed = torch.randn(weight.shape[1], 64, generator=generator)
            assert ((weight.flatten(1) @ squeezed).amax(dim=0) > 0).all(), name


def test_efficientnet_pytorch_b0_gives_its_features(tmp_path: Path) -> None:
    state = random_b0(seed=1)
    path = saved(state, tmp_path / "b0.pth")
    network, report = loaded(path, config_of(backbone="tf_efficientnet_b0"))
    reference = efficientnet_features(state, RGB, F.silu)
    assert reference.abs().max() > 5
    assert (features(network) - reference).abs().max() < 1e-4 * reference.abs().max()
    assert (report.naming, len(report.loaded), report.missing) == ("efficientnet_pytorch", N_B0, ())


def test_efficientnet_pytorch_of_one_channel(tmp_path: Path) -> None:
    """An AudioSet checkpoint's stem: as it is for one channel, a third each for three."""
    state = random_b0(seed=2, channels=1)
    path = saved(state, tmp_path / "audioset.pth")
    reference = efficientnet_features(state, NOISE, F.silu)
    for channels in (1, 3):
        network, _ = loaded(path, config_of(backbone="tf_efficientnet_b0", input_channels=channels))
        assert (features(network) - reference).abs().max() < 1e-4 * reference.abs().max()


def test_torchvision_b0_gives_its_features(tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = torchvision.models.efficientnet_b0(weights=None).eval()
    disturb_statistics(theirs)
    path = saved(theirs.state_dict(), tmp_path / "torchvision.pth")
    network, report = loaded(path, config_of(input_channels=3))
    torch.testing.assert_close(features(network), features(theirs.features, RGB), rtol=1e-5, atol=1e-5)
    network, _ = loaded(path, config_of())
    torch.testing.assert_close(features(network), features(theirs.features, RGB), rtol=1e-3, atol=1e-4)
    assert (report.naming, len(report.loaded), report.missing) == ("torchvision", N_B0, ())
    assert report.skipped == ("classifier.1.weight", "classifier.1.bias")


@pytest.mark.parametrize("name", ["efficientnet_b0", "tf_efficientnet_b0", "tf_efficientnet_lite0"])
def test_timm_gives_its_features(name: str, tmp_path: Path) -> None:
    theirs = timm.create_model(name, in_chans=1).eval()
    disturb_statistics(theirs)
    network, report = loaded(saved(theirs.state_dict(), tmp_path / "timm.pth"), config_of(backbone=name))
    assert torch.equal(features(network), features(theirs.forward_features))
    assert (report.naming, report.skipped) == ("timm", ("classifier.weight", "classifier.bias"))


def test_a_wider_and_deeper_network_by_its_multipliers(tmp_path: Path) -> None:
    """EfficientNet-B2 is B0 with width 1.1 and depth 1.2."""
    theirs = torchvision.models.efficientnet_b2(weights=None).eval()
    path = saved(theirs.state_dict(), tmp_path / "b2.pth")
    network, report = loaded(path, config_of(width=1.1, depth=1.2, input_channels=3))
    torch.testing.assert_close(features(network), features(theirs.features, RGB), rtol=1e-5, atol=1e-5)
    assert report.fraction == 1


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "model_state_dict", "net"])
@pytest.mark.parametrize("prefix", ["", "module.", "backbone.", "encoder.", "module.effnet."])
def test_wrappers_and_prefixes_are_taken_off(wrapper: str, prefix: str, tmp_path: Path) -> None:
    config = config_of(width=0.1, depth=0.3)
    source, _ = build_backbone(config)
    state = OrderedDict((f"{prefix}{name}", tensor) for name, tensor in source.state_dict().items())
    state["head.weight"] = torch.zeros(3, 128)
    path = saved({wrapper: state, "epoch": 3, "optimizer": {"lr": 0.1}}, tmp_path / "checkpoint.pt")
    network, report = loaded(path, config)
    assert torch.equal(features(network), features(source.eval()))
    assert report.skipped == ("head.weight",)
    assert all(name in network.state_dict() for name in report.loaded)


def test_counters_of_batch_norms_may_be_absent(tmp_path: Path) -> None:
    config = config_of(width=0.1, depth=0.3)
    source, _ = build_backbone(config)
    state = {n: t for n, t in source.state_dict().items() if not n.endswith("num_batches_tracked")}
    network, report = loaded(saved(state, tmp_path / "old.pth"), config)
    assert torch.equal(features(network), features(source.eval()))
    assert report.missing == ()


def test_layout_and_type_of_the_network_stay() -> None:
    config = config_of(backbone="tf_efficientnet_lite0", pretrained="imagenet")
    network, _ = build_backbone(config)
    network = network.to(torch.bfloat16, memory_format=torch.channels_last)  # type: ignore[call-overload]
    load_pretrained(network, imagenet_file(), config)
    kernel = network.blocks[1][0].conv_pw.weight  # type: ignore[index, union-attr]
    assert kernel.dtype == torch.bfloat16
    assert kernel.is_contiguous(memory_format=torch.channels_last)
    assert kernel.requires_grad


@pytest.mark.parametrize("backbone", ["tf_efficientnet_lite0", "tf_efficientnet_b0"])
def test_first_block_tells_weights_apart_and_not_layouts_or_seeds(backbone: str) -> None:
    config = config_of(backbone=backbone, pretrained="imagenet")
    network, _ = loaded(imagenet_file(), config)
    digest = first_block_sha256(network)
    assert len(digest) == 64
    assert first_block_sha256(loaded(imagenet_file(), config)[0]) == digest
    assert first_block_sha256(network.to(memory_format=torch.channels_last)) == digest  # type: ignore[call-overload]
    assert first_block_sha256(build_backbone(config)[0]) != digest
    with torch.no_grad():
        network.conv_head.weight.zero_()  # type: ignore[union-attr, operator]
        assert first_block_sha256(network) == digest
        network.blocks[0][0].bn2.running_var[0] += 1e-3  # type: ignore[index, union-attr, operator]
        assert first_block_sha256(network) != digest


@pytest.mark.parametrize(
    "name", ["efficientnet_b0", "tf_efficientnet_b0", "tf_efficientnet_lite0", "mobilenetv2"]
)
def test_our_own_file_goes_round(name: str, tmp_path: Path) -> None:
    config = config_of(backbone=name, width=0.1, depth=0.3)
    source, _ = build_backbone(config)
    source = source.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    path = tmp_path / "backbone.safetensors"
    path.write_bytes(backbone_bytes(source, config))
    network, report = loaded(path, config)
    assert all(
        torch.equal(a, b)
        for a, b in zip(network.state_dict().values(), source.state_dict().values(), strict=True)
    )
    assert (report.naming, report.skipped, report.missing, report.fraction) == ("oddsound", (), (), 1)


def test_the_report_reads_well() -> None:
    _, report = loaded(imagenet_file(), config_of(backbone="tf_efficientnet_b0", pretrained="imagenet"))
    assert str(report).splitlines() == [
        "294 tensors loaded by efficientnet_pytorch's names, 84.1% of the parameters",
        "2 skipped, not the backbone's: _fc.weight, _fc.bias",
        "64 set so that squeeze-excite begins open: blocks.0.0.se.conv_reduce.weight, "
        "blocks.0.0.se.conv_reduce.bias, blocks.0.0.se.conv_expand.weight and 61 more",
    ]


def disturb_statistics(network: nn.Module) -> None:
    """Running means and variances of fresh batch norms are 0 and 1; a swap of two wouldn't show."""
    generator = torch.Generator().manual_seed(5)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for tensor, least in ((norm.running_mean, -0.1), (norm.running_var, 0.9)):
                assert tensor is not None
                tensor.copy_(torch.rand(tensor.shape, generator=generator) * 0.2 + least)
