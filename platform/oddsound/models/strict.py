"""Weights that must be exactly a network's: each name, shape and type, every number finite.

The network is first made without memory or numbers (torch's meta device) and compared with what the
file's header says, so a file that isn't its own costs nothing; then the file's tensors are copied into
its weights. Nothing that a file holds is ever run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from oddsound.errors import ModelError

MAX_HEADER = 8 * 2**20
"""Bytes; a network of a thousand tensors has a header of 100 kB."""

Network = TypeVar("Network", bound=nn.Module)
_Description = tuple[str, tuple[int, ...]]
_TYPES = {
    torch.float32: "F32",
    torch.float64: "F64",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
}
_N_NAMED = 3


def load_strictly(build: Callable[[], Network], path: Path) -> Network:
    """The network that `build` makes, with the weights at `path`, in evaluation mode and on CPU.

    Raises ModelError, naming file and tensor, where the file isn't safetensors, isn't of this network to
    the last tensor, or holds a number that isn't finite.
    """
    _refuse_header(path)
    with torch.device("meta"):
        network = build()
    tensors = _read(path, network.state_dict())
    # Copied to memory that torch laid out, as training had it: the last bits of a matrix product depend on
    # where its operands begin and on their strides (docs/decisions.md), and a file has its own.
    network.to_empty(device="cpu").load_state_dict(tensors, strict=True)
    return network.eval().requires_grad_(False)


def _refuse_header(path: Path) -> None:
    """Raise ModelError unless the file begins as safetensors do: an 8-byte length and that much JSON."""
    try:
        with path.open("rb") as stream:
            start = stream.read(9)
        size = path.stat().st_size
    except OSError as error:
        raise ModelError(f"{path}: can't be read ({error.strerror})") from error
    length = int.from_bytes(start[:8], "little")
    if start[:2] in (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
        raise ModelError(f"{path}: a pickle or archive, not safetensors; it was not opened")
    if len(start) < 9 or start[8:] != b"{" or length > size - 8:
        raise ModelError(f"{path}: not safetensors, or cut short")
    if length > MAX_HEADER:
        raise ModelError(
            f"{path}: a header of {length:,} bytes, more than {MAX_HEADER:,}; no network needs it"
        )


def _read(path: Path, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            pieces = {name: file.get_slice(name) for name in names}
            found = {name: (str(p.get_dtype()), tuple(p.get_shape())) for name, p in pieces.items()}
            _refuse_others(path, found, {name: _described(tensor) for name, tensor in wanted.items()})
            tensors = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path}: not safetensors, or damaged ({_line(error)})") from error
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise ModelError(f"{path}: {name} holds a number that isn't finite")
    return tensors


def _refuse_others(path: Path, found: Mapping[str, _Description], wanted: Mapping[str, _Description]) -> None:
    for what, names in (
        ("lacks", wanted.keys() - found.keys()),
        ("has, and the network hasn't,", found.keys() - wanted.keys()),
    ):
        if names:
            raise ModelError(f"{path}: it {what} {_named(sorted(names))}; not this network's weights")
    for name, (kind, shape) in wanted.items():
        if found[name] != (kind, shape):
            raise ModelError(
                f"{path}: {name} is {_shown(*found[name])}, expected {_shown(kind, shape)}; not this "
                "network's weights"
            )


def _described(tensor: Tensor) -> _Description:
    return _TYPES[tensor.dtype], tuple(tensor.shape)


def _shown(kind: str, shape: tuple[int, ...]) -> str:
    return f"{kind} {list(shape)}"


def _named(names: list[str]) -> str:
    more = f" and {len(names) - _N_NAMED} more" if len(names) > _N_NAMED else ""
    return ", ".join(name if name.isprintable() else ascii(name) for name in names[:_N_NAMED]) + more


def _line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
