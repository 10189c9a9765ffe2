"""Weights that are exactly a network's are taken; all others are refused by name, and nothing is run."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tests.payloads import Payload, pickled
from torch import Tensor, nn

from oddsound.config import ModelConfig, TrialConfig
from oddsound.errors import ModelError
from oddsound.models.backbones import BACKBONES
from oddsound.models.joint import JointModel
from oddsound.models.strict import MAX_HEADER, load_strictly


def small() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


def state() -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in small().state_dict().items()}


@pytest.mark.parametrize("backbone", sorted(BACKBONES))
@pytest.mark.parametrize("architecture", ["joint", "classifier", "autoencoder"])
def test_every_network_is_what_was_saved(tmp_path: Path, backbone: str, architecture: str) -> None:
    settings = {"backbone": backbone, "architecture": architecture, "width": 0.1, "depth": 0.3}
    config = TrialConfig.model_validate({"machine": "fan", "model": settings})

    def build() -> JointModel:
        return JointModel(config.model, config.features, 3, 20)

    saved = build().eval()
    header_of_any_length = {"note": "x" * (1 + 4 * len(backbone))}
    save_file(saved.state_dict(), tmp_path / "w.safetensors", header_of_any_length)
    loaded = load_strictly(build, tmp_path / "w.safetensors")
    x = torch.randn(2, 128, 20)
    network, again = (saved.logits, loaded.logits) if saved.classifies else (saved.errors, loaded.errors)
    with torch.inference_mode():
        assert torch.equal(again(x), network(x))
    assert all(each.data_ptr() % 64 == 0 for each in (*loaded.parameters(), *loaded.buffers()))
    assert not loaded.training and not any(p.is_meta for p in (*loaded.parameters(), *loaded.buffers()))


def test_the_global_generator_is_left_alone(tmp_path: Path) -> None:
    save_file(state(), tmp_path / "w.safetensors")
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    load_strictly(small, tmp_path / "w.safetensors")
    assert torch.rand(1) == expected


WRONG: dict[str, tuple[Callable[[dict[str, Tensor]], object], str]] = {
    "missing": (lambda s: s.pop("1.weight"), r"lacks 1\.weight"),
    "more": (lambda s: s.update(extra=torch.ones(1)), "has, and the network hasn't, extra"),
    "shape": (lambda s: s.update({"0.weight": torch.ones(2, 4)}), r"is F32 \[2, 4\], expected F32 \[2, 3\]"),
    "transposed": (lambda s: s.update({"0.weight": torch.ones(3, 2)}), r"expected F32 \[2, 3\]"),
    "type": (lambda s: s.update({"0.weight": torch.ones(2, 3).double()}), "0.weight is F64"),
    "integer": (lambda s: s.update({"0.bias": torch.ones(2, dtype=torch.int32)}), "0.bias is I32"),
    "nan": (lambda s: s["0.weight"].__setitem__((1, 2), float("nan")), "0.weight holds a number that"),
    "infinite": (lambda s: s["1.running_var"].fill_(float("inf")), "1.running_var holds a number"),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
def test_another_networks_weights_are_refused(tmp_path: Path, kind: str) -> None:
    spoil, message = WRONG[kind]
    tensors = state()
    spoil(tensors)
    path = tmp_path / "weights.safetensors"
    save_file(tensors, path)
    with pytest.raises(ModelError, match=message) as refused:
        load_strictly(small, path)
    assert str(path) in str(refused.value) and "\n" not in str(refused.value)


def header(length: int, text: bytes) -> bytes:
    return struct.pack("<Q", length) + text


BYTES: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "pickle 2": (lambda marker: pickled(marker, 2), "a pickle or archive"),
    "pickle 4": (pickled, "a pickle or archive"),
    "pickle 0": (lambda marker: pickled(marker, 0), "not safetensors"),
    "empty": (lambda _: b"", "not safetensors"),
    "cut": (lambda _: header(500, b'{"a'), "cut short"),
    "header larger than memory": (lambda _: header(2**62, b"{" + bytes(100)), "cut short"),
    "oversize header": (lambda _: header(MAX_HEADER + 1, b"{" + bytes(MAX_HEADER)), "of 8,388,609 bytes"),
    "no json": (lambda _: header(20, b"{" + b"\xff" * 30), "not safetensors, or damaged"),
    "beyond the end": (
        lambda _: header(60, b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4000000]}}'),
        "damaged",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BYTES)
def test_what_is_no_safetensors_is_refused_and_not_run(tmp_path: Path, kind: str) -> None:
    content, message = BYTES[kind]
    marker, path = tmp_path / "marker", tmp_path / "weights.safetensors"
    path.write_bytes(content(marker))
    with pytest.raises(ModelError, match=message):
        load_strictly(small, path)
    assert not marker.exists()


def test_a_file_of_torch_save_is_refused_and_not_run(tmp_path: Path) -> None:
    marker, path = tmp_path / "marker", tmp_path / "weights.safetensors"
    torch.save({"0.weight": Payload(marker)}, path)
    with pytest.raises(ModelError, match="a pickle or archive"):
        load_strictly(small, path)
    assert not marker.exists()


def test_the_payload_works(tmp_path: Path) -> None:
    """The tests above can fail: unpickled, the payload makes its file."""
    pickle.loads(pickled(tmp_path / "marker"))
    assert (tmp_path / "marker").exists()


def test_a_network_too_large_for_memory_is_refused_by_its_shapes(tmp_path: Path) -> None:
    """A configuration of 4 TB is compared with the file before anything is laid out."""
    save_file(state(), tmp_path / "w.safetensors")
    config = ModelConfig(architecture="autoencoder", ae_hidden=1_000_000)
    with pytest.raises(ModelError, match="lacks"):
        load_strictly(
            lambda: JointModel(config, TrialConfig(machine="fan").features, 2, 311),
            tmp_path / "w.safetensors",
        )
