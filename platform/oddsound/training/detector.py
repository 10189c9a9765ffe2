"""A trained network on clips that it has never seen, with nothing of its training data at hand.

A clip goes the way that it went in training: log-mel, median filter, padded to the length of the clips
there, cut into segments, eq. 3 or the reconstruction's error. Its score depends on no other clip: it is the
same to the last bit alone, among others and in the trial's own table (`training.inference`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from oddsound.config import TrialConfig
from oddsound.errors import ModelError, OddsoundError, RecordingError
from oddsound.features.logmel import log_mel, n_frames
from oddsound.features.median import median_along_time
from oddsound.models.joint import JointModel
from oddsound.models.strict import load_strictly
from oddsound.scoring.table import UNKNOWN, ScoreTable, candidate_classes
from oddsound.training.bundle import Bundle
from oddsound.training.device import exact_device
from oddsound.training.facts import CONFIG, FACTS, WEIGHTS, DetectorFacts, SectionFacts, facts_of
from oddsound.training.inference import outputs_by_clip
from oddsound.training.scores import judged
from oddsound.training.sealed import Sealed, digest
from oddsound.training.segments import Segments
from oddsound.training.verdicts import NewClip, refuse_section

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Detector:
    """One trial's network and what its clips were. `where` is what messages call it."""

    where: str
    config: TrialConfig
    facts: DetectorFacts
    network: JointModel

    @property
    def machine(self) -> str:
        return self.config.machine

    @property
    def sample_rate(self) -> int:
        return self.config.features.sample_rate

    @property
    def full_samples(self) -> int:
        features = self.config.features
        window = 0 if features.center else features.n_fft
        return (self.facts.clip_frames - 1) * features.hop_length + window

    @property
    def sections(self) -> Mapping[str, SectionFacts]:
        return self.facts.sections

    def table(self, clips: Sequence[NewClip]) -> ScoreTable:
        """The clips' scores; (clips, segments, classes) probabilities. Each `file` must be another one.

        Raises RecordingError for a clip that is too long, too short, not finite or of an unknown section,
        and ModelError if the network gives something that isn't a number.
        """
        score, probabilities = self._scored(clips)
        return ScoreTable(
            machine=self.machine,
            classes=self.facts.classes,
            file=np.array([clip.file for clip in clips], dtype=np.str_),
            section=np.array([clip.section for clip in clips], dtype=np.str_),
            domain=np.array([""] * len(clips), dtype=np.str_),
            split=np.array(["test"] * len(clips), dtype=np.str_),
            label=np.full(len(clips), UNKNOWN, dtype=np.int8),
            score=score,
            probabilities=probabilities,
        )

    def _scored(self, clips: Sequence[NewClip]) -> tuple[Float, Float]:
        """Anomaly scores (n,) and softmax (n, segments, classes)."""
        for clip in clips:
            refuse_section(self, clip)
        outputs = self._outputs(clips)
        for clip, own in zip(clips, outputs, strict=True):
            if not np.isfinite(own).all():
                raise ModelError(f"{self.where}: its network gives no finite number for {clip.file}")
        if not self.network.classifies:
            return outputs.mean(axis=1), np.zeros((len(clips), 1, 0))
        return judged(
            self.config, outputs, candidate_classes([clip.section for clip in clips], self.facts.classes)
        )

    def _outputs(self, clips: Sequence[NewClip]) -> Float:
        """(n, segments, …) of what the network gives."""
        return outputs_by_clip(
            self.network.logits if self.network.classifies else self.network.errors,
            lambda i: torch.from_numpy(self._features(clips[i])),
            len(clips),
            Segments.of(self.machine, self.facts.clip_frames, self.config.model),
            next(self.network.parameters()).device,
        )

    def _features(self, clip: NewClip) -> NDArray[np.float32]:
        """(bands, clip_frames), as the feature cache has them."""
        config, frames = self.config.features, self.facts.clip_frames
        own = _frames(clip, self)
        values = median_along_time(
            log_mel(torch.from_numpy(clip.samples), config).numpy(), config.median_frames
        )
        padded = np.zeros((config.n_mels, frames), config.dtype)
        padded[:, :own] = values
        return padded.astype(np.float32)


def _frames(clip: NewClip, of: Detector) -> int:
    """How many frames the clip has. Raises RecordingError for one that the network can't be given."""
    if clip.samples.ndim != 1 or not np.isfinite(clip.samples).all():
        raise RecordingError(f"{clip.file}: samples that aren't finite, or not of one channel")
    try:
        own = n_frames(len(clip.samples), of.config.features)
    except RecordingError as error:
        raise RecordingError(f"{clip.file}: {error}") from error
    most = of.facts.clip_frames
    if own > most:
        raise RecordingError(
            f"{clip.file}: {len(clip.samples) / of.sample_rate:.2f} s, {own} frames; {of.where} is for clips "
            f"of {most} ({of.full_samples / of.sample_rate:.2f} s): cut it"
        )
    return own


def load_detector(sealed: Sealed, prefix: str = "") -> Detector:
    """The detector whose files lie at `prefix` in a sealed model; only its three data files are read.

    Raises ModelError, naming the file, where one isn't what the seal says or not what a detector has.
    """
    config = sealed.document(f"{prefix}{CONFIG}", TrialConfig)
    facts = sealed.document(f"{prefix}{FACTS}", DetectorFacts)
    return build_detector(sealed.where, config, facts, sealed.path(f"{prefix}{WEIGHTS}"))


def load_bundle(bundle: Bundle) -> Detector:
    """The detector of a whole trial bundle. Raises BundleError, ScoreError and ModelError."""
    config, result = bundle.config(), bundle.result()
    if digest(bundle.weights, str(bundle.path)) != result.weights_sha256:
        raise ModelError(f"{bundle.weights}: not the weights that result.json is of; damaged or replaced")
    return build_detector(str(bundle.path), config, facts_of(bundle, config), bundle.weights)


def build_detector(where: str, config: TrialConfig, facts: DetectorFacts, weights: Path) -> Detector:
    """The network of `config` with these weights, on the GPU where there is one."""
    if facts.machine != config.machine or facts.sample_rate != config.features.sample_rate:
        raise ModelError(f"{where}: {FACTS} and {CONFIG} are of different trials")
    if not facts.clip_frames:
        raise ModelError(
            f"{where}: trained by a version that didn't say how long its clips were; train it again"
        )
    try:
        frames = Segments.of(config.machine, facts.clip_frames, config.model).frames
        network = load_strictly(partial(_network, config, len(facts.classes), frames), weights)
    except ModelError:
        raise
    except (OddsoundError, ValueError, RuntimeError) as error:
        raise ModelError(f"{where}: {CONFIG} makes no network ({error})") from error
    return Detector(where, config, facts, network.to(exact_device()))


def _network(config: TrialConfig, n_classes: int, frames: int) -> JointModel:
    bfloat16 = config.training.precision == "bfloat16"
    return JointModel(config.model, config.features, n_classes, frames, bfloat16=bfloat16)
