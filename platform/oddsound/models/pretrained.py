"""Filling a backbone with weights that were trained elsewhere, in another library's names.

Names alone don't make the same network: batch norm's ε and the side that is padded more differ between
libraries, so that a naming is only taken by the backbone that computes as its library does.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn

from oddsound.config import ModelConfig
from oddsound.errors import WeightsError
from oddsound.models.compatibility import (
    SET_THE_NETWORK,
    check_description,
    check_lite,
    check_numerics,
    description,
    is_ours,
    what_it_is,
)
from oddsound.models.naming import Naming, names_in, recognise
from oddsound.models.ordered import in_order
from oddsound.models.sources import IMAGENET_SHA256, check_imagenet, imagenet_file, timm_file
from oddsound.models.state_files import WeightsState, read_state, sha256_of

__all__ = [
    "GATE_BIAS",
    "IMAGENET_SHA256",
    "ImportReport",
    "backbone_bytes",
    "check_imagenet",
    "first_block_sha256",
    "imagenet_file",
    "load_pretrained",
    "sha256_of",
    "timm_file",
]

GATE_BIAS = 4.0
"""Opens a squeeze-excite gate, sigmoid(4) = 0.982, and leaves it a gradient of 0.018."""
LEAST_FRACTION = 0.9
"""Of the backbone's parameters that a file has to fill."""
N_NAMED = 3
"""Names that a report spells out of each list."""
COUNTER = ".num_batches_tracked"


@dataclass(frozen=True)
class ImportReport:
    """What came of a file of weights; `str` is a few lines for people.

    loaded, missing, opened: the network's tensors; skipped: the file's, which have no place in it.
    missing ones are as they were. opened are those of squeeze-excite, where the file has none and the
    gates are opened for it. fraction: of the network's parameters that the file gave.
    """

    naming: str
    loaded: tuple[str, ...]
    skipped: tuple[str, ...]
    missing: tuple[str, ...]
    opened: tuple[str, ...]
    fraction: float

    def __str__(self) -> str:
        lines = [
            f"{len(self.loaded)} tensors loaded by {self.naming}'s names, "
            f"{self.fraction:.1%} of the parameters"
        ]
        if self.naming == "timm":
            lines.append("timm's names don't say padding and ε: taken as the backbone's own")
        if self.skipped:
            lines.append(f"{len(self.skipped)} skipped, not the backbone's: {_some(self.skipped)}")
        if self.opened:
            lines.append(f"{len(self.opened)} set so that squeeze-excite begins open: {_some(self.opened)}")
        if self.missing:
            lines.append(f"{len(self.missing)} missing, left as they were: {_some(self.missing)}")
        return "\n".join(lines)


def load_pretrained(
    network: nn.Module, path: Path, config: ModelConfig, *, gate_bias: float = GATE_BIAS
) -> ImportReport:
    """Fill `network`, which `build_backbone(config)` made, from the file at `path`, or leave it as it is.

    A stem of three channels is summed into one; a stem of one is spread over three, a third each, which
    is the same on a channel given three times. Weights without squeeze-excite (Lite0's) fill a network
    that has it: its gates begin at sigmoid(`gate_bias`) whatever comes in, and the projections behind
    them are divided by that, so that the features are the source's; both train from there.

    Raises WeightsError where the file can't be read, is of another network or one that computes
    otherwise, and ConfigError where `imagenet` is asked of a backbone that can't take it.
    """
    if config.pretrained == "imagenet":
        check_imagenet(config)
    state = read_state(path)
    try:
        return _load(network, state, config, gate_bias)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error


