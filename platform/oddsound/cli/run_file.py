"""The YAML of one run: options of the command line by their names, and the settings of its trials.

data: data/dcase2021                    # --trials is `trials`, --max-concurrent `max_concurrent`
out: runs/first
machines: [fan, pump]
settings:                               # what --set takes, as `oddsound.config` lists it
  training: {epochs: 100}

Relative paths are of the folder that the command is given in, as on the command line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import click
from pydantic import (
    BaseModel,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    create_model,
)
from pydantic_core import PydanticCustomError

from oddsound.config import AsWritten, TrialConfig, flattened, validated
from oddsound.errors import ConfigError
from oddsound.recipes import Reading
from oddsound.yaml_files import Placed, read_mapping

SETTINGS = "settings"
_NOT_HERE = ("help", "file", "set", "accept_change")
"""Options that mean something for one command alone, and --set, which is the section `settings`."""


def _either(what: str) -> WrapValidator:
    """Of a union: one line for what fits none of it, in the place of one for each."""

    def checked(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
        try:
            return check(value)
        except ValidationError as error:
            raise PydanticCustomError("neither", "give {what}", {"what": what}) from error

    return WrapValidator(checked)


_TYPES: dict[str, Any] = {
    "machines": Annotated[list[str] | str, _either("a machine type, or a list of them")],
    "memory_per_trial": Annotated[float | Literal["auto"], _either("GiB, or auto")],
    "weights": dict[str, str],
}
"""Of what the command line packs into one word."""
_AS_OPTION: dict[str, Callable[[Any], Any]] = {
    "machines": lambda value: value if isinstance(value, str) else ",".join(value),
    "memory_per_trial": str,
    "weights": lambda value: [f"{name}={file}" for name, file in value.items()],
}
_HELP = {"data": "The recordings' folder."}
"""Of arguments, which have none of their own."""


class Setting(str):
    """A.B=V, as --set takes it; `path` is A.B, `place` where it stands in a file."""

    path: str
    place: str

    @classmethod
    def of(cls, path: str, value: Any, place: str) -> Setting:
        setting = cls(f"{path}={json.dumps(value, ensure_ascii=False)}")
        setting.path, setting.place = path, place
        return setting


@dataclass(frozen=True)
class RunFile:
    """What a file says: `options` by the names that the commands' functions know them by."""

    options: dict[str, Any]
    settings: tuple[Setting, ...]


def read_run_file(path: Path) -> RunFile:
    """Raises ConfigError, by line and column, for what is no option or setting, or not of its type."""
    document = read_mapping(path)
    written = _without_empty(document)
    validated(model(), written, document.at)
    settings = flattened(written.get(SETTINGS, {}))
    if "epochs" in written:
        if "training.epochs" in settings:
            at = document.at(("epochs",))
            raise ConfigError(f"{at}: epochs: is short for settings.training.epochs; give either")
        settings["training.epochs"] = written.pop("epochs")
    return RunFile(
        {param.name or "": _as_option(key, written[key]) for key, param in keys().items() if key in written},
        tuple(Setting.of(path, value, _place(document, path)) for path, value in settings.items()),
    )


def keys() -> dict[str, click.Parameter]:
    """What stands in the file: the arguments and options of `oddsound run`, in their order."""
    from oddsound.cli.run import run

    named = {_key(param): param for param in run.params}
    return {key: param for key, param in named.items() if key not in _NOT_HERE}


def model() -> type[BaseModel]:
    """The file as a pydantic model: types, bounds and descriptions are those of the options."""
    fields: dict[str, Any] = {
        key: (_annotation(key, param) | None, Field(default=None, description=describe(key, param)))
        for key, param in keys().items()
    }
    fields[SETTINGS] = (settings_model(), Field(default=settings_model()(), description="Of each trial."))
    made: type[BaseModel] = create_model("Run", __base__=AsWritten, **fields)
    return made


def settings_model() -> type[BaseModel]:
    """What --set and --config take: a trial's settings, and how its recipe is read."""
    fields: dict[str, Any] = {
        name: (field.annotation, Field(default=field.default, description=field.description))
        for name, field in TrialConfig.model_fields.items()
        if name != "machine"
    }
    recipes = (Reading, Field(default=Reading(), description="How a `recipe` is read."))
    return create_model("Settings", __base__=AsWritten, **fields, recipes=recipes)


def describe(key: str, param: click.Parameter) -> str:
    """What the option or argument is for, as --help says it."""
    return getattr(param, "help", None) or _HELP.get(key, "")


def default_of(param: click.Parameter) -> Any:
    """None where there is none."""
    default = param.to_info_dict().get("default") if isinstance(param, click.Option) else None
    return default if isinstance(default, (bool, int, float, str)) else None


def _key(param: click.Parameter) -> str:
    """--max-concurrent is `max_concurrent`, DATA is `data`."""
    return max(param.opts, key=len).lstrip("-").replace("-", "_")


def _annotation(key: str, param: click.Parameter) -> Any:
    if key in _TYPES:
        return _TYPES[key]
    kind: Any = str
    if getattr(param, "is_flag", False):
        kind = bool
    elif isinstance(param.type, click.IntRange | click.FloatRange):
        number = int if isinstance(param.type, click.IntRange) else float
        least, most = param.type.min, param.type.max
        kind = Annotated[
            number, Field(gt=least, le=most) if param.type.min_open else Field(ge=least, le=most)
        ]
    elif isinstance(param.type, click.Choice):
        kind = Literal[tuple(param.type.choices)]
    return list[kind] if getattr(param, "multiple", False) else kind


def _as_option(key: str, value: Any) -> Any:
    return _AS_OPTION.get(key, lambda same: same)(value)


def _without_empty(document: Mapping[str, Any]) -> dict[str, Any]:
    """Without keys and sections that say nothing, which is what a commented one leaves behind."""
    said = {key: value for key, value in document.items() if value is not None}
    if isinstance(sections := said.get(SETTINGS), Mapping):
        said[SETTINGS] = {key: value for key, value in sections.items() if value is not None}
    return said


def _place(document: Placed, path: str) -> str:
    inside = (SETTINGS, *path.split("."))
    return document.at(inside if inside in document.marks else ("epochs",))
