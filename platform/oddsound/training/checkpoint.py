"""A trial's state between two epochs. Read back without running code (`weights_only`).

No generator's state is kept: every epoch seeds its own from the trial's identity and its number.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import torch

from oddsound.errors import BundleError, DataError
from oddsound.training.bundle import write_atomically


def save_checkpoint(
    path: Path, model: torch.nn.Module, optimiser: Any, history: list[dict[str, float]], data_digest: str
) -> None:
    """Model, optimiser, the epochs so far and the data they saw, whole or not at all."""
    buffer = io.BytesIO()
    state = {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "history": history}
    state["data_digest"] = data_digest
    torch.save(state, buffer)
    write_atomically(path, buffer.getvalue())


def load_checkpoint(
    path: Path, model: torch.nn.Module, optimiser: Any, data_digest: str
) -> list[dict[str, float]]:
    """Restore both in place and give the epochs so far; [] where there is no checkpoint.

    Raises BundleError where what is there can't be read, DataError where it saw other recordings.
    """
    if not path.is_file():
        return []
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
        seen = state["data_digest"]
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        history = list(state["history"])
    except Exception as error:  # torch raises half a dozen kinds for a damaged file
        reason = str(error).splitlines()[0]
        raise BundleError(f"{path}: can't be read ({reason}); remove it, the trial starts anew") from error
    if seen != data_digest:
        raise DataError(f"{path}: was made from other recordings; choose another folder for this run")
    return history


def seed_epoch(identity: str, epoch: int) -> np.random.Generator:
    """Seed torch's global generator and give a numpy one, both decided by trial and epoch alone.

    Epoch 0 is the initialisation of the weights.
    """
    digest = hashlib.sha256(f"{identity}/{epoch}".encode()).digest()
    torch.manual_seed(int.from_bytes(digest[:8], "big", signed=False) >> 1)
    return np.random.default_rng(int.from_bytes(digest[8:24], "big"))
