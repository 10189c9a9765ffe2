"""What a user writes, as pydantic models: unknown keys are errors that name the near ones.

`TrialConfig` is everything that decides a trial's outcome; its hash is the trial's identity. The
defaults are the paper's (§2, §3, Tables 2 and 3.2's settings); docs/decisions.md says which reading
was taken where the paper leaves one open.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from oddsound.errors import ConfigError

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0, le=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Model = TypeVar("Model", bound=BaseModel)


class Strict(BaseModel):
    """Frozen, and any key it doesn't know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FeatureConfig(Strict):
    """The log-mel front end (§3); whatever stands here is part of the cache's key."""

    sample_rate: Count = 16_000
    n_fft: Count = 1024
    hop_length: Count = 512
    n_mels: Count = 128
    f_min: Annotated[float, Field(ge=0)] = 0.0
    f_max: Positive = 8_000.0
    top_db: Positive = 120.0
    median_frames: Annotated[int, Field(ge=0)] = 0
    """Width of the median filter along time, in frames; 0 is off, the paper's is 30 (§2.4)."""
    dtype: Literal["float32", "float16"] = "float32"

    @model_validator(mode="after")
    def _is_a_band(self) -> Self:
        if not self.f_min < self.f_max <= self.sample_rate / 2:
            raise ValueError(f"f_min {self.f_min:g} < f_max {self.f_max:g} <= sample_rate/2 must hold")
        return self


class AugmentConfig(Strict):
    """What is done to a batch (§2.4)."""

    mixup_alpha: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """λ ~ Beta(α, α), one a batch; 0 is off."""
    time_mask_frames: Annotated[int, Field(ge=0)] = 31
    """The widest mask, in frames; 0 is off."""
    time_shift: Annotated[float, Field(ge=0, le=0.5)] = 0.15
    """The farthest circular shift either way, as a fraction of the clip; 0 is off."""


class ModelConfig(Strict):
    """The autoencoder of Table 2, the backbone, and the two projections (§2.3, §3.2)."""

    backbone: Literal["efficientnet_b0"] = "efficientnet_b0"
    width: Positive = 1.0
    """Multiplies the backbone's channels; 1 is the paper's network, less is for quick looks."""
    depth: Positive = 1.0
    """Multiplies the backbone's layers in each stage."""
    pretrained: Literal["none"] = "none"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    ae_context: Count = 5
    ae_hidden: Count = 128
    ae_bottleneck: Count = 32
    projection: Count = 256
    normalise: Literal["none", "backbone", "projection"] = "projection"
    """What is scaled to unit length before eq. 4; but for `projection` its value has no lower bound."""
    standardise: Literal["none", "per_machine"] = "none"


class LossConfig(Strict):
    """eq. 4 and eq. 5."""

    rho: Positive = 0.07
    contrastive_weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0


class TrainingConfig(Strict):
    """§3: 300 epochs of batches of 32, learning rates halved every 30 epochs, Adam."""

    epochs: Count = 300
    batch_size: Annotated[int, Field(ge=2)] = 32
    lr_autoencoder: Rate = 1e-3
    lr_backbone: Rate = 1e-3
    halve_every: Count = 30
    target_share: Fraction = 0.2
    """Share of the draws that come from the target domain (§3.2); 0 draws every clip alike."""
    evaluate_every: Count = 1
    """Epochs between two evaluations of omega; the last epoch is always evaluated."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16: the backbone's convolutions under autocast; losses and scores stay float32."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0


class TrialConfig(Strict):
    """Everything that decides a trial's outcome. Same hash, same data, same machine = same scores."""

    machine: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
    features: FeatureConfig = FeatureConfig()
    augment: AugmentConfig = AugmentConfig()
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    training: TrainingConfig = TrainingConfig()

    @property
    def identity(self) -> str:
        """16 hex digits of the SHA-256 of the canonical JSON: the trial's name everywhere."""
        canonical = json.dumps(self.model_dump(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def validated(model: type[Model], values: Mapping[str, Any], where: str) -> Model:
    """`model` built from `values`, or a ConfigError that says where, what and what was near."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise ConfigError(f"{where}: " + "; ".join(_explain(model, e) for e in error.errors())) from error


def _explain(model: type[BaseModel], error: Any) -> str:
    path = ".".join(str(part) for part in error["loc"])
    if error["type"] != "extra_forbidden":
        return f"{path}: {error['msg'][:1].lower()}{error['msg'][1:]}, got {error['input']!r}"
    known = _fields_at(model, error["loc"][:-1])
    near = difflib.get_close_matches(str(error["loc"][-1]), known, n=2)
    known_are = f"; known are {', '.join(known)}" if known else ""
    return f"{path}: unknown key" + (f"; did you mean {' or '.join(near)}?" if near else known_are)


def _fields_at(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    for part in path:
        inner = model.model_fields[part].annotation if part in model.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        model = inner
    return list(model.model_fields)


def overlay(base: Mapping[str, Any], *overs: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with each of `overs` laid over it, nested mappings merged key by key."""
    merged = dict(base)
    for over in overs:
        for key, value in over.items():
            nested = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
            merged[key] = overlay(merged[key], value) if nested else value
    return merged


def nested(dotted: Mapping[str, Any]) -> dict[str, Any]:
    """{"loss.rho": 0.1} -> {"loss": {"rho": 0.1}}."""
    tree: dict[str, Any] = {}
    for path, value in dotted.items():
        for key in reversed(path.split(".")):
            value = {key: value}
        tree = overlay(tree, value)
    return tree


def flattened(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"loss": {"rho": 0.1}} -> {"loss.rho": 0.1}: what `nested` undoes."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def read_json(path: Path) -> Any:
    """The JSON document at `path`. Raises ConfigError where it can't be read."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: can't be read as JSON ({error})") from error
