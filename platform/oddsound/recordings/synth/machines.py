"""The character of each machine type: one function each, from a setting and a fault to a sound.

Each returns (n,) float32 at no particular level; room, microphone and loudness come later. Speed,
resonances and weights vary from clip to clip within a build, as bearings and loads do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oddsound.recordings.synth.faults import Fault, gap_envelope, gap_strengths, speed_factor
from oddsound.recordings.synth.setting import Setting
from oddsound.recordings.synth.signals import (
    SAMPLE_RATE,
    Angle,
    Signal,
    harmonics,
    hump,
    moments,
    noise,
    revolve,
    slope,
    strikes,
    unit,
)


@dataclass(frozen=True)
class Take:
    """One clip in the making."""

    rng: np.random.Generator
    n: int
    setting: Setting
    fault: Fault

    def turns(self) -> Angle:
        """The shaft's angle: this build's speed, a little off in each clip, wrong where that is the fault."""
        drift = 2 ** (0.02 * self.rng.standard_normal())
        factor = speed_factor(self.rng, self.fault)
        return revolve(self.rng, self.n, self.setting.speed_hz * drift * factor)

    def resonances(self) -> list[float]:
        return [f * 2 ** (0.045 * self.rng.standard_normal()) for f in self.setting.resonances_hz]

    def load(self) -> np.float32:
        return np.float32(self.setting.load * 2 ** (0.25 * self.rng.standard_normal()))

    def falling(self, n_partials: int, power: float) -> list[float]:
        """Amplitudes that fall like 1/k^power, each off by some dB."""
        return [10 ** (0.12 * self.rng.standard_normal()) / k**power for k in range(1, n_partials + 1)]

    def air(self) -> Signal:
        """Broadband noise of the build's slope, coloured by its resonances."""
        tilt = self.setting.brightness_db + 0.4 * self.rng.standard_normal()
        body = [hump(f, 0.25) for f in self.resonances()]
        return noise(self.rng, self.n, lambda f: slope(tilt)(f) * (1 + 2.5 * sum(b(f) for b in body)))

    def strokes(self, at: NDArray[np.int64], decay_ms: float) -> Signal:
        """Blows on the build's body, some missing where that is the fault."""
        strengths = gap_strengths(self.rng, at.size, self.fault) * self.rng.lognormal(0, 0.15, at.size)
        return strikes(self.n, at, strengths, self.resonances(), decay_ms)


def fan(take: Take) -> Signal:
    """Blade-pass harmonics and broadband air that swells with each blade."""
    turns = take.turns()
    blades = harmonics(take.rng, turns * take.setting.order, take.falling(9, 0.8))
    swell = 1 + np.float32(0.3) * harmonics(take.rng, turns, [1.0])
    shaft = harmonics(take.rng, turns, [0.4, 0.2])
    return gap_envelope(turns, take.fault) * (unit(blades + shaft) + take.load() * swell * take.air())


def gearbox(take: Take) -> Signal:
    """Mesh tones with sidebands at the shaft's speed, over a housing that hums along."""
    turns = take.turns()
    mesh = harmonics(take.rng, turns * take.setting.order, take.falling(6, 0.6))
    sidebands = 1 + np.float32(0.35) * harmonics(take.rng, turns, [1.0, 0.5])
    shaft = harmonics(take.rng, turns, take.falling(4, 1.0))
    tonal = unit(mesh * sidebands * gap_envelope(turns, take.fault) + np.float32(0.4) * shaft)
    return tonal + np.float32(0.8) * take.load() * take.air()


def pump(take: Take) -> Signal:
    """Flow noise that pulses with the vanes."""
    turns = take.turns()
    vanes = harmonics(take.rng, turns * take.setting.order, take.falling(5, 1.0))
    pulse = np.maximum(1 + np.float32(0.5) * harmonics(take.rng, turns, [0.6, 0.3]), 0)
    return unit(vanes) + np.float32(1.3) * take.load() * unit(take.air() * pulse)


def slider(take: Take) -> Signal:
    """Strokes to and fro: a tone and a hiss that follow the speed, a knock at each end."""
    turns = take.turns()
    velocity = np.abs(np.sin(2 * np.pi * turns)).astype(np.float32)
    # The distance gone is the sweep's phase: its pitch is the speed itself.
    way = take.rng.random() + np.cumsum(velocity) * (take.setting.order * 10 / SAMPLE_RATE)
    sweep = harmonics(take.rng, np.asarray(way, dtype=np.float64), take.falling(4, 0.7)) * velocity
    stroke = unit(sweep) + take.load() * unit(take.air() * velocity**2)
    knocks = take.strokes(moments(turns, 2), decay_ms=8)
    return gap_envelope(turns, take.fault) * stroke + np.float32(0.7) * unit(knocks)


def valve(take: Take) -> Signal:
    """Sparse clicks that ring: one opens, a quieter one closes a fixed part of the cycle later."""
    turns = take.turns()
    closing = 0.25 + 0.1 * take.setting.order
    opens = take.strokes(moments(turns), decay_ms=14)
    closes = take.strokes(moments(turns - closing), decay_ms=7)
    return unit(opens + np.float32(0.5) * closes) + np.float32(0.25) * take.load() * take.air()


def toy_car(take: Take) -> Signal:
    """A motor's hum, a whine of its gear, and the clatter of plastic."""
    turns = take.turns()
    hum = harmonics(take.rng, turns, take.falling(12, 0.6))
    whine = harmonics(take.rng, turns * (take.setting.order * 3 + 0.5), take.falling(3, 0.5))
    at = take.rng.integers(0, take.n, size=max(1, take.rng.poisson(25 * take.n / SAMPLE_RATE)))
    clatter = take.strokes(at, decay_ms=5)
    slow = gap_envelope(turns / 8, take.fault)
    motor: Signal = slow * unit(unit(hum) + np.float32(0.6) * unit(whine))
    plastic: Signal = take.load() * (unit(clatter) + take.air())
    return motor + np.float32(0.5) * plastic


def toy_train(take: Take) -> Signal:
    """Wheels over rail joints, two clacks a bogie, and a motor geared to them."""
    turns = take.turns()
    joints = np.sort(np.concatenate([moments(turns), moments(turns - 0.18)]))
    clacks = take.strokes(joints, decay_ms=10)
    motor = harmonics(take.rng, turns * take.setting.order, take.falling(10, 0.7))
    rolling: Signal = np.float32(0.5) * take.load() * take.air()
    return unit(clacks) + np.float32(0.8) * unit(motor) + rolling


MACHINES: dict[str, Callable[[Take], Signal]] = {
    "fan": fan,
    "gearbox": gearbox,
    "pump": pump,
    "slider": slider,
    "valve": valve,
    "ToyCar": toy_car,
    "ToyTrain": toy_train,
}
