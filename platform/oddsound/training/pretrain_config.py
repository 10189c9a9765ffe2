"""What decides the outcome of pretraining a backbone on a labelled corpus."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from oddsound.config import (
    IDENTITY_FORMAT,
    AsWritten,
    AugmentConfig,
    Count,
    FeatureConfig,
    ModelConfig,
    Positive,
    Rate,
)

SHAPING = (
    "backbone",
    "input_channels",
    "activation",
    "pooling",
    "width",
    "depth",
    "pretrained",
    "pretrained_sha256",
    "dropout",
    "standardise",
)
"""The settings of `ModelConfig` that mean something here; the others are the detector's."""


class PretrainTrainingConfig(AsWritten):
    """Adam, its learning rate falling to 0 along half a cosine."""

    epochs: Count = 15
    batch_size: Annotated[int, Field(ge=2)] = 16
    lr: Rate = 1e-3
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16: the backbone's convolutions under autocast."""
    held_out_fold: Annotated[int, Field(ge=0)] = 1
    """The fold that is never trained on and that the figures are of."""
    max_seconds: Positive = 10.0
    """Clips are cut to this length, and to that which 95 % of them don't exceed."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0


class PretrainConfig(AsWritten):
    """Same hash, same corpus, same machine = same weights.

    Raises ValueError, as pydantic wants it, for a setting of the model that would change nothing.
    """

    corpus: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    features: FeatureConfig = FeatureConfig()
    augment: AugmentConfig = AugmentConfig()
    model: ModelConfig = ModelConfig()
    training: PretrainTrainingConfig = PretrainTrainingConfig()

    @model_validator(mode="after")
    def _says_nothing_in_vain(self) -> Self:
        for name in self.model.model_dump(exclude_defaults=True):
            if name not in SHAPING:
                raise ValueError(
                    f"model.{name} changes nothing in pretraining; of the model it takes {SHAPING}"
                )
        return self

    @property
    def identity(self) -> str:
        """16 hex digits of the SHA-256 of what isn't a default, as a trial's; never equal to a trial's."""
        settings = ["pretrain", IDENTITY_FORMAT, self.model_dump(exclude_defaults=True)]
        canonical = json.dumps(settings, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]
