"""A search's first trial, setting by setting: its value, where that is from, and what else is tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from oddsound.config import TrialConfig, flattened
from oddsound.errors import ConfigError
from oddsound.recipes import recipe_settings
from oddsound.search.space import SEED, WEIGHTS, ListedSpace, SearchSpace, read_space, space_path
from oddsound.search.space_yaml import has
from oddsound.yaml_files import Placed, read_mapping

_GIVEN = ("machine", SEED, WEIGHTS)
"""What no file and no --set says."""


@dataclass(frozen=True)
class Told:
    """A setting of the trial. `whence`: in words; `searched`: what a search tries, "" where it doesn't."""

    path: str
    value: Any
    whence: str
    searched: str
    is_default: bool


def tell(machine: str, folder: Path | None, overrides: Sequence[Placed]) -> list[Told]:
    """Every setting of the first trial of a search of `machine`, in the order of `oddsound.config`.

    Raises ConfigError for what is wrong in the files and settings, and for a space that lists its trials.
    """
    path = space_path(machine, folder)
    space = read_space(machine, path, overrides)
    if isinstance(space, ListedSpace):
        raise ConfigError(f"{path}: lists its trials whole; there is nothing to lay together")
    defaults = flattened(TrialConfig(machine=machine).model_dump())
    trial = flattened(space.trial(space.paper, 0).model_dump())
    return [
        _told(name, trial[name], defaults[name], space, read_mapping(path), overrides)
        for name in defaults
        if name not in _GIVEN
    ]


def _told(
    name: str, value: Any, default: Any, space: SearchSpace, document: Placed, overrides: Sequence[Placed]
) -> Told:
    searched = _tried(space.dimensions[name]) if name in space.dimensions else ""
    whence = _whence(name, space, document, overrides)
    words = f"{whence or 'default'}; searched: {searched}" if searched else whence or "default"
    return Told(name, value, words, searched, is_default=not searched and value == default)


def _whence(name: str, space: SearchSpace, document: Placed, overrides: Sequence[Placed]) -> str:
    """What gave the setting its value, the last word first; "" where nothing did."""
    place = tuple(name.split("."))
    for over in reversed(overrides):
        if has(over, place):
            return over.at(place)
    recipe = space.trial(space.paper, 0).recipe
    if recipe and has(recipe_settings(recipe, space.reading), place):
        return f"recipe {recipe}"
    for inside in (("paper", name), ("base", *place)):
        if inside in document.marks:
            return document.at(inside)
    return ""


def _tried(distribution: BaseDistribution) -> str:
    if isinstance(distribution, CategoricalDistribution):
        return ", ".join(str(choice) for choice in distribution.choices)
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return f"{distribution.low:g} to {distribution.high:g}{', log' if distribution.log else ''}"
