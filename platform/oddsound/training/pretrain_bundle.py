"""The bundle of a pretraining: what it leaves on storage before anyone hears of it.

<pretrain>/<identity>/
    config.json          the PretrainConfig, written first
    checkpoint.pt        while it trains; removed at the end
    weights.safetensors  the backbone alone, after the last epoch
    labels.json          what it was taught to tell apart
    history.json         one object an epoch
    result.json          last: a bundle that has it is whole
    failure.json         why it last failed, where it did
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from oddsound.errors import BundleError
from oddsound.training.bundle import Bundle
from oddsound.training.pretrain_config import PretrainConfig


@dataclass(frozen=True)
class PretrainResult:
    """result.json. `metrics` holds `metric` and its chance level `chance`, as fractions."""

    identity: str
    corpus: str
    metric: str
    """accuracy (one label a clip) or mean_average_precision (several)."""
    metrics: dict[str, float]
    n_clips: int
    n_held_out: int
    n_classes: int
    n_parameters: int
    """Of the backbone."""
    corpus_digest: str
    weights_sha256: str
    first_block_sha256: str
    """Of the backbone's first block as it is saved: a detector that starts from it has the same."""
    seconds: float
    """Of all epochs."""
    finished: str
    """UTC, ISO 8601."""
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """What the best pretraining of a corpus is chosen by."""
        return self.metrics[self.metric]


@dataclass(frozen=True)
class PretrainBundle(Bundle):
    """One pretraining's folder."""

    def settings(self) -> PretrainConfig:
        try:
            return PretrainConfig.model_validate(self._read("config.json"))
        except ValueError as error:
            raise BundleError(f"{self.path}/config.json: not of a pretraining ({error})") from error

    def outcome(self) -> PretrainResult:
        try:
            return PretrainResult(**self._read("result.json"))
        except TypeError as error:
            raise BundleError(f"{self.path}/result.json: not of a pretraining ({error})") from error

    def write_outcome(self, result: PretrainResult) -> None:
        self.write("result.json", asdict(result))
