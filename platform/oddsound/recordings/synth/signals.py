"""The building blocks of a machine's sound, each small enough to be heard in the head.

All arrays are (n_samples,) at 16 kHz; `turns` is a shaft's angle in revolutions, growing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

SAMPLE_RATE = 16_000

Signal = NDArray[np.float32]
Angle = NDArray[np.float64]
Gain = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Frequencies in Hz -> linear amplitude."""


def unit(x: Signal) -> Signal:
    """`x` at RMS 1."""
    rms = np.sqrt(np.mean(np.square(x, dtype=np.float64))) + 1e-12  # silence stays silence
    return np.asarray(x / rms, dtype=np.float32)


def revolve(rng: np.random.Generator, n: int, speed_hz: float, wander: float = 0.004) -> Angle:
    """Turns of a shaft at `speed_hz` whose speed wanders by the fraction `wander`, a few times a second."""
    n_knots = 2 + n // 4000
    speeds = speed_hz * (1 + wander * rng.standard_normal(n_knots))
    speed = np.interp(np.linspace(0, n_knots - 1, n), np.arange(n_knots), speeds)
    return np.asarray(rng.random() + np.cumsum(speed) / SAMPLE_RATE)


def harmonics(rng: np.random.Generator, turns: Angle, amplitudes: Sequence[float]) -> Signal:
    """sum_k a_k sin(2π k turns + θ_k), k from 1, θ random."""
    rotor = np.exp(2j * np.pi * (turns % 1)).astype(np.complex64)
    power, total = np.ones_like(rotor), np.zeros(turns.size, dtype=np.float32)
    for amplitude in amplitudes:
        power = power * rotor
        theta = rng.uniform(0, 2 * np.pi)
        total += amplitude * (np.float32(np.cos(theta)) * power.imag + np.float32(np.sin(theta)) * power.real)
    return total


def noise(rng: np.random.Generator, n: int, gain: Gain) -> Signal:
    """Gaussian noise at RMS 1 whose spectrum follows `gain`."""
    size = fft.next_fast_len(n, real=True)
    curve = gain(fft.rfftfreq(size, 1 / SAMPLE_RATE)).astype(np.float32)
    parts = rng.standard_normal((2, curve.size), dtype=np.float32) * curve
    return unit(fft.irfft(parts[0] + 1j * parts[1], size)[:n])


def moments(turns: Angle, per_turn: float = 1.0) -> NDArray[np.int64]:
    """Sample indices at which the shaft passes each 1/per_turn of a revolution."""
    first, last = np.ceil(turns[0] * per_turn), np.floor(turns[-1] * per_turn)
    return np.searchsorted(turns, np.arange(first, last + 1) / per_turn).clip(max=turns.size - 1)


def strikes(
    n: int,
    at: NDArray[np.int64],
    strengths: NDArray[np.float64],
    resonances_hz: Sequence[float],
    decay_ms: float,
) -> Signal:
    """Strokes on a body: at each sample index of `at`, its resonances ring and die off in `decay_ms`."""
    time = np.arange(int(5e-3 * decay_ms * SAMPLE_RATE)) / SAMPLE_RATE
    body = sum(np.sin(2 * np.pi * f * time) / (i + 1) for i, f in enumerate(resonances_hz))
    blows = np.zeros(n, dtype=np.float32)
    np.add.at(blows, at, strengths.astype(np.float32))
    kernel = (body * np.exp(-time / (1e-3 * decay_ms))).astype(np.float32)
    return np.asarray(signal.oaconvolve(blows, kernel)[:n], dtype=np.float32)


def slope(db_per_octave: float, floor_hz: float = 60.0) -> Gain:
    """A spectrum that falls (or rises) by so many dB an octave above `floor_hz`."""
    return lambda f: 10 ** (db_per_octave / 20 * np.log2(np.maximum(f, floor_hz) / floor_hz))


def hump(centre_hz: float, octaves: float) -> Gain:
    """A bell of this width around `centre_hz`, on a logarithmic axis; 1 at its top."""
    return lambda f: np.exp(-0.5 * (np.log2(np.maximum(f, 1.0) / centre_hz) / octaves) ** 2)


def response(rng: np.random.Generator, depth_db: float) -> Gain:
    """A smooth random frequency response: dB values of deviation `depth_db` at nine octave-wise knots."""
    knots = np.log2(60.0) + np.arange(9) * 0.88
    levels = depth_db * rng.standard_normal(9)
    return lambda f: 10 ** (np.interp(np.log2(np.maximum(f, 1.0)), knots, levels) / 20)
