"""Features where the network is: on the CPU the mapped file itself."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from oddsound.training.resident import resident


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_on_the_cpu_it_is_the_mapped_file(tmp_path: Path, dtype: type[np.floating]) -> None:
    np.save(tmp_path / "features.npy", np.arange(24, dtype=dtype).reshape(2, 3, 4))
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tensor = resident(mapped, "cpu")
    assert tensor.data_ptr() == mapped.ctypes.data
    assert tensor.shape == (2, 3, 4)
    assert tensor.numpy().dtype == dtype


class _Gpu:
    """Stands for a GPU: torch is asked for its free memory and for a copy."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, free: int) -> None:
        self.copied: list[object] = []
        monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 2 * free))
        monkeypatch.setattr(torch.Tensor, "to", lambda tensor, device: self.copied.append(device) or tensor)


@pytest.mark.parametrize(("free", "is_copied"), [(4000, True), (3000, False)])
def test_a_gpu_gets_a_copy_that_leaves_room_for_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], free: int, is_copied: bool
) -> None:
    gpu = _Gpu(monkeypatch, free)
    resident(np.zeros((10, 5, 5), np.float32), "cuda")  # 1,000 bytes
    assert bool(gpu.copied) == is_copied
    assert ("stay on the host" in capsys.readouterr().err) != is_copied
