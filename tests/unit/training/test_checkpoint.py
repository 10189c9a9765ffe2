"""A checkpoint that can't be read is told apart from a machine that can't read it."""

from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch

from oddsound.errors import BundleError, DataError
from oddsound.training.checkpoint import Progress, load_checkpoint, save_checkpoint


def parts() -> tuple[torch.nn.Module, torch.optim.Adam]:
    model = torch.nn.Linear(2, 2)
    return model, torch.optim.Adam(model.parameters())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "checkpoint.pt", *parts(), Progress([{"epoch": 1.0}]), "digest")
    return tmp_path / "checkpoint.pt"


def test_it_comes_back(path: Path) -> None:
    assert load_checkpoint(path, *parts(), "digest").history == [{"epoch": 1.0}]
    assert load_checkpoint(path.with_name("none"), *parts(), "digest").history == []
    with pytest.raises(DataError, match="other recordings"):
        load_checkpoint(path, *parts(), "another")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.99])
def test_a_cut_one_is_damaged(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(BundleError, match=r"checkpoint\.pt: can't be read \(.+\)"):
        load_checkpoint(path, *parts(), "digest")


@pytest.mark.parametrize("error", [MemoryError, torch.OutOfMemoryError])
def test_one_that_there_is_no_room_for_is_not(
    path: Path, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: Any, **__: Any) -> NoReturn:
        raise error("no room")

    monkeypatch.setattr(torch, "load", no_room)
    with pytest.raises(error, match="no room"):
        load_checkpoint(path, *parts(), "digest")
