"""What the backbone tells apart: a machine type's sections, or each section's attribute combinations.

A class is named by its section (`00`) or by section and attributes as the file names spell them
(`00/vel_8_mic_1`). A test clip's attributes are not for the detector to know, so a clip is compared
with every class of its section, and the one that it fits best counts (`scoring.anomaly`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from oddsound.config import TrialConfig
from oddsound.errors import DataError
from oddsound.recordings.clip import Clip
from oddsound.scoring.table import candidate_classes

Labels = Literal["section", "attributes"]


@dataclass(frozen=True, eq=False)
class Classes:
    """`names`: sorted. `target`: (clips,) the class of each training clip, −1 for the others.
    `candidates`: (clips, classes), the classes of each clip's section."""

    names: tuple[str, ...]
    target: NDArray[np.int64]
    candidates: NDArray[np.bool_]


def classes_of(clips: Sequence[Clip], labels: Labels) -> Classes:
    """The classes among the training clips."""
    names = tuple(sorted({_class(clip, labels) for clip in clips if clip.split == "train"}))
    index = {name: i for i, name in enumerate(names)}
    target = [index[_class(clip, labels)] if clip.split == "train" else -1 for clip in clips]
    return Classes(names, np.array(target, np.int64), candidate_classes([c.section for c in clips], names))


def refuse_unlearnable(machine: str, clips: Sequence[Clip], config: TrialConfig) -> None:
    """Raises DataError where `config` can't learn from `clips` and then score all of them."""
    if not any(clip.split == "train" for clip in clips):
        raise DataError(f"{machine}: no training clips")
    if config.model.architecture == "autoencoder":
        return
    classes = classes_of(clips, config.training.labels)
    if len(classes.names) < 2:
        remedy = "set model.architecture=autoencoder, which tells nothing apart"
        if len(classes_of(clips, "attributes").names) > 1:
            remedy += ", or training.labels=attributes"
        raise DataError(
            f"{machine}: training clips of {len(classes.names)} {_what(config.training.labels)}; a "
            f"classifier needs 2 at least: {remedy}"
        )
    lost = sorted(
        {clip.section for clip, known in zip(clips, classes.candidates, strict=True) if not known.any()}
    )
    if lost:
        raise DataError(
            f"{machine}: section(s) {', '.join(lost)} have test clips and no training clips; "
            "add their training clips or leave the test clips out"
        )


def _class(clip: Clip, labels: Labels) -> str:
    return clip.section if labels == "section" else f"{clip.section}/{clip.attributes}"


def _what(labels: Labels) -> str:
    return "section" if labels == "section" else "combination of section and attributes"
