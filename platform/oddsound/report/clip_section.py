"""The part of a report that is seen and heard: the most and least anomalous clips of a trial."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from oddsound.config import FeatureConfig
from oddsound.report.blocks import drawn, lacking
from oddsound.report.clips import (
    ORIGINS,
    Chosen,
    Floats,
    Origin,
    choose,
    flac_uri,
    origins,
    read_recording,
    recorded_tests,
    spectrogram_figure,
    spectrograms,
)
from oddsound.report.html import Child, Html, element
from oddsound.report.run_folder import Trial
from oddsound.scoring.table import ScoreTable

_CUT = (
    "Cut from recordings in plain folders, which are one section (00) and one domain (source) in the figures "
    "above. Which clip is which second of which recording: "
)
_KINDS = {"most": "Among the most anomalous", "least": "Among the least anomalous"}


def clips_section(
    best: Trial, scores: ScoreTable, machine: str, data: Path, name: Callable[[str], str], *, audio: bool
) -> Child:
    """Spectrograms and players; where the recordings can't be had it says why. name: makes ids."""
    heading = element("h3", "Clips, seen and heard" if audio else "Clips")
    chosen, config = choose(scores), best.config
    assert config is not None
    if not chosen:
        return [heading, lacking(["The trial has no test clips."])]
    paths = recorded_tests(data, machine)
    if isinstance(paths, str):
        return [heading, lacking([f"No spectrograms and no audio, for the recordings can't be had: {paths}"])]
    figures: list[Html] = []
    notes: list[str] = []
    known = origins(data, machine)
    for number, clip in enumerate(chosen):
        samples = read_recording(paths[clip.file], config.features) if clip.file in paths else None
        if samples is None or isinstance(samples, str):
            notes.append(samples or f"{clip.file}: no longer among the recordings")
        else:
            heard = _Heard(clip, samples, config.features, known.get(clip.file))
            figures.append(_clip(heard, name(f"clip{number}"), audio=audio))
    if config.features.median_frames < 2:
        notes.append("This trial has no median filter, so each spectrogram stands alone.")
    whence = element("p", _CUT, element("code", f"{data.parent.name}/{data.name}/{ORIGINS}"), ".")
    return [heading, whence if known else None, lacking(notes), element("div", figures, class_="figures")]


@dataclass(frozen=True)
class _Heard:
    """A clip with its samples; `origin`: where it was cut from, None where it is as it was recorded."""

    clip: Chosen
    samples: Floats
    config: FeatureConfig
    origin: Origin | None

    @property
    def name(self) -> str:
        return self.origin.recording if self.origin else self.clip.file

    @property
    def facts(self) -> str:
        """Plain folders know neither sections nor domains."""
        clip = self.clip
        place = str(self.origin or f"section {clip.section}{f', {clip.domain}' if clip.domain else ''}")
        return f"{place}, {clip.label or 'label not known'}, score {clip.score:.2f}"


def _clip(heard: _Heard, name: str, *, audio: bool) -> Html:
    raw, filtered = spectrograms(heard.samples, heard.config)
    seconds = len(heard.samples) / heard.config.sample_rate
    says = f"Log-mel spectrogram of {heard.name}, {seconds:.1f} s, {heard.facts}; "
    says += f"from {raw.min():.0f} to {raw.max():.0f} dB"
    says += ", before and after the median filter." if filtered is not None else "."
    remark: list[Child] = [element("code", heard.name), f" {heard.facts}."]
    picture = spectrogram_figure(raw, filtered, heard.config)
    below = _player(heard) if audio else None
    return drawn(picture, name, _KINDS[heard.clip.kind], says, "clips", remark, below=below)


def _player(heard: _Heard) -> Html:
    address, what = flac_uri(heard.samples, heard.config.sample_rate), f"Recording {heard.name}"
    return element("audio", controls=True, preload="auto", aria_label=what, src=address)
