"""A trained network over clips: the ScoreTable."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from oddsound.errors import TrialError
from oddsound.models.joint import JointModel
from oddsound.scoring.anomaly import anomaly_score, softmax
from oddsound.scoring.table import ScoreTable
from oddsound.training.data import LABELS, MachineData

BATCH = 64


def score_clips(model: JointModel, data: MachineData, rows: NDArray[np.intp]) -> ScoreTable:
    """The table of the clips at `rows`, one segment a clip (P = 1 in eq. 3).

    Raises TrialError where the network gives something that isn't a number.
    """
    logits = _logits(model, data, rows)[:, None, :]
    if not np.isfinite(logits).all():
        raise TrialError(
            f"{data.machine}: the network gives logits that are not finite; lower the learning rate"
        )
    clips = [data.clips[row] for row in rows]
    return ScoreTable(
        machine=data.machine,
        classes=data.classes,
        file=np.array([clip.file for clip in clips]),
        section=np.array([clip.section for clip in clips]),
        domain=np.array([clip.domain for clip in clips]),
        split=np.array([clip.split for clip in clips]),
        label=np.array([LABELS[clip.label] for clip in clips], dtype=np.int8),
        score=anomaly_score(logits, data.targets[rows]),
        probabilities=softmax(logits),
    )


@torch.inference_mode()
def _logits(model: JointModel, data: MachineData, rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """(rows, classes), the network in evaluation mode and left as it was."""
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    parts = []
    for start in range(0, len(rows), BATCH):
        x = torch.from_numpy(np.asarray(data.features[rows[start : start + BATCH]], np.float32))
        parts.append(model.logits(x.to(device)).double().cpu().numpy())
    model.train(was_training)
    return np.concatenate(parts)
