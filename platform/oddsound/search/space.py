"""A search space: the YAML of one machine type, read into Optuna's distributions.

base:                                   # settings of every trial, over TrialConfig's defaults
  training: {epochs: 300}
space:                                  # a dotted setting of TrialConfig and what is tried
  loss.rho: {low: 0.02, high: 0.25, log: true}
  augment.mixup_alpha: {choices: [0.0, 0.2, 0.5]}
paper:                                  # the paper's own configuration: always the first trial
  loss.rho: 0.07
sampler: grid                           # tpe is the default; grid tries every combination once
recipes: {profile: authors}             # how a `recipe` is read (oddsound.recipes)

Or, for trials that are known, nothing but them; each is trained once:

configurations:                         # settings over TrialConfig's defaults; `oddsound refit` writes it
  - {loss: {rho: 0.05}, training: {epochs: 300, seed: 0}}
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

import oddsound
from oddsound.config import TrialConfig, flattened, nested, overlay, validated
from oddsound.errors import ConfigError
from oddsound.recipes import Reading, recipe_settings
from oddsound.search.space_yaml import Dimension, Layers, Scalar, SpaceFile, has, refuse_values
from oddsound.yaml_files import Placed, read_mapping

SEED = "training.seed"
WEIGHTS = "model.pretrained_sha256"
LISTED = "configuration"
"""The dimension of a space that lists its trials."""
_PREPARED = (
    "recipe",
    "model.architecture",
    "model.backbone",
    "model.activation",
    "model.initialisation",
    "model.pretrained",
    "training.labels",
)
"""Settings beside the front end's that something is made ready for before the first trial."""


@dataclass(frozen=True)
class SearchSpace:
    """`base`: the settings of every trial but the searched; a recipe is laid over them, and `fixed` over
    that; keys of `dimensions` and `paper` are dotted."""

    machine: str
    base: dict[str, Any]
    dimensions: dict[str, BaseDistribution]
    paper: dict[str, Scalar]
    fixed: dict[str, Any] = field(default_factory=dict)
    sampler: Literal["tpe", "grid"] = "tpe"
    reading: Reading = field(default_factory=Reading)
    weights: dict[str, str] = field(default_factory=dict)
    """SHA-256 of the pretrained weights by what `model.pretrained` calls them, once they are found."""

    def trial(self, params: Mapping[str, Any], seed: int) -> TrialConfig:
        """The configuration of these values of the searched settings."""
        chosen = overlay(self.fixed, nested(params))
        recipe = chosen.get("recipe", self.base.get("recipe", ""))
        settings = overlay(
            self.base,
            recipe_settings(recipe, self.reading) if recipe else {},
            chosen,
            nested({SEED: seed}),
            {"machine": self.machine},
        )
        weights = self.weights.get(settings.get("model", {}).get("pretrained", "none"), "")
        if weights:
            settings = overlay(settings, nested({WEIGHTS: weights}))
        return validated(TrialConfig, settings, f"search space of {self.machine}")

    def params(self, config: TrialConfig) -> dict[str, Any] | None:
        """The searched settings' values in `config`; None where it isn't a trial of this space."""
        values = self.values(config)
        same = values is not None and self.trial(values, config.training.seed) == config
        return values if same else None

    def values(self, config: TrialConfig) -> dict[str, Any] | None:
        """What the searched settings are in `config`, whatever else it says; None where one of them lies
        outside of the space."""
        values = {path: _at(config, path) for path in self.dimensions}
        inside = all(_holds(distribution, values[path]) for path, distribution in self.dimensions.items())
        return values if inside else None

    def front_ends(self) -> list[TrialConfig]:
        """One configuration for each front end that a trial can ask for.

        Raises ConfigError where a front end's setting is searched by a range: each needs a cache.
        """
        return list({config.features: config for config in self.variants()}.values())

    def variants(self) -> list[TrialConfig]:
        """Configurations with every combination of what is made ready before the first trial: front
        ends, recipes, pretrained weights, labels."""
        prepared = [p for p in self.dimensions if p.startswith("features.") or p in _PREPARED]
        choices = self._combinations(prepared, "what it needs is made ready for each")
        return [self.trial({**self.paper, **chosen}, 0) for chosen in choices]

    def _recipes(self) -> list[TrialConfig]:
        """The trial of each recipe that is searched."""
        names = self.grid() if list(self.dimensions) == ["recipe"] else []
        return [self.trial(name, 0) for name in names]

    def grid(self) -> list[dict[str, Any]]:
        """Every combination of the searched settings, the last of them changing fastest."""
        return self._combinations(list(self.dimensions), "a grid has no ranges")

    def _combinations(self, paths: Sequence[str], why: str) -> list[dict[str, Any]]:
        choices = []
        for path in paths:
            distribution = self.dimensions[path]
            if not isinstance(distribution, CategoricalDistribution):
                raise ConfigError(f"{self.machine}: space.{path}: give choices; {why}")
            choices.append(distribution.choices)
        return [dict(zip(paths, values, strict=True)) for values in itertools.product(*choices)]

    def settings(self) -> dict[str, Any]:
        """What makes two searches the same, as JSON would have it."""
        space = {path: repr(distribution) for path, distribution in self.dimensions.items()}
        return {
            "base": self.trial(self.paper, 0).model_dump(exclude_defaults=True),
            "space": space,
            "paper": self.paper,
            "fixed": self.fixed,
            "sampler": self.sampler,
            "recipes": self.reading.model_dump(),
            "weights": self.weights,
            "rows": [config.model_dump(exclude_defaults=True) for config in self._recipes()],
        }


