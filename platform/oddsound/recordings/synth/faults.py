"""What may be wrong with a machine in one clip, from hardly there to clear.

gap     something is missing once a revolution: a tooth, a blade, a stroke
rattle  a loose part that strikes at random
speed   it runs too fast or too slow
leak    a hiss in a high band
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oddsound.recordings.synth.signals import SAMPLE_RATE, Angle, Signal, hump, noise, strikes, unit


@dataclass(frozen=True)
class Fault:
    """`kind` is "" for a sound machine; `strength` runs from 0 to 1."""

    kind: str = ""
    strength: float = 0.0

    def of(self, kind: str) -> float:
        """The strength of this kind of fault, 0 where it is another or none."""
        return self.strength if self.kind == kind else 0.0


def draw_fault(rng: np.random.Generator, kinds: tuple[str, ...]) -> Fault:
    """One of these kinds at a random strength, subtle as often as clear."""
    return Fault(str(rng.choice(kinds)), float(rng.uniform(0.15, 1.0)))


def speed_factor(rng: np.random.Generator, fault: Fault) -> float:
    """By what the speed is multiplied: 3 % to 20 % up or down."""
    if not (strength := fault.of("speed")):
        return 1.0
    return 1 + float(rng.choice([-1, 1])) * (0.03 + 0.17 * strength)


def gap_envelope(turns: Angle, fault: Fault) -> Signal:
    """1 but for a dip once a revolution."""
    dip = np.exp(-0.5 * (((turns % 1) - 0.5) / 0.18) ** 2)
    return (1 - fault.of("gap") * dip).astype(np.float32)


def gap_strengths(rng: np.random.Generator, n_strokes: int, fault: Fault) -> NDArray[np.float64]:
    """1 for each stroke but every third, which comes weak."""
    strengths = np.ones(n_strokes)
    strengths[int(rng.integers(3)) :: 3] -= 0.95 * fault.of("gap")
    return strengths


def rattle(rng: np.random.Generator, n: int, fault: Fault, band_hz: tuple[float, float]) -> Signal:
    """A loose part: a dozen strokes a second, of random strength, on a body of its own in this band."""
    at = rng.integers(0, n, size=max(1, rng.poisson(12 * n / SAMPLE_RATE)))
    body = band_hz[0] * (band_hz[1] / band_hz[0]) ** rng.random(2)
    blows = strikes(n, at, rng.lognormal(0, 0.7, at.size), list(body), decay_ms=rng.uniform(3, 9))
    return np.float32(1.3 * fault.of("rattle")) * unit(blows)


def leak(rng: np.random.Generator, n: int, fault: Fault) -> Signal:
    """A hiss between 3 and 7 kHz."""
    return np.float32(0.75 * fault.of("leak")) * noise(rng, n, hump(rng.uniform(3500, 6500), 0.3))
