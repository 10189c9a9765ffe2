"""A trained network over clips: the ScoreTable."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from oddsound.config import TrialConfig
from oddsound.errors import TrialError
from oddsound.models.joint import JointModel
from oddsound.recordings.names import layout_of
from oddsound.scoring.anomaly import anomaly_score, baseline_code_score, softmax
from oddsound.scoring.table import ScoreTable
from oddsound.scoring.years import rules_of
from oddsound.training.data import LABELS
from oddsound.training.epoch import Lesson
from oddsound.training.inference import outputs_by_clip, outputs_in_batches

Float = NDArray[np.float64]


def score_clips(
    model: JointModel,
    config: TrialConfig,
    lesson: Lesson,
    rows: NDArray[np.intp],
    *,
    in_batches: bool = False,
) -> ScoreTable:
    """The table of the clips at `rows`, scored over all their segments.

    A network with logits scores by eq. 3; an autoencoder by its mean squared error. `in_batches` is faster,
    and its last bits depend on which clips are scored together: for figures of an epoch. Raises TrialError
    if the network gives something that isn't a number.
    """
    network = model.logits if model.classifies else model.errors
    outputs = _segment_outputs(model, network, lesson, rows, in_batches=in_batches)
    if model.classifies:
        score, probabilities = judged(config, outputs, lesson.classes.candidates[rows])
    else:
        score, probabilities = outputs.mean(axis=1), np.zeros((len(rows), 1, 0))
    data = lesson.data
    clips = [data.clips[row] for row in rows]
    return ScoreTable(
        machine=data.machine,
        classes=lesson.classes.names if model.classifies else (),
        file=np.array([clip.file for clip in clips]),
        section=np.array([clip.section for clip in clips]),
        domain=np.array([clip.domain for clip in clips]),
        split=np.array([clip.split for clip in clips]),
        label=np.array([LABELS[clip.label] for clip in clips], dtype=np.int8),
        score=score,
        probabilities=probabilities,
        rules=rules_of(layout_of(data.clips)),
    )


def judged(config: TrialConfig, logits: Float, candidates: NDArray[np.bool_]) -> tuple[Float, Float]:
    """Scores (n,) and softmax (n, segments, classes) of logits of that shape; candidates: (n, classes)."""
    probabilities = softmax(logits)
    if config.training.anomaly_score == "baseline_code":
        return baseline_code_score(probabilities, candidates), probabilities
    return anomaly_score(logits, candidates), probabilities


def _segment_outputs(
    model: JointModel,
    network: Callable[[Tensor], Tensor],
    lesson: Lesson,
    rows: NDArray[np.intp],
    *,
    in_batches: bool = False,
) -> Float:
    """(rows, segments, …) of what `network` gives for each segment, the model in evaluation mode and
    left as it was."""
    was_training = model.training
    model.eval()
    outputs = (outputs_in_batches if in_batches else outputs_by_clip)(
        network, lambda i: lesson.features[rows[i]], len(rows), lesson.segments, lesson.device, lesson.alive
    )
    model.train(was_training)
    if not np.isfinite(outputs).all():
        raise TrialError(
            f"{lesson.data.machine}: the network's outputs are not finite; lower the learning rate"
        )
    return outputs
