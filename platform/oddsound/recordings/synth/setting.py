"""What is fixed about a machine: its build (section), where it stands and how it runs (domain)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from oddsound.recordings.clip import Domain
from oddsound.recordings.synth.signals import Gain, response, slope


@dataclass(frozen=True)
class Kind:
    """The ranges that a machine type's builds are drawn from."""

    speed_hz: float
    """Revolutions, strokes or beats a second of the middle build."""
    orders: tuple[int, int]
    """Blades, teeth, vanes or pole pairs: fewest, most."""
    resonances_hz: tuple[float, float]
    faults: tuple[str, ...]


KINDS = {
    "fan": Kind(24.0, (3, 9), (250.0, 2500.0), ("gap", "rattle", "speed")),
    "gearbox": Kind(17.0, (17, 41), (400.0, 3500.0), ("gap", "rattle", "speed")),
    "pump": Kind(12.0, (4, 9), (200.0, 2500.0), ("leak", "rattle", "speed")),
    "slider": Kind(1.6, (30, 90), (500.0, 4500.0), ("gap", "rattle", "speed", "leak")),
    "valve": Kind(3.0, (1, 4), (600.0, 5500.0), ("gap", "leak", "rattle")),
    "ToyCar": Kind(45.0, (2, 7), (500.0, 5000.0), ("gap", "rattle", "speed")),
    "ToyTrain": Kind(2.4, (12, 34), (300.0, 3500.0), ("gap", "rattle", "speed")),
}


@dataclass(frozen=True)
class Setting:
    """One section in one domain; equal for all of its clips."""

    speed_hz: float
    order: int
    resonances_hz: tuple[float, ...]
    brightness_db: float
    """Slope of its broadband noise, dB an octave."""
    load: float
    """Weight of the broadband part against the tonal or striking part."""
    background: Gain
    background_db: float
    """Level of the room's noise against the machine's."""
    microphone: Gain


def generator(seed: int, *identity: object) -> np.random.Generator:
    """A generator that depends on `seed` and these words alone."""
    digest = hashlib.sha256("/".join(map(str, (seed, *identity))).encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, dtype="<u4"))


def setting(seed: int, machine: str, section: str, domain: Domain) -> Setting:
    """How this section sounds in this domain: the target has another speed, load, room and microphone."""
    rng, kind = generator(seed, "build", machine, section), KINDS[machine]
    low, high = kind.resonances_hz
    build = Setting(
        speed_hz=kind.speed_hz * 2 ** rng.uniform(-0.25, 0.25),
        order=int(rng.integers(*kind.orders, endpoint=True)),
        resonances_hz=tuple(low * (high / low) ** rng.random(3)),
        brightness_db=rng.uniform(-4.5, -3.0),
        load=2 ** rng.uniform(-0.4, 0.4),
        background=slope(-4.5),
        background_db=-2.0,
        microphone=response(generator(seed, "microphone", machine), 2.0),
    )
    return build if domain == "source" else _moved(build, generator(seed, "target", machine, section))


def _moved(build: Setting, rng: np.random.Generator) -> Setting:
    return replace(
        build,
        speed_hz=build.speed_hz * 2 ** (rng.choice([-1, 1]) * rng.uniform(0.08, 0.2)),
        load=build.load * 2 ** rng.uniform(-0.7, 0.7),
        background=slope(rng.uniform(-6.0, -1.5)),
        background_db=build.background_db + rng.uniform(-3.0, 3.0),
        microphone=response(rng, 4.0),
    )
