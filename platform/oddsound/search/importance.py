"""What a search's trials say of its searched settings, read from run.json and numbers alone."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import create_trial
from pydantic import ValidationError

from oddsound.errors import ConfigError
from oddsound.search.space_yaml import Dimension

MIN_TRIALS = 4
"""Fewer say nothing about what matters."""
_DEPTH = 8
"""Of the forest's trees: deeper ones say the same and take minutes with 2,000 trials, these 4 s."""
_SETTINGS = ("choices", "low", "high", "log")


def recorded_dimensions(space: Mapping[str, str]) -> dict[str, Dimension]:
    """The searched settings as run.json has them, by their dotted names.

    space: Optuna's own spelling, `FloatDistribution(high=0.3, log=False, low=0.0, step=None)`. Raises
    ConfigError for what isn't such.
    """
    return {name: _dimension(name, spelt) for name, spelt in space.items()}


def _dimension(name: str, spelt: str) -> Dimension:
    try:
        call = ast.parse(spelt, mode="eval").body
        if not isinstance(call, ast.Call):
            raise ValueError("not a distribution")
        given = {each.arg: ast.literal_eval(each.value) for each in call.keywords}
        given = {name: list(each) if isinstance(each, tuple) else each for name, each in given.items()}
        found = Dimension(**{key: given[key] for key in _SETTINGS if key in given})
        found.distribution()
    except (SyntaxError, TypeError, ValueError, ValidationError, RecursionError, MemoryError) as error:
        raise ConfigError(f"run.json: the space of {name} can't be read ({spelt!r})") from error
    return found


def importances(
    dimensions: Mapping[str, Dimension], points: Sequence[Mapping[str, Any]], values: Sequence[float]
) -> dict[str, float]:
    """fANOVA's share of each searched setting in how the values differ, the largest first; they sum to 1.

    points: the settings' values of each finished trial; values: its Ω. Empty where there are fewer than
    `MIN_TRIALS` trials, or they are all as good. The same trials give the same figures.
    """
    if len(values) < MIN_TRIALS or len(set(values)) < 2 or not dimensions:
        return {}
    distributions = {name: dimension.distribution() for name, dimension in dimensions.items()}
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # it would tell of each study
    try:
        study = optuna.create_study()
        for point, value in zip(points, values, strict=True):
            study.add_trial(create_trial(params=dict(point), distributions=distributions, value=value))
        found = get_param_importances(study, evaluator=FanovaImportanceEvaluator(max_depth=_DEPTH, seed=0))
    except RuntimeError:  # no tree of its forest found a difference
        return {}
    finally:
        optuna.logging.set_verbosity(verbosity)
    return {name: float(share) for name, share in found.items()}
