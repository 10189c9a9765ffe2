"""Recordings to be scored: taken whole, or converted and cut as those that a model was trained on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from oddsound.recordings import reader
from oddsound.recordings.plain import Preparing
from oddsound.recordings.plain.cuts import cut
from oddsound.search.record import read_record
from oddsound.training.verdicts import MachineModel, NewClip, refuse_much_longer


@dataclass
class Taking:
    """`clip_seconds`: recordings are cut into clips of that; 0: they are clips. `resample`: whether other
    sample rates are converted or refused. `left_out_s`: what so far filled no clip."""

    resample: bool
    clip_seconds: float
    left_out_s: float = 0.0

    def clips(self, path: Path, section: str, scorer: MachineModel, sample_rate: int) -> Iterator[NewClip]:
        """What is scored of the recording at `path`, which has `sample_rate` (Hz).

        Raises RecordingError where it can't be used, naming the option that would help.
        """
        rate, name = scorer.sample_rate, str(path)
        if sample_rate == rate and not self.clip_seconds:
            yield NewClip(name, section, reader.read_clip(path, rate))
            return
        cuts = cut(path, rate, self.clip_seconds, resample=self.resample)
        if not self.clip_seconds:
            refuse_much_longer(scorer, name, cuts.length)
        for start in cuts.starts:
            start_s = start / rate
            part = f"{name}#t={start_s}" if len(cuts.starts) > 1 else name
            yield NewClip(part, section, cuts.clip(start), recording=name, start_s=start_s)
        self.left_out_s += cuts.rest / rate


def taking(run: Path | None, resample: bool, clip_seconds: float | None) -> Taking:
    """As asked for; what isn't, as `run` took its own recordings, where those were plain folders."""
    kept = {}
    if run is not None and (run / "recordings").is_dir():
        kept = {"clip_seconds": Preparing().clip_seconds}
        asked = read_record(run).command.get("options") or {}
        kept |= {name: asked[name] for name in ("resample", "clip_seconds") if asked.get(name) is not None}
    seconds = kept.get("clip_seconds", 0.0) if clip_seconds is None else clip_seconds
    return Taking(resample or bool(kept.get("resample")), Preparing(clip_seconds=float(seconds)).clip_seconds)
