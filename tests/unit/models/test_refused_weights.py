"""Weights that would make another network than they were trained in, or run code, are refused."""

import os
import pickle
import random
import warnings
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from tests.unit.models.references import random_b0
from torch import Tensor

from oddsound.config import ModelConfig
from oddsound.errors import ConfigError, WeightsError
from oddsound.models.backbones import build_backbone
from oddsound.models.initialise import keras_initialise
from oddsound.models.pretrained import backbone_bytes, check_imagenet, imagenet_file, load_pretrained

pytestmark = pytest.mark.long

SMALL = {"width": 0.1, "depth": 0.3}


def config_of(**settings: object) -> ModelConfig:
    return ModelConfig.model_validate(settings)


def state_of(**settings: object) -> dict[str, Tensor]:
    return dict(build_backbone(config_of(**settings))[0].state_dict())


def saved(state: object, path: Path) -> Path:
    torch.save(state, path)
    return path


def refusal(path: Path, **settings: object) -> str:
    """What `load_pretrained` says; the network is as it was, and the message is one line with the path."""
    config = config_of(**settings)
    network, _ = build_backbone(config)
    before = [tensor.clone() for tensor in network.state_dict().values()]
    with pytest.raises(WeightsError) as caught:
        load_pretrained(network, path, config)
    assert all(torch.equal(a, b) for a, b in zip(network.state_dict().values(), before, strict=True))
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


