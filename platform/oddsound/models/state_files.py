"""Reading the tensors of a weights file. Nothing that a file holds is ever run.

Safetensors hold tensors and nothing else; of pickles only what torch's `weights_only` reader takes,
which knows tensors, containers and numbers and calls nothing that the file names.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from oddsound.errors import WeightsError

WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
"""Under one of these a training script puts the state dict beside its optimiser and the like."""


@dataclass(frozen=True)
class WeightsState:
    """The tensors of a file under the names they have there, on CPU, and the metadata of safetensors."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str] = field(default_factory=dict)


def read_state(path: Path) -> WeightsState:
    """The state dict at `path`: safetensors by their suffix, all else as a pickle of `torch.save`.

    Raises WeightsError where the file is missing, damaged, holds no tensors or would have to be trusted.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such file of weights; give the path of one")
    state = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
    if not state.tensors:
        raise WeightsError(f"{path}: holds no tensors by name; save the network's state dict there")
    return state


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, as 64 hex digits. Raises WeightsError where it can't be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{path}: can't be read ({error.strerror}); give the path of a file") from error


def _read_safetensors(path: Path) -> WeightsState:
    try:
        with safe_open(path, framework="pt") as file:
            return WeightsState({name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {})  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{path}: not safetensors, or damaged; fetch or write it again") from error


def _read_pickle(path: Path) -> WeightsState:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's talk of pickle protocols; what is wrong is said below
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle may raise anything; the reader itself runs nothing
        raise WeightsError(f"{path}: {_why_unread(error)}") from error
    return WeightsState({name: t for name, t in _unwrapped(content).items() if isinstance(t, Tensor)})


def _why_unread(error: Exception) -> str:
    if "unsupported global" in str(error).lower() or "unsupported class" in str(error).lower():
        return "holds objects that only its own code could make; save the state dict alone, as safetensors"
    return "not a file of torch.save, or damaged; fetch or write it again"


def _unwrapped(content: Any) -> Mapping[str, Any]:
    for _ in range(len(WRAPPERS) + 1):  # no deeper: a crafted file may hold itself
        if not isinstance(content, Mapping):
            break
        inside = [content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)]
        if not inside:
            return {name: value for name, value in content.items() if isinstance(name, str)}
        content = inside[0]
    return {}
