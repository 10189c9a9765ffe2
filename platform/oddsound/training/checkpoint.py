"""A trial's state between two epochs. Read back without running code (`weights_only`).

No generator's state is kept: every epoch seeds its own from the trial's identity and its number.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from oddsound.errors import BundleError, DataError
from oddsound.training.bundle import write_atomically


@dataclass
class Progress:
    """How far a trial has come: one mapping an epoch, and where the best epoch's weights are to count,
    those weights and the labelled clips' scores after each evaluated epoch, (clips,) float32."""

    history: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, Tensor] | None = None
    by_epoch: dict[int, Tensor] = field(default_factory=dict)


def save_checkpoint(
    path: Path, model: torch.nn.Module, optimiser: Any, progress: Progress, data_digest: str
) -> None:
    """Model, optimiser, the epochs so far and the data they saw, whole or not at all."""
    buffer = io.BytesIO()
    state = {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "data_digest": data_digest}
    torch.save(state | vars(progress), buffer)
    write_atomically(path, buffer.getvalue())


def load_checkpoint(path: Path, model: torch.nn.Module, optimiser: Any, data_digest: str) -> Progress:
    """Restore both in place and give the epochs so far; none where there is no checkpoint.

    Raises BundleError where what is there can't be read, DataError where it saw other recordings.
    """
    if not path.is_file():
        return Progress()
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
        seen = state["data_digest"]
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        progress = Progress(list(state["history"]), state["best"], dict(state.get("by_epoch", {})))
    except (MemoryError, torch.OutOfMemoryError):  # the file is as good as it was
        raise
    except Exception as error:  # torch raises half a dozen kinds for a damaged file
        reason = (str(error).splitlines() or ["it is empty"])[0]
        raise BundleError(f"{path}: can't be read ({reason}); remove it, the trial starts anew") from error
    if seen != data_digest:
        raise DataError(f"{path}: was made from other recordings; choose another folder for this run")
    return progress


def seed_epoch(identity: str, epoch: int) -> np.random.Generator:
    """Seed torch's global generator and give a numpy one, both decided by trial and epoch alone.

    Epoch 0 is the initialisation of the weights.
    """
    digest = hashlib.sha256(f"{identity}/{epoch}".encode()).digest()
    torch.manual_seed(int.from_bytes(digest[:8], "big", signed=False) >> 1)
    return np.random.default_rng(int.from_bytes(digest[8:24], "big"))