@dataclass(frozen=True)
class ListedSpace(SearchSpace):
    """Known configurations, each of which is one trial; the only dimension is which of them it is."""

    configurations: Mapping[str, TrialConfig] = field(default_factory=dict)
    """By their identities."""

    @classmethod
    def of(cls, machine: str, configurations: Sequence[TrialConfig], fixed: dict[str, Any]) -> ListedSpace:
        """Raises ConfigError where there are none. Equal ones count once."""
        listed = {config.identity: config for config in configurations}
        if not listed:
            raise ConfigError(f"{machine}: no configuration is listed")
        which: dict[str, BaseDistribution] = {LISTED: CategoricalDistribution(list(listed))}
        first: dict[str, Scalar] = {LISTED: next(iter(listed))}
        return cls(machine, {}, which, first, fixed, "grid", configurations=listed)

    def trial(self, params: Mapping[str, Any], seed: int) -> TrialConfig:
        """The configuration with its own seed; `seed` is added to it, for another trial alike."""
        config = self.configurations[params[LISTED]]
        known = config.model.pretrained_sha256
        weights = self.weights.get(config.model.pretrained, known)
        if weights != known:
            raise ConfigError(
                f"{self.machine}: model.pretrained {config.model.pretrained}: is not the file of SHA-256 "
                f"{known[:12]}… that trial {config.identity} began with; give that one"
            )
        other = config.training.model_copy(update={"seed": config.training.seed + seed})
        return config.model_copy(update={"training": other})

    def values(self, config: TrialConfig) -> dict[str, Any] | None:
        """Which one `config` is, be it with another seed."""
        seedless = {_seedless(listed): identity for identity, listed in self.configurations.items()}
        known = config.identity in self.configurations
        identity = config.identity if known else seedless.get(_seedless(config))
        return None if identity is None else {LISTED: identity}

    def params(self, config: TrialConfig) -> dict[str, Any] | None:
        return self.values(config)

    def variants(self) -> list[TrialConfig]:
        return list(self.configurations.values())

    def settings(self) -> dict[str, Any]:
        listed = [config.model_dump(exclude_defaults=True) for config in self.configurations.values()]
        return super().settings() | {"space": {}, "paper": {}, "rows": [], "configurations": listed}


def spaces_folder() -> Path:
    """Where the shipped search spaces lie: in the wheel beside the package, else in the checkout."""
    package = Path(oddsound.__file__).parent
    installed = package / "search_spaces"
    return installed if installed.is_dir() else package.parents[1] / "search_spaces"


def load_space(
    machine: str, overrides: Sequence[Mapping[str, Any]] = (), folder: Path | None = None
) -> SearchSpace:
    """The space of `machine` in `folder` (the shipped ones), or `default.yaml` where it has none of its own.

    `overrides` are laid over its base, one after another. A searched setting that an override names, or
    the recipe that it names, is no longer searched: it has that value in every trial.
    """
    return read_space(machine, space_path(machine, folder), overrides)


def space_path(machine: str, folder: Path | None = None) -> Path:
    """The file of `machine`'s space in `folder`, the shipped ones for None."""
    folder = folder or spaces_folder()
    own = folder / f"{machine}.yaml"
    return own if own.is_file() else folder / "default.yaml"


