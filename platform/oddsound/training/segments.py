"""Segments of a clip (§2.2): `segment_frames` consecutive frames, one every `segment_hop`.

    P = ⌊(frames − segment_frames) / segment_hop⌋ + 1

311 frames give P = 1 segment of 311, or 31 of 64 with a hop of 8; a whole clip is one segment.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from oddsound.config import ModelConfig
from oddsound.errors import DataError


@dataclass(frozen=True)
class Segments:
    """`frames` of each segment, `hop` from one to the next, `n` in a clip."""

    frames: int
    hop: int
    n: int

    @classmethod
    def of(cls, machine: str, clip_frames: int, config: ModelConfig) -> Segments:
        """Raises DataError where a clip is shorter than a segment, or that than the autoencoder's vectors."""
        frames = config.segment_frames or clip_frames
        if frames > clip_frames:
            raise DataError(
                f"{machine}: a clip has {clip_frames} frames, fewer than model.segment_frames {frames}; "
                "give at most that many, or 0 for whole clips"
            )
        if config.architecture != "classifier" and config.ae_view == "vectors" and config.ae_context > frames:
            raise DataError(
                f"{machine}: a segment has {frames} frames, fewer than model.ae_context {config.ae_context}"
            )
        return cls(frames, config.segment_hop, (clip_frames - frames) // config.segment_hop + 1)

    def gather(self, features: Tensor, rows: Tensor, numbers: Tensor) -> Tensor:
        """Segment `numbers[i]` of clip `rows[i]` of `features` (clips, bands, time): (n, bands, frames)
        float32. All three on one device."""
        if self.n == 1 and self.frames == features.shape[2]:
            return features[rows].float()
        return features.unfold(2, self.frames, 1)[rows, :, numbers * self.hop].float()

    def unfold(self, x: Tensor) -> Tensor:
        """(batch, bands, time) to all segments, (batch · n, bands, frames), clip after clip."""
        return x.unfold(2, self.frames, self.hop).permute(0, 2, 1, 3).flatten(0, 1)
