"""What stands in a search space's YAML; `oddsound.search.space` has an example and makes a space of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from pydantic import Field

from oddsound.config import AsWritten, Strict, flaws_of
from oddsound.errors import ConfigError
from oddsound.recipes import Reading
from oddsound.yaml_files import Place, Placed

Scalar = bool | int | float | str


class Dimension(AsWritten):
    """One searched setting: `choices`, or a range from `low` to `high`, both included."""

    choices: list[Scalar] | None = None
    """What is tried."""
    low: int | float | None = None
    """The least that is tried; an integer where `high` is one, too."""
    high: int | float | None = None
    """The most that is tried."""
    log: bool = False
    """Whether the range is tried evenly in its logarithm."""

    def values(self) -> dict[Place, Scalar]:
        """Every choice, or both ends, by their places in the YAML."""
        found: dict[Place, Scalar] = {("choices", n): value for n, value in enumerate(self.choices or ())}
        return found | {(name,): end for name in ("low", "high") if (end := getattr(self, name)) is not None}

    def distribution(self) -> BaseDistribution:
        """Integers where both ends are. Raises ValueError where this is neither a range nor choices."""
        if self.choices is not None and self.low is None and self.high is None:
            return CategoricalDistribution(self.choices)
        if self.choices is None and self.low is not None and self.high is not None:
            if isinstance(self.low, int) and isinstance(self.high, int):
                return IntDistribution(self.low, self.high, log=self.log)
            return FloatDistribution(self.low, self.high, log=self.log)
        raise ValueError("give either choices, or low and high")


class SpaceFile(Strict):
    """The YAML's keys."""

    base: dict[str, Any] = Field(default_factory=dict)
    """Settings of every trial, over their defaults."""
    space: dict[str, Dimension] = Field(default_factory=dict)
    """What is searched: a dotted setting, and what is tried."""
    paper: dict[str, Scalar] = Field(default_factory=dict)
    """The first trial: a value of each searched setting."""
    sampler: Literal["tpe", "grid"] = "tpe"
    """grid: every combination once."""
    recipes: Reading = Reading()
    """How a `recipe` is read."""
    configurations: list[dict[str, Any]] = Field(default_factory=list)
    """Trials that are known, in place of all the rest; each is trained once."""


class Layers:
    """The file of a space and what is laid over it: where the setting at a place was given."""

    def __init__(self, machine: str, document: Placed, overrides: Sequence[Mapping[str, Any]]) -> None:
        self.document, self._overrides = document, overrides
        self._machine = f"{machine} ({Path(document.where).name}, --config, --set)"

    def setting(self, place: Place) -> str:
        return self._at(place, ("base", *place)) or f"settings of {self._machine}"

    def recipes(self, place: Place) -> str:
        place = ("recipes", *place)
        return self._at(place, place) or f"recipes of {self._machine}"

    def configuration(self, number: int, place: Place) -> str:
        """The same of a setting of a listed trial."""
        return self._at(place, ("configurations", number, *place)) or f"settings of {self._machine}"

    def _at(self, place: Place, in_file: Place) -> str:
        """In the last override that has it, or in the file; "" where that isn't known."""
        for over in reversed(self._overrides):
            if has(over, place):
                return over.at(place) if isinstance(over, Placed) else ""
        return self.document.at(in_file) if in_file in self.document.marks else ""


def refuse_values(searched: Mapping[str, Dimension], paper: Mapping[str, Scalar], document: Placed) -> None:
    """Raises ConfigError for what a trial would be refused for, in the middle of the search perhaps."""
    said: list[tuple[Place, str, Scalar]] = [
        (("space", name, *place), name, value)
        for name, dimension in searched.items()
        for place, value in dimension.values().items()
    ]
    said += [(("paper", name), name, value) for name, value in paper.items()]
    for place, name, value in said:
        if flaws := flaws_of(name, value):
            raise ConfigError(f"{document.at(place)}: {place[0]}.{'; '.join(flaws)}")


def has(tree: Mapping[str, Any], place: Place) -> bool:
    """Whether `tree` says something at `place`."""
    value: Any = tree
    for key in place:
        if not isinstance(value, Mapping) or key not in value:
            return False
        value = value[key]
    return True
