"""The systems of Table 1 as named settings, in two readings: `paper` and `authors`.

    ae_baseline                    the official autoencoder baseline of 2021
    mobilenet_baseline             the official MobileNetV2 baseline of 2021
    effnet                         EfficientNet-B0 under eq. 5, trained from nothing
    effnet_pretrain                … from pretrained weights
    effnet_pretrain_mixup          … with mixup
    effnet_pretrain_median_mixup   … with the median filter and mixup
    effnet_median                  the median filter, trained from nothing
    effnet_median_mixup            the median filter and mixup: the paper's best row

The profile `paper` takes what the paper says and, where it says nothing, what docs/decisions.md says.
`authors` takes what the authors' published code does: NT-Xent with a weight of 0.0005 on unit-length
branch outputs, segments of 64 frames, an autoencoder that sees a whole segment, a learning rate of
1e-5, a median window of 31, and the epoch chosen by Ω on the labelled test clips. The two baselines
are the challenge's own in both.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

from oddsound.config import AsWritten, RecipeName, overlay
from oddsound.errors import ConfigError

Profile = Literal["paper", "authors"]


class Reading(AsWritten):
    """How the recipes are read. All but the profile is of the rows with pretrained weights.

    The paper's weights are AudioSet's and were not published; ImageNet's are there for everyone, and
    `tf_efficientnet_b0` has the padding and the ε that they were trained with.
    """

    profile: Profile = "paper"
    """As the paper has them, or as the authors' code."""
    pretrained: str = "imagenet"
    """Their weights."""
    backbone: str = "tf_efficientnet_b0"
    """Their backbone."""
    activation: str = "auto"
    """Its activation."""


RECIPES: tuple[RecipeName, ...] = get_args(RecipeName)
"""In the order of Table 1."""

# librosa's mel, 10·log10(max(power, ε of float64)), no clamp: what both baselines' code computes.
_OFFICIAL_FRONT_END = {
    "center": True,
    "mel_scale": "slaney",
    "mel_norm": "slaney",
    "power_floor": 2.220446049250313e-16,
    "top_db": None,
    "precision": "float64",
    "median_frames": 0,
}
_NO_AUGMENTATION = {"mixup_alpha": 0.0, "time_mask_frames": 0, "time_shift": 0.0}
_OFFICIAL_TRAINING = {"target_share": 0.0, "halve_every": 0, "holdout": 0.1}

_BASELINES: dict[str, dict[str, Any]] = {
    "ae_baseline": {
        "features": _OFFICIAL_FRONT_END,
        "augment": _NO_AUGMENTATION,
        "model": {
            "architecture": "autoencoder",
            "pretrained": "none",
            "initialisation": "keras",
            "segment_frames": 5,
            "segment_hop": 1,
            "ae_context": 5,
            "ae_hidden": 128,
            "ae_bottleneck": 8,
        },
        "training": _OFFICIAL_TRAINING | {"epochs": 100, "batch_size": 512, "lr_autoencoder": 1e-3},
    },
    "mobilenet_baseline": {
        "features": _OFFICIAL_FRONT_END,
        "augment": _NO_AUGMENTATION,
        "model": {
            "architecture": "classifier",
            "pretrained": "none",
            "backbone": "mobilenetv2",
            "width": 0.5,
            "input_channels": 3,
            "initialisation": "keras",
            "pooling": "avg",
            "dropout": 0.0,
            "segment_frames": 64,
            "segment_hop": 8,
        },
        "training": _OFFICIAL_TRAINING | {"epochs": 20, "batch_size": 32, "lr_backbone": 1e-5},
    },
}

_PROFILES: dict[Profile, dict[str, Any]] = {
    "paper": {
        "model": {
            "architecture": "joint",
            "normalise": "projection",
            "segment_frames": 0,
            "ae_view": "vectors",
            "ae_bottleneck": 32,
        },
        "loss": {"contrastive": "eq4", "contrastive_weight": 1.0},
        "training": {"lr_backbone": 1e-3, "selection": "last"},
    },
    "authors": {
        "model": {
            "architecture": "joint",
            "normalise": "backbone",
            "segment_frames": 64,
            "segment_hop": 8,
            "ae_view": "segment",
            "ae_bottleneck": 8,
        },
        "loss": {"contrastive": "nt_xent", "contrastive_weight": 0.0005},
        "training": {"lr_backbone": 1e-5, "selection": "best_dev_omega"},
    },
}
_MEDIAN_FRAMES: dict[Profile, int] = {"paper": 30, "authors": 31}
_MIXUP_ALPHA = 0.2


def recipe_settings(name: str, reading: Reading | None = None) -> dict[str, Any]:
    """The settings of the recipe, nested, to be laid over TrialConfig's defaults; `recipe` is among them.

    Raises ConfigError for a name that isn't in `RECIPES`.
    """
    reading = reading or Reading()
    if name not in RECIPES:
        raise ConfigError(f"recipe {name!r}; known are {', '.join(RECIPES)}")
    if name in _BASELINES:
        return {"recipe": name, **_BASELINES[name]}
    return overlay(_PROFILES[reading.profile], _variant(name, reading))


def _variant(name: str, reading: Reading) -> dict[str, Any]:
    """What sets a row of EfficientNet-B0 apart from the others: its name says it."""
    parts = name.split("_")
    variant: dict[str, Any] = {
        "recipe": name,
        "augment": {"mixup_alpha": _MIXUP_ALPHA if "mixup" in parts else 0.0},
        "features": {"median_frames": _MEDIAN_FRAMES[reading.profile] if "median" in parts else 0},
    }
    begun = {"pretrained": "none", "backbone": "efficientnet_b0", "activation": "auto"}
    if "pretrain" in parts:
        begun = reading.model_dump(include={"pretrained", "backbone", "activation"})
    return variant | {"model": begun}


def is_efficientnet(recipe: str) -> bool:
    """Whether it is one of the paper's own rows, of which S1-S4 are made."""
    return recipe.startswith("effnet")
