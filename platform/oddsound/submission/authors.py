"""Who submits: the authors' YAML, and the label `<Lastname>_<INST>_task2_<n>` that comes of it.

authors:
  - lastname: Kim
    firstname: Ada
    email: ada@example.org
    corresponding: true
    affiliation: {abbreviation: EXU, institute: Example University, location: "Seoul, Korea"}
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Annotated

from pydantic import Field

from oddsound.config import Strict, validated
from oddsound.errors import ConfigError
from oddsound.yaml_files import read_mapping

Text = Annotated[str, Field(min_length=1, max_length=200)]
LABEL = re.compile(r"(?P<team>[A-Za-z0-9-]+_[A-Za-z0-9-]+)_task2_(?P<number>[1-4])")


class Affiliation(Strict):
    """Where an author works; the abbreviation of the corresponding author's is part of the label."""

    abbreviation: Text
    institute: Text
    department: Text | None = None
    location: Text | None = None


class Author(Strict):
    """One author. Exactly one of a submission's is corresponding."""

    lastname: Text
    firstname: Text
    email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$", max_length=200)]
    corresponding: bool = False
    affiliation: Affiliation


class Authors(Strict):
    """The authors of a submission in their order."""

    authors: Annotated[tuple[Author, ...], Field(min_length=1, max_length=100)]

    @property
    def is_placeholder(self) -> bool:
        """Whether nobody has named the authors yet; such a package isn't ready to be uploaded."""
        return self == PLACEHOLDER

    @property
    def team(self) -> str:
        """`<Lastname>_<INST>` of the corresponding author, safe in a path: letters, digits, hyphens.

        Accents and everything else are dropped, as the challenge's labels have it ("van der Müller" is
        vanderMuller). Raises ConfigError unless one author is corresponding and something is left.
        """
        corresponding = [author for author in self.authors if author.corresponding]
        if len(corresponding) != 1:
            raise ConfigError(
                f"authors: {len(corresponding)} are corresponding; set corresponding: true on exactly one"
            )
        author = corresponding[0]
        return f"{_plain(author.lastname)}_{_plain(author.affiliation.abbreviation)}"

    def label(self, number: int) -> str:
        """The label of system `number`, 1 to 4. Raises ConfigError as `team` does."""
        label = f"{self.team}_task2_{number}"
        if not LABEL.fullmatch(label):
            raise ConfigError(f"{label!r} is no label of a submission; systems are numbered 1 to 4")
        return label


PLACEHOLDER = Authors(
    authors=(
        Author(
            lastname="Lastname",
            firstname="Firstname",
            email="author@example.org",
            corresponding=True,
            affiliation=Affiliation(abbreviation="INST", institute="Institute"),
        ),
    )
)
"""Stands in where no authors are named."""


def read_authors(path: Path | None) -> Authors:
    """The authors in the YAML file at `path`, `PLACEHOLDER` for None. Raises ConfigError by key."""
    if path is None:
        return PLACEHOLDER
    document = read_mapping(path)
    authors = validated(Authors, document, document.at)
    try:
        _ = authors.team
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return authors


def _plain(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9-]", "", letters).strip("-")
    if not plain:
        raise ConfigError(
            f"authors: {name!r} has no letter from A to Z for the label; spell it in Latin letters"
        )
    return plain[:40]
