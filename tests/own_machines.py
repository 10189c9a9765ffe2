"""Plain folders of one's own machines, made of noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

RATE = 16_000


def record(path: Path, seconds: float, rate: int = RATE, seed: int = 0, subtype: str = "PCM_16") -> Path:
    """Noise, so that every sample is its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * rate))
    soundfile.write(path, noise, rate, subtype=subtype)
    return path


def machine(root: Path, n_normal: int = 6, n_anomalous: int = 2, name: str = "press") -> Path:
    for number in range(n_normal):
        record(root / name / "normal" / f"day {number}.wav", 2.5, seed=number)
    for number in range(n_anomalous):
        record(root / name / "anomaly" / "worn" / f"{number}.wav", 1.0, seed=100 + number)
    return root