def read_space(machine: str, path: Path, overrides: Sequence[Mapping[str, Any]] = ()) -> SearchSpace:
    """The space in the file at `path`. Raises ConfigError by file and setting."""
    document = read_mapping(path)
    file = validated(SpaceFile, document, document.at)
    fixed = overlay({}, *overrides)
    layers = Layers(machine, document, overrides)
    if file.configurations:
        return _listed(machine, file, fixed, layers)
    _refuse_given(overlay(file.base, fixed), layers)
    reading = _reading(fixed.pop("recipes", {}), file, layers)
    validated(TrialConfig, {"machine": machine, **overlay(file.base, fixed)}, layers.setting)
    recipe = overlay(file.base, fixed).get("recipe", "")
    settled = overlay(recipe_settings(recipe, reading) if recipe else {}, fixed)
    searched = {name: d for name, d in file.space.items() if not _names(settled, name)}
    space = SearchSpace(
        machine=machine,
        base=overlay(file.base, nested(file.paper)),
        dimensions={name: _distribution(d, name, document) for name, d in searched.items()},
        paper={name: value for name, value in file.paper.items() if name in searched},
        fixed=fixed,
        sampler=file.sampler,
        reading=reading,
    )
    _refuse_unknown(space, document)
    refuse_values({name: file.space[name] for name in searched}, space.paper, document)
    _refuse_unusable(space, document)
    return space


def _refuse_given(settings: Mapping[str, Any], layers: Layers) -> None:
    """Raises ConfigError for a setting that an option of the command line gives."""
    for taken, how in (("machine", "--machines"), (SEED, "--seed")):
        if _names(settings, taken):
            at = layers.setting(tuple(taken.split(".")))
            raise ConfigError(f"{at}: {taken}: is given by {how}, not by a setting")


def _reading(given: Any, file: SpaceFile, layers: Layers) -> Reading:
    """How recipes are read: as the file says, and what is `given` laid over that."""
    if not isinstance(given, Mapping):
        expected = "expected settings such as recipes.profile=authors"
        raise ConfigError(f"{layers.recipes(())}: recipes: {expected}, got {given!r}")
    return validated(Reading, file.recipes.model_dump() | dict(given), layers.recipes)


def _listed(machine: str, file: SpaceFile, fixed: dict[str, Any], layers: Layers) -> ListedSpace:
    where = layers.document.where
    if others := sorted(file.model_fields_set - {"configurations"}):
        at = layers.document.at((others[0],))
        raise ConfigError(f"{at}: {others[0]}: has no meaning beside configurations; remove either")
    if "recipes" in fixed or _names(fixed, SEED):
        raise ConfigError(f"{where}: lists whole configurations; {', '.join(flattened(fixed))} can't be set")
    listed = [
        validated(
            TrialConfig, overlay(each, fixed, {"machine": machine}), partial(layers.configuration, number)
        )
        for number, each in enumerate(file.configurations)
    ]
    return ListedSpace.of(machine, listed, fixed)


def _seedless(config: TrialConfig) -> str:
    return config.model_copy(update={"training": config.training.model_copy(update={"seed": 0})}).identity


def _holds(distribution: BaseDistribution, value: Any) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return bool(distribution.low <= value <= distribution.high)


def _distribution(dimension: Dimension, name: str, document: Placed) -> BaseDistribution:
    try:
        return dimension.distribution()
    except ValueError as error:
        at = document.at(("space", name))
        raise ConfigError(f"{at}: space.{name}: {str(error).splitlines()[0]}") from error


def _refuse_unknown(space: SearchSpace, document: Placed) -> None:
    known = sorted(flattened(TrialConfig(machine=space.machine).model_dump()))
    for name in space.dimensions:
        if name not in known or name in ("machine", SEED, WEIGHTS):
            near = difflib.get_close_matches(name, known, n=2) or known
            at = document.at(("space", name))
            raise ConfigError(f"{at}: space.{name}: no such setting; did you mean {' or '.join(near)}?")


def _refuse_unusable(space: SearchSpace, document: Placed) -> None:
    missing = sorted(space.dimensions.keys() - space.paper.keys())
    if missing:
        at = document.at(("paper",))
        raise ConfigError(f"{at}: paper: lacks {', '.join(missing)}; it is the first trial of the search")
    if space.sampler == "grid":
        space.grid()
    if space.params(space.trial(space.paper, 0)) is None:
        raise ConfigError(
            f"{document.at(('paper',))}: paper: lies outside of the space; widen it, the paper's trial is "
            "the first"
        )


def _names(tree: Mapping[str, Any], path: str) -> bool:
    """Whether `tree` gives the dotted setting `path` a value."""
    return has(tree, tuple(path.split(".")))


def _at(config: TrialConfig, path: str) -> Any:
    value: Any = config
    for key in path.split("."):
        value = getattr(value, key)
    return value
