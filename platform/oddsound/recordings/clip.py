"""`Clip`: what one recording's path says about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Domain = Literal["source", "target"]
Split = Literal["train", "test"]
Label = Literal["normal", "anomaly"]


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording. Made by `oddsound.recordings.names.parse_clip` alone.

    `section` is two or more digits as the name spells them ("00"); layouts without domains (2020)
    have "source"; `label` is None where the name hides it (evaluation clips); `attributes` is what
    the name says beyond that, kept raw ("" where it says nothing more).
    """

    path: Path
    machine: str
    section: str
    domain: Domain
    split: Split
    label: Label | None
    attributes: str = ""

    @property
    def file(self) -> str:
        """The file's name as score files spell it."""
        return self.path.name
