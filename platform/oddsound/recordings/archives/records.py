"""Where each year's recordings lie: the numbers of Zenodo's records.

A record's own listing says which archives it has, how large they are and what their checksums are; nothing
of that is repeated here. Later corrections of an archive are new versions of a record with a new number.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

Part = Literal["dev", "train", "test", "labels"]
"""Development recordings, additional training recordings, evaluation clips, and the labels of these."""

PARTS: tuple[Part, ...] = ("dev", "train", "test", "labels")
SOURCE = "https://zenodo.org"


def _year(dev: int, train: int, test: int) -> Mapping[Part, int]:
    return MappingProxyType({"dev": dev, "train": train, "test": test})


RECORDS: Mapping[str, Mapping[Part, int]] = MappingProxyType(
    {
        "dcase2020": _year(3678171, 3727685, 3841772),
        "dcase2021": MappingProxyType({**_year(4562016, 4660992, 4884786), "labels": 5257674}),
        "dcase2022": _year(6355122, 6462969, 6586456),
        "dcase2023": _year(7882613, 7830345, 7860847),
        "dcase2024": _year(10902294, 11259435, 11363076),
        "dcase2025": _year(15097779, 15392814, 15519362),
        "dcase2026": _year(19336329, 20151556, 20437238),
    }
)