class Touch:
    """A pickle that would create a file where it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_would_run_code_is_refused_and_does_not(zipped: bool, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    path = tmp_path / "unsafe.pth"
    content = {"state_dict": state_of(**SMALL), "trap": Touch(trace)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    assert "only its own code could make" in refusal(path, **SMALL)
    assert not trace.exists()
    torch.load(path, weights_only=False)
    assert trace.exists()


def test_a_plain_pickle_that_would_run_code(tmp_path: Path) -> None:
    path = tmp_path / "unsafe.pkl"
    path.write_bytes(pickle.dumps(Touch(tmp_path / "trace")))
    refusal(path, **SMALL)
    assert not (tmp_path / "trace").exists()


def test_a_whole_pickled_network_is_refused(tmp_path: Path) -> None:
    path = saved(torch.nn.Sequential(torch.nn.Linear(1, 1)), tmp_path / "network.pt")
    assert "save the state dict alone" in refusal(path, **SMALL)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_truncated_file_is_refused(suffix: str, share: float, tmp_path: Path) -> None:
    whole = tmp_path / f"whole{suffix}"
    save_file(state_of(**SMALL), whole) if suffix == ".safetensors" else torch.save(state_of(**SMALL), whole)
    content = whole.read_bytes()
    path = tmp_path / f"damaged{suffix}"
    path.write_bytes(content[: int(len(content) * share)])
    assert "damaged" in refusal(path, **SMALL)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_noise_is_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"noise{suffix}"
    path.write_bytes(random.Random(0).randbytes(5000))
    assert "damaged" in refusal(path, **SMALL)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "nothing.pth", **SMALL)
    assert "no such file" in refusal(tmp_path, **SMALL)


@pytest.mark.parametrize("content", [{}, [1, 2], {"epoch": 3}, {"state_dict": {}}, torch.zeros(3)])
def test_a_file_without_named_tensors(content: object, tmp_path: Path) -> None:
    assert "holds no tensors by name" in refusal(saved(content, tmp_path / "x.pth"), **SMALL)


def test_another_network_altogether(tmp_path: Path) -> None:
    state = torchvision.models.resnet18(weights=None).state_dict()
    message = refusal(saved(state, tmp_path / "resnet.pth"))
    assert "no stem" in message
    assert "timm, efficientnet_pytorch, torchvision" in message


def test_two_networks_in_one_file(tmp_path: Path) -> None:
    state = {f"{prefix}{n}": t for prefix in ("student.", "teacher.") for n, t in state_of(**SMALL).items()}
    message = refusal(saved(state, tmp_path / "two.pth"), **SMALL)
    assert "student. (timm) and teacher. (timm)" in message


def test_too_little_overlap(tmp_path: Path) -> None:
    state = {n: t for n, t in state_of().items() if not n.startswith(("blocks.6.", "conv_head."))}
    message = refusal(saved(state, tmp_path / "part.pth"))
    assert "fills only 71.9% of efficientnet_b0's parameters" in message
    assert "blocks.6.0.conv_pw.weight" in message


def test_a_few_missing_tensors_are_reported(tmp_path: Path) -> None:
    state = state_of(**SMALL)
    del state["bn2.bias"]
    config = config_of(**SMALL)
    report = load_pretrained(build_backbone(config)[0], saved(state, tmp_path / "x.pth"), config)
    assert report.missing == ("bn2.bias",)
    assert 0.9 < report.fraction < 1


def test_another_width(tmp_path: Path) -> None:
    message = refusal(saved(state_of(), tmp_path / "b0.pth"), width=0.5)
    assert "conv_stem.weight has the shape (32, 1, 3, 3)" in message
    assert "efficientnet_b0 of width 0.5 and depth 1 needs (16, 1, 3, 3)" in message


def test_another_depth(tmp_path: Path) -> None:
    message = refusal(saved(state_of(), tmp_path / "b0.pth"), depth=0.5)
    assert "have no place in efficientnet_b0 of width 1 and depth 0.5, blocks.1.1." in message


def test_squeeze_excite_has_no_place_in_lite0(tmp_path: Path) -> None:
    path = saved(random_b0(seed=0), tmp_path / "b0.pth")
    assert "64 tensors of a backbone have no place" in refusal(path, backbone="tf_efficientnet_lite0")


def test_efficientnet_pytorchs_names_need_a_tf_backbone(tmp_path: Path) -> None:
    path = saved(random_b0(seed=0), tmp_path / "b0.pth")
    message = refusal(path, backbone="efficientnet_b0")
    assert "need a network with batch-norm eps 0.001 and asymmetric padding" in message
    assert "efficientnet_b0 has batch-norm eps 1e-05 and symmetric padding here" in message
    assert "set model.backbone to tf_efficientnet_b0 or tf_efficientnet_lite0" in message


def test_torchvisions_names_need_efficientnet_b0(tmp_path: Path) -> None:
    path = saved(torchvision.models.efficientnet_b0(weights=None).state_dict(), tmp_path / "b0.pth")
    for backbone in ("tf_efficientnet_b0", "mobilenetv2"):
        assert "set model.backbone to efficientnet_b0" in refusal(path, backbone=backbone)


def test_no_backbone_is_torchvisions_mobilenetv2(tmp_path: Path) -> None:
    path = saved(torchvision.models.mobilenet_v2(weights=None).state_dict(), tmp_path / "v2.pth")
    assert "torchvision's MobileNetV2 has batch-norm eps 1e-05" in refusal(path, backbone="mobilenetv2")


def test_keras_eps_is_not_torchvisions(tmp_path: Path) -> None:
    path = saved(torchvision.models.efficientnet_b0(weights=None).state_dict(), tmp_path / "b0.pth")
    network, _ = build_backbone(config_of())
    keras_initialise(network)
    with pytest.raises(WeightsError, match=r"model\.initialisation to torch"):
        load_pretrained(network, path, config_of())


def test_keras_eps_without_its_padding_is_not_tensorflows(tmp_path: Path) -> None:
    path = saved(random_b0(seed=0), tmp_path / "b0.pth")
    network, _ = build_backbone(config_of())
    keras_initialise(network)
    with pytest.raises(WeightsError, match=r"has batch-norm eps 0\.001 and symmetric padding here"):
        load_pretrained(network, path, config_of())


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_numbers_that_are_none(bad: float, tmp_path: Path) -> None:
    state = state_of(**SMALL)
    state["bn1.weight"][0] = bad
    assert "bn1.weight holds numbers" in refusal(saved(state, tmp_path / "nan.pth"), **SMALL)


def test_integers_are_no_weights(tmp_path: Path) -> None:
    state = state_of(**SMALL)
    state["bn1.weight"] = state["bn1.weight"].to(torch.int8)
    assert "torch.int8" in refusal(saved(state, tmp_path / "quantised.pth"), **SMALL)


@pytest.mark.parametrize("backbone", ["efficientnet_b0", "mobilenetv2"])
def test_imagenet_names_the_two_backbones_that_take_it(backbone: str) -> None:
    config = config_of(backbone=backbone, pretrained="imagenet")
    for refuses in (
        lambda: check_imagenet(config),
        lambda: load_pretrained(build_backbone(config)[0], imagenet_file(), config),
    ):
        with pytest.raises(
            ConfigError, match=r"set model\.backbone to tf_efficientnet_lite0 or tf_efficientnet_b0"
        ):
            refuses()


def test_imagenet_is_a_whole_network() -> None:
    config = config_of(backbone="tf_efficientnet_lite0", pretrained="imagenet", width=0.5)
    with pytest.raises(ConfigError, match=r"not of model\.width 0\.5 and model\.depth 1; set both to 1"):
        check_imagenet(config)


def test_lite0s_file_by_its_path_needs_relu6_said(tmp_path: Path) -> None:
    message = refusal(imagenet_file(), backbone="tf_efficientnet_b0")
    assert "set model.activation to relu6" in message
    for activation in ("relu6", "swish"):
        config = config_of(backbone="tf_efficientnet_b0", activation=activation)
        assert load_pretrained(build_backbone(config)[0], imagenet_file(), config).opened


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ({"backbone": "tf_efficientnet_b0"}, "set model.backbone to efficientnet_b0"),
        ({"width": 0.2}, "set model.width to 0.1"),
        ({"depth": 0.5}, "set model.depth to 0.3"),
        ({"input_channels": 3}, "set model.input_channels to 1"),
        ({"activation": "relu6"}, "set model.activation to swish"),
        ({"width": 0.2, "depth": 0.5}, "set model.width to 0.1, model.depth to 0.3"),
    ],
)
def test_our_own_file_says_what_to_set(settings: dict[str, object], remedy: str, tmp_path: Path) -> None:
    config = config_of(**SMALL)
    path = tmp_path / "backbone.safetensors"
    path.write_bytes(backbone_bytes(build_backbone(config)[0], config))
    assert refusal(path, **{**SMALL, **settings}).endswith(remedy)


def test_our_own_file_of_another_eps(tmp_path: Path) -> None:
    config = config_of(**SMALL)
    network, _ = build_backbone(config)
    keras_initialise(network)
    path = tmp_path / "backbone.safetensors"
    path.write_bytes(backbone_bytes(network, config))
    assert refusal(path, **SMALL).endswith("set model.initialisation to keras")
    assert load_pretrained(network, path, config).fraction == 1


def test_our_own_file_is_whole_and_of_this_format(tmp_path: Path) -> None:
    state = state_of(**SMALL)
    metadata = {"format": "oddsound-backbone-99"}
    save_file(state, tmp_path / "new.safetensors", metadata)
    assert "use the oddsound that wrote it" in refusal(tmp_path / "new.safetensors", **SMALL)
    metadata = {
        "format": "oddsound-backbone-1",
        "backbone": "efficientnet_b0",
        "width": "0.1",
        "depth": "0.3",
        "input_channels": "1",
        "activation": "swish",
        "batch_norm_eps": "1e-05",
    }
    del state["bn2.bias"]
    save_file(state, tmp_path / "part.safetensors", metadata)
    assert "bn2.bias" in refusal(tmp_path / "part.safetensors", **SMALL)


@pytest.mark.parametrize("kind", ["quantised", "sparse", "meta", "complex"])
def test_tensors_that_are_no_plain_numbers_are_refused(kind: str, tmp_path: Path) -> None:
    config = ModelConfig()
    network = build_backbone(config)[0]
    state = network.state_dict()
    stem = state["conv_stem.weight"]
    state["conv_stem.weight"] = {
        "quantised": lambda: torch.quantize_per_tensor(stem, 0.1, 0, torch.qint8),
        "sparse": stem.to_sparse,
        "meta": lambda: stem.to("meta"),
        "complex": lambda: stem.to(torch.complex64),
    }[kind]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, of quantised tensors
        torch.save(state, tmp_path / "odd.pth")
    with pytest.raises(
        WeightsError, match=r"odd\.pth: .*(plain tensor of numbers|not a file of torch\.save|own code)"
    ):
        load_pretrained(network, tmp_path / "odd.pth", config)


def test_a_file_that_holds_itself_is_refused_and_does_not_hang(tmp_path: Path) -> None:
    loop: dict[str, object] = {}
    loop["model"] = loop
    torch.save(loop, tmp_path / "loop.pth")
    config = ModelConfig()
    with pytest.raises(WeightsError, match=r"loop\.pth"):
        load_pretrained(build_backbone(config)[0], tmp_path / "loop.pth", config)


class Runs:
    """What pickle would make by running os.mkdir."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


def test_code_in_a_pickle_is_called_by_its_name(tmp_path: Path) -> None:
    torch.save({"a": Runs(tmp_path / "ran")}, tmp_path / "evil.pth")
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps({"a": Runs(tmp_path / "ran")}))
    config = ModelConfig()
    network = build_backbone(config)[0]
    with pytest.raises(WeightsError, match="holds objects that only its own code could make"):
        load_pretrained(network, tmp_path / "evil.pth", config)
    with pytest.raises(WeightsError, match=r"evil\.pkl: "):
        load_pretrained(network, tmp_path / "evil.pkl", config)
    assert not (tmp_path / "ran").exists()
