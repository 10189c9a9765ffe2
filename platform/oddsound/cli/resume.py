"""What a search was asked for, kept in run.json and asked for again by `--resume`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oddsound.search.record import RunRecord

_PATHS = ("spaces", "cache", "authors", "stage")
_ONCE = ("accept_change",)
"""Options that hold for one command alone."""


def as_asked(options: dict[str, Any]) -> dict[str, Any]:
    """`options` as JSON, and the folder that their relative paths are of."""
    kept = {name: value for name, value in options.items() if name not in _ONCE}
    return {"cwd": str(Path.cwd()), "options": {name: _plain(value) for name, value in kept.items()}}


def asked_again(record: RunRecord, run: Path) -> dict[str, Any]:
    """The options of the command that `record` keeps, as the command line gives them.

    Raises ConfigError for a run of before commands were kept.
    """
    from oddsound.errors import ConfigError

    if not record.command:
        raise ConfigError(f"{run}/run.json: doesn't say how it was begun; give the same command again")
    cwd, options = Path(record.command["cwd"]), dict(record.command["options"])
    for name in _PATHS:
        options[name] = cwd / options[name] if options.get(name) else None
    for name, value in options.items():
        if isinstance(value, list) and name != "machines":
            options[name] = tuple(value)
    options["configs"] = tuple(_config(cwd, name) for name in options["configs"])
    options["weights"] = tuple(_weights(cwd, given) for given in options["weights"])
    return options


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _config(cwd: Path, name: str) -> str:
    """A file is of the folder that it was given in; what isn't there is one of the shipped names."""
    return str(cwd / name) if (cwd / name).is_file() else name


def _weights(cwd: Path, given: str) -> str:
    name, _, file = given.partition("=")
    return f"{name}={cwd / file}"