def first_block_sha256(network: nn.Module) -> str:
    """SHA-256 of the stem, its batch norm and the first stage, in the order of the state dict.

    It doesn't depend on device or memory format, but on the type of the numbers.
    """
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        if name.startswith(("conv_stem.", "bn1.", "blocks.0.")):
            digest.update(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def backbone_bytes(network: nn.Module, config: ModelConfig) -> bytes:
    """Safetensors of the backbone that `build_backbone(config)` made, which says what it is.

    The same weights give the same bytes.
    """
    tensors = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    return in_order(save(tensors, metadata=description(network, config)))


def _load(network: nn.Module, state: WeightsState, config: ModelConfig, gate_bias: float) -> ImportReport:
    ours = is_ours(state.metadata)
    if ours:
        check_description(state.metadata, network, config)
    naming, prefix = recognise(state.tensors)
    check_numerics(naming.name, naming.numerics, network, config)
    found, skipped = _matched(naming, prefix, state.tensors, network, config)
    missing = [n for n in network.state_dict() if n not in found and not n.endswith(COUNTER)]
    gates = [name for name in missing if ".se." in name]
    fraction = _fraction(network, set(found))
    if gates and gates == missing and not ours and not any(".se." in name for name in found):
        check_lite(network, config)
        opened = _gate_tensors(network, gate_bias)
        found |= _behind_gates(found, opened, gate_bias)
    elif fraction < (1.0 if ours else LEAST_FRACTION):
        raise WeightsError(
            f"fills only {fraction:.1%} of {config.backbone}'s parameters; {len(missing)} tensors are "
            f"missing, {_some(missing)}; give weights of the whole backbone"
        )
    else:
        opened = {}
    _fill(network, found | opened)
    return ImportReport(
        naming="oddsound" if ours else naming.name,
        loaded=tuple(found),
        skipped=tuple(skipped),
        missing=tuple(name for name in missing if name not in opened),
        opened=tuple(opened),
        fraction=fraction,
    )


def _matched(
    naming: Naming, prefix: str, tensors: dict[str, Tensor], network: nn.Module, config: ModelConfig
) -> tuple[dict[str, Tensor], list[str]]:
    """The file's tensors under the network's names, fit to go there, and the names of all others."""
    places = names_in(naming, network)
    targets = network.state_dict()
    found, skipped = {}, []
    for name, tensor in tensors.items():
        place = places.get(name.removeprefix(prefix)) if name.startswith(prefix) else None
        if place is None:
            skipped.append(name)
        else:
            found[place] = _fitted(name, tensor, place, targets[place], config)
    homeless = [n for n in skipped if n.startswith(tuple(prefix + part for part in naming.parts))]
    if homeless:
        raise WeightsError(
            f"{len(homeless)} tensors of a backbone have no place in {what_it_is(config)}, "
            f"{_some(homeless)}; {SET_THE_NETWORK}"
        )
    return found, skipped


def _fitted(name: str, tensor: Tensor, place: str, target: Tensor, config: ModelConfig) -> Tensor:
    if tensor.is_quantized or tensor.layout != torch.strided or tensor.is_meta or tensor.is_complex():
        raise WeightsError(f"{name} is no plain tensor of numbers; save the state dict of a float32 network")
    if place == "conv_stem.weight":
        tensor = _stem(tensor, target.shape[1])
    if tensor.shape != target.shape:
        raise WeightsError(
            f"{name} has the shape {tuple(tensor.shape)}, {what_it_is(config)} needs {tuple(target.shape)}; "
            f"{SET_THE_NETWORK}"
        )
    if tensor.is_floating_point() != target.is_floating_point() or not tensor.float().isfinite().all():
        raise WeightsError(f"{name} holds numbers ({tensor.dtype}) that are no weights; write the file again")
    return tensor


def _stem(kernel: Tensor, channels: int) -> Tensor:
    """(out, 3, k, k) and (out, 1, k, k) for each other, the same on a channel that is given three times."""
    if kernel.shape[1:2] == (3,) and channels == 1:
        return kernel.float().sum(dim=1, keepdim=True)
    if kernel.shape[1:2] == (1,) and channels == 3:
        return kernel.float().expand(-1, 3, *kernel.shape[2:]) / 3
    return kernel


def _gate_tensors(network: nn.Module, bias: float) -> dict[str, Tensor]:
    """All of squeeze-excite, so that each gate is sigmoid(`bias`) whatever comes in, and can learn.

    The same numbers in every run, for the first block's hash to say whose weights they are.
    """
    generator = torch.Generator().manual_seed(0)
    opened = {}
    for name, tensor in network.state_dict().items():
        if ".se.conv_reduce.weight" in name:
            opened[name] = _reduction(tensor, generator)
        elif ".se." in name:
            opened[name] = torch.full_like(tensor, bias if name.endswith("conv_expand.bias") else 0.0)
    return opened


def _reduction(like: Tensor, generator: torch.Generator) -> Tensor:
    """Random rows, each beside its negative: ReLU lets one of the two through, so that a gradient comes."""
    out, fan = like.shape[:2]
    rows = torch.randn((-(-out // 2), fan, 1, 1), generator=generator) / fan**0.5
    return torch.cat([rows, -rows])[:out]


def _behind_gates(found: dict[str, Tensor], opened: dict[str, Tensor], bias: float) -> dict[str, Tensor]:
    """The projection of each gated block, over what its gate lets through."""
    blocks = {name.partition("se.")[0] for name in opened}
    projections = [
        next(b + c for c in ("conv_pwl.weight", "conv_pw.weight") if b + c in found) for b in blocks
    ]
    return {name: found[name].float() / torch.tensor(bias).sigmoid() for name in projections}


def _fraction(network: nn.Module, names: set[str]) -> float:
    sizes = {name: parameter.numel() for name, parameter in network.named_parameters()}
    return sum(size for name, size in sizes.items() if name in names) / sum(sizes.values())


def _fill(network: nn.Module, tensors: dict[str, Tensor]) -> None:
    targets = network.state_dict()
    with torch.no_grad():
        for name, tensor in tensors.items():
            targets[name].copy_(tensor)


def _some(names: tuple[str, ...] | list[str]) -> str:
    more = len(names) - N_NAMED
    return ", ".join(names[:N_NAMED]) + (f" and {more} more" if more > 0 else "")
