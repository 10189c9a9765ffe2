"""What a user writes, as pydantic models: unknown keys are errors that name the near ones.

`TrialConfig` is everything that decides a trial's outcome; its hash is the trial's identity. The
defaults are the paper's (§2, §3, Tables 2 and 3.2's settings); docs/decisions.md says which reading
was taken where the paper leaves one open, and `oddsound.recipes` holds the systems of Table 1.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from oddsound.errors import ConfigError

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0, le=1)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Model = TypeVar("Model", bound=BaseModel)
Where = str | Callable[[tuple[int | str, ...]], str]
"""A name for where settings come from, or what names it for the setting at a path."""

IDENTITY_FORMAT = 3
"""Goes up whenever a default changes its value, for identities leave defaults out, and in a released
version whenever the same settings come to mean another computation."""

RecipeName = Literal[
    "ae_baseline",
    "mobilenet_baseline",
    "effnet",
    "effnet_pretrain",
    "effnet_pretrain_mixup",
    "effnet_pretrain_median_mixup",
    "effnet_median",
    "effnet_median_mixup",
]


class Strict(BaseModel):
    """Frozen, and any key it doesn't know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class AsWritten(Strict):
    """What a user writes is of its type already: no `2.0` for a count, no `true` for a number."""

    model_config = ConfigDict(strict=True)


class FeatureConfig(AsWritten):
    """The log-mel front end (§3); whatever stands here is part of the cache's key."""

    sample_rate: Count = 16_000
    """Hz; recordings of another rate are refused."""
    n_fft: Count = 1024
    """Samples of an analysis window."""
    hop_length: Count = 512
    """Samples from one frame to the next."""
    n_mels: Count = 128
    """Mel bands."""
    f_min: Annotated[float, Field(ge=0)] = 0.0
    """Hz, where the lowest band begins."""
    f_max: Positive = 8_000.0
    """Hz, where the highest band ends; half the sample rate at most."""
    center: bool = False
    """Frames centred on multiples of the hop, the ends reflected: the baselines' 313 frames for 311."""
    mel_scale: Literal["htk", "slaney"] = "htk"
    """How bands are spaced: torchaudio's default, or librosa's."""
    mel_norm: Literal["none", "slaney"] = "none"
    """slaney: each band's triangle has unit area, as librosa's."""
    power_floor: Positive = 1e-10
    """The least power that the logarithm sees."""
    top_db: Positive | None = 120.0
    """How far below its loudest value a clip may go; null: as far as it does."""
    median_frames: Annotated[int, Field(ge=0)] = 0
    """Width of the median filter along time, in frames; 0 is off, the paper's is 30 (§2.4)."""
    precision: Literal["float32", "float64"] = "float32"
    """Of the arithmetic; float64 is the slower reference, several times."""
    dtype: Literal["float32", "float16"] = "float32"
    """Of the cached features."""

    @model_validator(mode="after")
    def _is_a_band(self) -> Self:
        if not self.f_min < self.f_max <= self.sample_rate / 2:
            raise ValueError(f"f_min {self.f_min:g} < f_max {self.f_max:g} <= sample_rate/2 must hold")
        return self


class AugmentConfig(AsWritten):
    """What is done to a batch (§2.4)."""

    mixup_alpha: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """λ ~ Beta(α, α), one a batch; 0 is off."""
    time_mask_frames: Annotated[int, Field(ge=0)] = 31
    """The widest mask, in frames of what the network sees, a clip or a segment; 0 is off."""
    time_shift: Annotated[float, Field(ge=0, le=0.5)] = 0.15
    """The farthest circular shift either way, as a fraction of what the network sees; 0 is off."""


class ModelConfig(AsWritten):
    """The autoencoder of Table 2, the backbone, and the two projections (§2.3, §3.2)."""

    architecture: Literal["joint", "classifier", "autoencoder"] = "joint"
    """joint: Figure 1. classifier: the backbone with its head alone. autoencoder: that alone, whose
    anomaly score is the mean squared error."""
    backbone: Literal["efficientnet_b0", "tf_efficientnet_b0", "tf_efficientnet_lite0", "mobilenetv2"] = (
        "efficientnet_b0"
    )
    """tf_: batch norm and padding as TensorFlow has them, which weights from there need."""
    input_channels: Literal[1, 3] = 1
    """3: the log-mel three times, as the MobileNetV2 baseline has it."""
    activation: Literal["auto", "swish", "relu6"] = "auto"
    """Of the backbone. auto: its own, but relu6 where ImageNet's Lite0 weights are loaded."""
    initialisation: Literal["torch", "keras"] = "torch"
    """keras: Glorot-uniform weights, batch norm's ε 1e-3 and momentum 0.99, or MobileNetV2's 0.999: as the
    official baselines have it."""
    pooling: Literal["gamp", "avg", "max", "avgmax", "catavgmax"] = "gamp"
    """gamp: the paper's (§3.2). The others are timm's."""
    segment_frames: Annotated[int, Field(ge=0)] = 0
    """Frames that the network sees at once; 0 is the whole clip (P = 1 in eq. 3)."""
    segment_hop: Count = 8
    """Frames from one segment to the next."""
    width: Positive = 1.0
    """Multiplies the backbone's channels; 1 is the paper's network, less is for quick looks."""
    depth: Positive = 1.0
    """Multiplies the backbone's layers in each stage."""
    pretrained: Annotated[str, Field(min_length=1)] = "none"
    """The backbone's weights before training: none, imagenet, audioset, timm:<tag>, models:/<name>/<version>
    or a checkpoint's path."""
    pretrained_sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    """Of the file that those weights come from; the search fills it in."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share of the backbone's pooled features that is dropped in training."""
    ae_view: Literal["vectors", "segment"] = "vectors"
    """vectors: v_AE is the mean over vectors of `ae_context` frames. segment: one vector a segment."""
    ae_context: Count = 5
    """Frames that the autoencoder sees at once."""
    ae_hidden: Count = 128
    """Width of its hidden layers."""
    ae_bottleneck: Count = 32
    """Width of its narrowest layer."""
    projection: Count = 256
    """Width of both projections, in which eq. 4 compares the branches."""
    normalise: Literal["none", "backbone", "projection"] = "projection"
    """What is scaled to unit length before eq. 4; but for `projection` its value has no lower bound."""
    standardise: Literal["none", "per_machine"] = "none"
    """per_machine: each mel band is scaled by its mean and deviation over the machine type's training
    clips."""


