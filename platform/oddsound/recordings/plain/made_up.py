"""Faults laid over normal clips, where a machine has no anomalous recording to measure with.

They are what `oddsound.recordings.synth` knows of faults that need no knowledge of the machine: it runs too
fast or too slow, something loose rattles, something hisses. A detector that hears them is no proof that it
hears yours; it tells trials apart, and a deaf one from a hearing one.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from oddsound.recordings.synth.faults import Fault, draw_fault, leak, rattle, speed_factor

KINDS = ("speed", "rattle", "leak")
_RATTLE_HZ = (1500.0, 4000.0)


def with_fault(clip: NDArray[np.float32], rng: np.random.Generator) -> tuple[NDArray[np.float32], str]:
    """`clip`, (samples,), with a fault drawn of `rng`, and the fault's kind.

    What is laid over it is at most about as loud as the clip; frequencies are those of 16 kHz, others in
    proportion to the sample rate.
    """
    fault = draw_fault(rng, KINDS)
    if fault.kind == "speed":
        return _faster(clip, speed_factor(rng, fault)), fault.kind
    level = np.sqrt(np.mean(np.square(clip, dtype=np.float64)))
    added = _added(rng, clip.size, fault)
    return np.asarray(clip + level * added, dtype=np.float32), fault.kind


def _added(rng: np.random.Generator, n: int, fault: Fault) -> NDArray[np.float32]:
    return rattle(rng, n, fault, _RATTLE_HZ) if fault.kind == "rattle" else leak(rng, n, fault)


def _faster(clip: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """Played `factor` times as fast; its beginning again where it is over too soon."""
    ratio = Fraction(factor).limit_denominator(50)
    played = signal.resample_poly(clip, ratio.denominator, ratio.numerator)
    return np.asarray(np.resize(played, clip.shape), dtype=np.float32)
