"""New clips and what a model says of them; what a model of one machine type is, whatever it is made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from oddsound.errors import OddsoundError, RecordingError
from oddsound.scoring.table import ScoreTable
from oddsound.training.facts import SectionFacts

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class NewClip:
    """A clip to be scored: what it is called, the section that it claims, its samples (n,), full scale ±1.

    `recording`: the file that it is a part of, from `start_s` s on; "" where it is the file `file`.
    """

    file: str
    section: str
    samples: NDArray[np.float32]
    recording: str = ""
    start_s: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """What a model says of a clip; `decision` is 1 above the section's threshold, else 0.

    `section_probabilities`: by section, the softmax averaged over segments; none of an autoencoder.
    """

    file: str
    machine: str
    section: str
    anomaly_score: float
    threshold: float
    decision: int
    section_probabilities: dict[str, float] = field(default_factory=dict)
    start_s: float = 0.0
    """Where in `file` the clip begins."""


class MachineModel(Protocol):
    """What scores the clips of one machine type: a detector, or several of them fused."""

    @property
    def machine(self) -> str: ...

    @property
    def sample_rate(self) -> int: ...

    @property
    def full_samples(self) -> int:
        """The fewest samples that aren't padded to the length of the clips it was trained on."""
        ...

    @property
    def sections(self) -> Mapping[str, SectionFacts]: ...

    def table(self, clips: Sequence[NewClip]) -> ScoreTable:
        """One row a clip, in their order; no row depends on another clip."""
        ...


def refuse_section(model: MachineModel, clip: NewClip) -> None:
    """Raise RecordingError for a section that the model doesn't know."""
    if clip.section not in model.sections:
        raise RecordingError(
            f"{clip.file}: section {clip.section!r} is unknown to the model of {model.machine}; it knows "
            f"{', '.join(model.sections)}"
        )


def refuse_much_longer(model: MachineModel, file: str, n_samples: int) -> None:
    """Raise RecordingError for a recording of more than twice a clip's length; `table` is exact about it,
    this is for those whose samples had better not be read."""
    if n_samples > 2 * model.full_samples:
        own, most = (n / model.sample_rate for n in (n_samples, model.full_samples))
        raise RecordingError(
            f"{file}: {own:.2f} s; the model of {model.machine} is for {most:.2f} s: cut it, "
            "e.g. by --clip-seconds"
        )


def verdicts(model: MachineModel, clips: Sequence[NewClip]) -> list[Verdict]:
    """What `model` says of each clip, in their order. Errors as `table` of the model raises them."""
    if not clips:
        return []
    table = model.table(clips)
    means = table.probabilities.mean(axis=1)
    return [
        _verdict(model, clip, float(score), dict(_by_section(table.classes, row)))
        for clip, score, row in zip(clips, table.score, means, strict=True)
    ]


def _verdict(model: MachineModel, clip: NewClip, score: float, probabilities: dict[str, float]) -> Verdict:
    threshold = model.sections[clip.section].threshold
    decision = int(score > threshold)
    file = clip.recording or clip.file
    return Verdict(file, model.machine, clip.section, score, threshold, decision, probabilities, clip.start_s)


def _by_section(classes: Sequence[str], probabilities: Float) -> Iterable[tuple[str, float]]:
    sections = [name.partition("/")[0] for name in classes]
    for section in dict.fromkeys(sections):
        own = [float(p) for s, p in zip(sections, probabilities, strict=True) if s == section]
        yield section, sum(own)


def batches(clips: Iterable[NewClip], size: int) -> Iterator[list[NewClip]]:
    """`clips` in lists of `size`, so that no more are held at once. Where `clips` raises, the clips before
    come first."""
    batch: list[NewClip] = []
    source = iter(clips)
    while True:
        try:
            clip = next(source, None)
        except OddsoundError:
            if batch:
                yield batch
            raise
        if clip is not None:
            batch.append(clip)
        if batch and (clip is None or len(batch) == size):
            yield batch
            batch = []
        if clip is None:
            return