class LossConfig(AsWritten):
    """eq. 1, 2, 4 and 5."""

    contrastive: Literal["eq4", "nt_xent"] = "eq4"
    """eq4: as printed. nt_xent: symmetric, with the positive pair in the denominator, as the authors' code
    has it."""
    rho: Positive = 0.07
    """The temperature ρ of eq. 4."""
    reconstruction_weight: Weight = 1.0
    """Of eq. 1 in eq. 5."""
    section_weight: Weight = 1.0
    """Of eq. 2, the cross entropy, in eq. 5."""
    contrastive_weight: Weight = 1.0
    """Of eq. 4 in eq. 5."""
    hard_fraction: Rate = 1.0
    """Share of a batch, the clips of the highest cross entropy, that eq. 2 averages; 1 is all of it."""


class TrainingConfig(AsWritten):
    """§3: 300 epochs of batches of 32, learning rates halved every 30 epochs, Adam."""

    epochs: Count = 300
    """Rounds of as many draws as there are training clips, or segments where they are cut."""
    batch_size: Annotated[int, Field(ge=2)] = 32
    """Clips, or segments where they are cut, of a step."""
    lr_autoencoder: Rate = 1e-3
    """Adam's learning rate of the autoencoder."""
    lr_backbone: Rate = 1e-3
    """Adam's learning rate of everything else."""
    halve_every: Annotated[int, Field(ge=0)] = 30
    """Epochs between two halvings of the learning rates; 0 leaves them as they are."""
    target_share: Fraction = 0.2
    """Share of the draws that come from the target domain (§3.2); 0 draws every clip alike."""
    segments_per_clip: Annotated[int, Field(ge=0)] = 0
    """Segments drawn from each training clip in an epoch; 0 is all of them."""
    holdout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the training clips, the last ones, that isn't trained on (Keras' validation_split)."""
    labels: Literal["section", "attributes"] = "section"
    """What the backbone tells apart: sections, or each section's combinations of attributes."""
    selection: Literal["last", "best_dev_omega"] = "last"
    """Which epoch's weights count; best_dev_omega looks at the labels of the test clips."""
    anomaly_score: Literal["eq3", "baseline_code"] = "eq3"
    """baseline_code: mean of log((1 − p) − log p), as the MobileNetV2 baseline's code has it."""
    evaluate_every: Count = 1
    """Epochs between two evaluations of omega; the last epoch is always evaluated."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16: the backbone's convolutions under autocast; losses and scores stay float32."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Of everything that is random in a trial; a search gives it, from --seed on."""


class TrialConfig(AsWritten):
    """Everything that decides a trial's outcome. Same hash, same data, same machine = same scores."""

    machine: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
    """The machine type, as its folder is named."""
    recipe: Literal["", RecipeName] = ""
    """The system of Table 1 that this is, if it is one."""
    features: FeatureConfig = FeatureConfig()
    """The log-mel front end (§3); whatever stands here is part of the cache's key."""
    augment: AugmentConfig = AugmentConfig()
    """What is done to a batch (§2.4)."""
    model: ModelConfig = ModelConfig()
    """The autoencoder of Table 2, the backbone, and the two projections (§2.3, §3.2)."""
    loss: LossConfig = LossConfig()
    """eq. 1, 2, 4 and 5."""
    training: TrainingConfig = TrainingConfig()
    """Epochs, batches, learning rates, and which epoch counts (§3)."""

    @property
    def identity(self) -> str:
        """16 hex digits of the SHA-256 of what isn't a default: the trial's name everywhere.

        A setting that a later version adds leaves the identities of today as they are.
        """
        settings = [IDENTITY_FORMAT, self.model_dump(exclude_defaults=True)]
        canonical = json.dumps(settings, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def validated(model: type[Model], values: Mapping[str, Any], where: Where) -> Model:
    """`model` built from `values`, or a ConfigError that says where, what and what was near."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise ConfigError(_explained(model, error, where)) from error


def flaws_of(path: str, value: Any) -> list[str]:
    """Why a trial's dotted setting `path` can't be `value`, whatever the others are; none where it can."""
    place = tuple(path.split("."))
    try:
        TrialConfig.model_validate({"machine": "any", **nested({path: value})})
    except ValidationError as error:
        found = [each for each in error.errors() if each["loc"][: len(place)] == place]
        return [_explain(TrialConfig, each) for each in found]
    return []


def _explained(model: type[BaseModel], error: ValidationError, where: Where) -> str:
    """What is wrong, each with its place; a name that is the same for all is said once."""
    if isinstance(where, str):
        return f"{where}: " + "; ".join(_explain(model, e) for e in error.errors())
    return "; ".join(f"{where(e['loc'])}: {_explain(model, e)}" for e in error.errors())


def _explain(model: type[BaseModel], error: Any) -> str:
    path = ".".join(str(part) if str(part).isprintable() else ascii(part) for part in error["loc"])
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
