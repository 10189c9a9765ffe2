"""`Clip`: what one recording's path says about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Domain = Literal["source", "target", ""]
"""Evaluation clips of 2022 and later hide it: ""."""
Split = Literal["train", "test"]
Label = Literal["normal", "anomaly"]
Layout = Literal["2020", "2021", "2022"]
"""The first year whose names and folders are such; 2022's are those of all later years."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording. Made by `oddsound.recordings.names.parse_clip` alone.

    `section` is two or more digits ("00", also where the name says section_0); layouts without domains
    (2020) have "source", names that hide it (evaluation clips of 2022 and later) ""; `label` is None
    where the name hides it (evaluation clips); `attributes` is what the name says beyond that, kept raw,
    or else what the machine type's attributes_NN.csv says ("" where neither does).
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
