"""The same tensors and metadata give the same bytes."""

from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load, save

from oddsound.models.ordered import in_order


def test_the_same_content_gives_the_same_bytes() -> None:
    tensors = {"b": torch.arange(6.0).reshape(2, 3), "a": torch.ones(3, dtype=torch.float16)}
    metadata = {f"key {n}": f"value {n}" for n in range(20)}
    files = {in_order(save(tensors, metadata)) for _ in range(10)}
    assert len(files) == 1


def test_nothing_is_lost(tmp_path: Path) -> None:
    tensors = {"b": torch.arange(6.0).reshape(2, 3), "a": torch.ones(3, dtype=torch.float16)}
    content = in_order(save(tensors, {"format": "é", "z": "1"}))
    for name, tensor in load(content).items():
        assert tensor.equal(tensors[name])
    (tmp_path / "file").write_bytes(content)
    with safe_open(tmp_path / "file", "pt") as opened:
        assert opened.metadata() == {"format": "é", "z": "1"}
