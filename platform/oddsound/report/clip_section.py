"""The part of a report that is seen and heard: the most and least anomalous clips of a trial."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from oddsound.config import FeatureConfig
from oddsound.report.blocks import drawn, lacking
from oddsound.report.clips import (
    Chosen,
    Floats,
    choose,
    flac_uri,
    read_recording,
    recorded_tests,
    spectrogram_figure,
    spectrograms,
)
from oddsound.report.html import Child, Html, element
from oddsound.report.run_folder import Trial
from oddsound.scoring.table import ScoreTable

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
    for number, clip in enumerate(chosen):
        samples = read_recording(paths[clip.file], config.features) if clip.file in paths else None
        if samples is None or isinstance(samples, str):
            notes.append(samples or f"{clip.file}: no longer among the recordings")
        else:
            figures.append(_clip(clip, samples, config.features, name(f"clip{number}"), audio=audio))
    if config.features.median_frames < 2:
        notes.append("This trial has no median filter, so each spectrogram stands alone.")
    return [heading, lacking(notes), element("div", figures, class_="figures")]


def _clip(clip: Chosen, samples: Floats, config: FeatureConfig, name: str, *, audio: bool) -> Html:
    raw, filtered = spectrograms(samples, config)
    seconds = len(samples) / config.sample_rate
    facts = f"section {clip.section}" + (f", {clip.domain}" if clip.domain else "")
    facts += f", {clip.label or 'label not known'}, score {clip.score:.2f}"
    says = f"Log-mel spectrogram of {clip.file}, {seconds:.1f} s, {facts}; "
    says += f"from {raw.min():.0f} to {raw.max():.0f} dB"
    says += ", before and after the median filter." if filtered is not None else "."
    remark: list[Child] = [element("code", clip.file), f" {facts}."]
    picture, player = spectrogram_figure(raw, filtered, config), _player(clip, samples, config, audio)
    return drawn(picture, name, _KINDS[clip.kind], says, "clips", remark, below=player)


def _player(clip: Chosen, samples: Floats, config: FeatureConfig, audio: bool) -> Html | None:
    if not audio:
        return None
    address = flac_uri(samples, config.sample_rate)
    return element("audio", controls=True, preload="auto", aria_label=f"Recording {clip.file}", src=address)
