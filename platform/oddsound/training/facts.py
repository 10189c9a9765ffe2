"""What must be known beside configuration and weights to score a clip where the training data isn't."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from oddsound.config import Count, Strict, TrialConfig
from oddsound.errors import BundleError, ScoreError
from oddsound.scoring.table import ScoreTable
from oddsound.scoring.threshold import Method, section_thresholds
from oddsound.training.bundle import Bundle

CONFIG, WEIGHTS, FACTS = "config.json", "weights.safetensors", "detector.json"
"""The files of a packaged detector that our own loader reads."""

Finite = Annotated[float, Field(allow_inf_nan=False)]


class SectionFacts(Strict):
    """A section's threshold (the 0.9 quantile of the gamma, `scoring.threshold`) and of which training
    scores it was made."""

    threshold: Finite
    n_train: Count
    mean: Finite
    std: Finite
    minimum: Finite
    maximum: Finite


class DetectorFacts(Strict):
    """detector.json. `classes`: in the order of the network's outputs, none for an autoencoder;
    `clip_frames`: of the clips that it was trained on, the shorter padded; 0 where that isn't known."""

    machine: str
    trial: str
    finished: str
    """When the trial was, UTC, ISO 8601."""
    classes: tuple[str, ...]
    sample_rate: Count
    clip_frames: Annotated[int, Field(ge=0)]
    n_segments: Count
    sections: dict[str, SectionFacts]


def facts_of(bundle: Bundle, config: TrialConfig) -> DetectorFacts:
    """Of a whole bundle. Raises BundleError where a part is damaged or another trial's."""
    try:
        result, table = bundle.result(), bundle.scores()
    except ScoreError as error:
        raise BundleError(str(error)) from error
    if table.machine != config.machine or (result.classes and tuple(result.classes) != table.classes):
        raise BundleError(f"{bundle.path}: scores.npz is of another trial; remove the folder")
    return DetectorFacts(
        machine=config.machine,
        trial=result.trial,
        finished=result.finished,
        classes=table.classes,
        sample_rate=config.features.sample_rate,
        clip_frames=result.clip_frames,
        n_segments=table.probabilities.shape[1],
        sections=section_facts(table),
    )


def section_facts(table: ScoreTable, method: Method = "gamma") -> dict[str, SectionFacts]:
    """By section, from the table's training clips, its threshold by `method`; a section without any is
    left out."""
    train = table.train()
    return {
        section: _section(threshold, train.score[train.section == section])
        for section, threshold in section_thresholds(train, method=method).items()
    }


def _section(threshold: float, scores: np.ndarray[tuple[int], np.dtype[np.float64]]) -> SectionFacts:
    return SectionFacts(
        threshold=threshold,
        n_train=len(scores),
        mean=float(scores.mean()),
        std=float(scores.std()),
        minimum=float(scores.min()),
        maximum=float(scores.max()),
    )
