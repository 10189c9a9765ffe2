"""Tiny labelled corpora, written by soundfile: tones, noise and clicks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

KINDS = ("tone", "noise", "clicks")
RATE = 22_050


def sound(kind: str, number: int, seconds: float = 1.0, rate: int = RATE) -> NDArray[np.float64]:
    """(samples,); `number` decides pitch, noise and where the clicks are."""
    random = np.random.default_rng(number)
    at = np.arange(round(seconds * rate)) / rate
    if kind == "tone":
        return 0.3 * np.sin(2 * np.pi * random.uniform(300, 1200) * at)
    if kind == "noise":
        return 0.1 * random.standard_normal(len(at))
    clicks = np.zeros(len(at))
    clicks[random.integers(0, len(at), 20)] = 0.9
    return clicks


def esc_corpus(folder: Path, n_each: int = 4, n_folds: int = 2, suffix: str = "ogg") -> Path:
    """`n_each` clips of each kind in each fold; esc.csv beside audio/."""
    (folder / "audio").mkdir(parents=True)
    rows = ["filename,fold,target,category,take"]
    for fold in range(1, n_folds + 1):
        for target, kind in enumerate(KINDS):
            for number in range(n_each):
                name = f"{fold}-{kind}-{number}.{suffix}"
                soundfile.write(folder / "audio" / name, sound(kind, 100 * fold + number), RATE)
                rows.append(f"{name},{fold},{target},{kind},A")
    (folder / "esc.csv").write_text("\n".join(rows) + "\n")
    return folder


def audioset_corpus(folder: Path, n: int = 12) -> Path:
    """`n` clips of one second with one or two of three labels; every third is named with its start."""
    folder.mkdir(parents=True)
    rows = ["# Segments csv created Sun Mar  5 10:54:31 2017", "# num_ytids=12", "# YTID, start_seconds, …"]
    for number in range(n):
        kinds = [kind for i, kind in enumerate(KINDS) if number % 3 == i or number % 4 == i]
        ytid, start = f"y-{number:04d}_Q", 30.0 * (number % 2)
        mixed = sum(sound(kind, number) for kind in kinds)
        name = f"{ytid}_{start:g}.flac" if number % 3 == 0 else f"{ytid}.flac"
        soundfile.write(folder / name, np.clip(mixed, -1, 1), RATE)
        labels = ",".join(f"/m/{kind}" for kind in kinds)
        rows.append(f'{ytid}, {start:.3f}, {start + 1:.3f}, "{labels}"')
    (folder / "segments.csv").write_text("\n".join(rows) + "\n")
    lines = [f'{i},/m/{kind},"{kind.title()}, so called"' for i, kind in enumerate(KINDS)]
    (folder / "class_labels_indices.csv").write_text("index,mid,display_name\n" + "\n".join(lines) + "\n")
    return folder
