"""One clip: the machine, its fault, the room, the microphone, and a loudness that tells nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from oddsound.recordings.clip import Domain, Label, Split
from oddsound.recordings.synth.faults import Fault, draw_fault, leak, rattle
from oddsound.recordings.synth.machines import MACHINES, Take
from oddsound.recordings.synth.setting import KINDS, Setting, generator, setting
from oddsound.recordings.synth.signals import SAMPLE_RATE, Signal, harmonics, noise, revolve, slope, unit

_RMS = 0.03  # leaves 30 dB for the clicks of a valve
_GAIN_DB = 3.0


def render(
    n: int, seed: int, machine: str, section: str, domain: Domain, split: Split, label: Label, number: int
) -> NDArray[np.int16]:
    """(n,) 16-bit samples at 16 kHz, decided by these arguments alone."""
    rng = generator(seed, "clip", machine, section, domain, split, label, number)
    fault = draw_fault(rng, KINDS[machine].faults) if label == "anomaly" else Fault()
    here = setting(seed, machine, section, domain)
    sound = unit(MACHINES[machine](Take(rng, n, here, fault)))
    sound = sound + rattle(rng, n, fault, KINDS[machine].resonances_hz) + leak(rng, n, fault)
    return _levelled(_recorded(rng, sound, here), 10 ** (rng.uniform(-_GAIN_DB, _GAIN_DB) / 20))


def _recorded(rng: np.random.Generator, sound: Signal, here: Setting) -> Signal:
    """The sound in its room (noise and mains hum) through its microphone, held a little differently."""
    room = noise(rng, sound.size, here.background)
    room = room + np.float32(0.2) * harmonics(rng, revolve(rng, sound.size, 50.0, 0.0), [1.0, 0.5, 0.3])
    level = 10 ** ((here.background_db + 1.5 * rng.standard_normal()) / 20)
    held = slope(0.35 * rng.standard_normal())
    size = fft.next_fast_len(sound.size, real=True)
    frequencies = fft.rfftfreq(size, 1 / SAMPLE_RATE)
    curve = (here.microphone(frequencies) * held(frequencies)).astype(np.float32)
    heard = fft.irfft(fft.rfft(sound + np.float32(level) * unit(room), size) * curve, size)
    return np.asarray(heard[: sound.size], dtype=np.float32)


def _levelled(sound: Signal, gain: float) -> NDArray[np.int16]:
    loud = unit(sound) * np.float32(_RMS * gain * 32767)
    return np.asarray(np.rint(np.clip(loud, -32767, 32767)), dtype="<i2")
