"""The clips that a trial finds most and least anomalous: what they look like and how they sound."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from oddsound.config import FeatureConfig
from oddsound.errors import OddsoundError
from oddsound.features.logmel import log_mel
from oddsound.features.median import median_along_time
from oddsound.features.mel import mel_filters
from oddsound.recordings.index import index_folder
from oddsound.recordings.reader import read_clip
from oddsound.report.svg import place_axes
from oddsound.scoring.table import ANOMALY, NORMAL, ScoreTable

Floats = NDArray[np.float32]
Kind = Literal["most", "least"]
ORIGINS = "clips.csv"
N_EACH = 2
"""Clips of either kind."""
RANGE_DB = 80.0
STEP_DB = 2.0
_HERTZ = (200, 500, 1000, 2000, 4000, 8000)
_LABELS = {NORMAL: "normal", ANOMALY: "anomaly"}


@dataclass(frozen=True)
class Chosen:
    """One test clip; `label` is "" where it isn't known."""

    kind: Kind
    file: str
    section: str
    domain: str
    label: str
    score: float


def choose(table: ScoreTable, n_each: int = N_EACH) -> list[Chosen]:
    """Of the test clips the `n_each` of the highest score, then those of the lowest, none twice; of equal
    ones the first by name. Those whose label is known, where there are such: they can be checked."""
    test = table.labelled() if len(table.labelled()) else table.test()
    order = np.lexsort((test.file, -test.score))
    n_most = min(n_each, len(order))
    n_least = min(n_each, len(order) - n_most)
    rows: list[tuple[Kind, int]] = [("most", int(row)) for row in order[:n_most]]
    rows += [("least", int(row)) for row in order[len(order) - n_least :][::-1]]
    return [
        Chosen(
            kind,
            str(test.file[row]),
            str(test.section[row]),
            str(test.domain[row]),
            _LABELS.get(int(test.label[row]), ""),
            float(test.score[row]),
        )
        for kind, row in rows
    ]


def recorded_tests(data: Path, machine: str) -> Mapping[str, Path] | str:
    """The path of each test recording of the machine type by its file's name, or why there is none."""
    try:
        clips = index_folder(data, [machine]).of(machine)
    except (OddsoundError, OSError) as error:
        return str(error)
    return {clip.file: clip.path for clip in clips if clip.split == "test"}


@dataclass(frozen=True)
class Origin:
    """Which seconds of which recording of plain folders a clip is; `made_up`: with a fault laid over it."""

    recording: str
    start_s: float
    seconds: float
    made_up: bool

    def __str__(self) -> str:
        at = f"{self.start_s:g} to {self.start_s + self.seconds:g} s"
        return f"{at}{', with a made-up fault' if self.made_up else ''}"


def origins(data: Path, machine: str) -> dict[str, Origin]:
    """Of each clip of the machine type by its file's name, by the table that plain folders' clips have; none
    where there is no such table."""
    try:
        with (data / ORIGINS).open(newline="", encoding="utf-8", errors="surrogateescape") as stream:
            return {
                Path(row["file"]).name: Origin(
                    row["recording"], float(row["start_s"]), float(row["seconds"]), row["made_up"] == "1"
                )
                for row in csv.DictReader(stream)
                if Path(row["file"]).parts[:1] == (machine,)
            }
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return {}


def read_recording(path: Path, config: FeatureConfig) -> Floats | str:
    """The samples, or why they can't be read."""
    try:
        return read_clip(path, config.sample_rate)
    except OddsoundError as error:
        return str(error)


def flac_uri(samples: Floats, sample_rate: int) -> str:
    """The recording as it is, losslessly packed, as a data: address."""
    stream = io.BytesIO()
    soundfile.write(stream, samples, sample_rate, format="FLAC", subtype="PCM_16")
    return f"data:audio/flac;base64,{base64.b64encode(stream.getvalue()).decode()}"


def spectrograms(samples: Floats, config: FeatureConfig) -> tuple[Floats, Floats | None]:
    """Log-mel in dB as the trial saw it, (bands, frames): before and after the median filter, None where it
    has none."""
    raw = log_mel(torch.from_numpy(samples), config).numpy()
    return raw, median_along_time(raw, config.median_frames) if config.median_frames >= 2 else None


def spectrogram_figure(raw: Floats, filtered: Floats | None, config: FeatureConfig) -> Figure:
    """Side by side, in one scale of colours: from the loudest down to the quietest of a hundred, `RANGE_DB`
    at most."""
    shown = [("log-mel", raw)]
    if filtered is not None:
        shown.append((f"median over {config.median_frames} frames", filtered))
    figure = Figure((1.4 + 2.1 * len(shown), 2.2))
    panels: list[Axes] = list(figure.subplots(1, len(shown), squeeze=False, sharey=True)[0])
    place_axes(figure, 0.7, 0.75, 0.5, 0.3, 0.12)
    top = float(raw.max())
    bottom = max(top - RANGE_DB, float(np.percentile(raw, 1)))
    for axes, (title, decibel) in zip(panels, shown, strict=True):
        picture = axes.imshow(
            np.round(np.maximum(decibel, bottom) / STEP_DB) * STEP_DB,
            origin="lower",
            aspect="auto",
            interpolation="none",
            cmap="magma",
            vmin=bottom,
            vmax=top,
            extent=(0, raw.shape[1] * config.hop_length / config.sample_rate, -0.5, raw.shape[0] - 0.5),
        )
        axes.set(title=title, xlabel="time [s]")
        axes.grid(False)
    panels[0].set_yticks(*_hertz_ticks(config))
    panels[0].set_ylabel("frequency [Hz]")
    box, width = panels[-1].get_position(), figure.get_size_inches()[0]
    bar = figure.add_axes((box.x1 + 0.08 / width, box.y0, 0.09 / width, box.height))
    figure.colorbar(picture, cax=bar, label="dB").outline.set_visible(False)
    return figure


def band_centres(config: FeatureConfig) -> NDArray[np.float64]:
    """(n_mels,) Hz: where each band's weight lies in the mean; NaN for a band without any."""
    filters = mel_filters(config).numpy()
    hertz = np.arange(filters.shape[1]) * config.sample_rate / config.n_fft
    weight = filters.sum(axis=1)
    centres = np.full(len(weight), np.nan)
    np.divide(filters @ hertz, weight, out=centres, where=weight > 0)
    return centres


def _hertz_ticks(config: FeatureConfig) -> tuple[list[float], list[str]]:
    """Places on the axis of bands, and the frequencies there."""
    centres = band_centres(config)
    known = np.flatnonzero(np.isfinite(centres))
    if not len(known):
        return [], []
    inside = [hertz for hertz in _HERTZ if centres[known[0]] <= hertz <= centres[known[-1]] * 1.03]
    return [float(np.interp(h, centres[known], known)) for h in inside], [f"{h:,}" for h in inside]
