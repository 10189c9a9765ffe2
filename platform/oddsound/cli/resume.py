"""What a search was asked for, kept in run.json and asked for again by `--resume`."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from oddsound.search.record import RunRecord

_PATHS = ("spaces", "cache", "authors", "stage")
_LISTS = ("configs", "settings", "weights", "pinned")
_ONCE = ("accept_change", "insecure", "machines")
"""Options that hold for one command alone; `--resume` is of all the run's machine types."""


def as_asked(options: dict[str, Any]) -> dict[str, Any]:
    """`options` as JSON, and the folder that their relative paths are of."""
    kept = {name: value for name, value in options.items() if name not in _ONCE}
    return {"cwd": str(Path.cwd()), "options": {name: _plain(value) for name, value in kept.items()}}


def command_line(record: RunRecord) -> str:
    """The command that begins such a search anew, an option a line, its relative paths of the folder that
    it was given in; "" for a run of before commands were kept."""
    from oddsound.cli.search import search

    kept = record.command.get("options")
    if not isinstance(kept, dict):
        return ""
    command, every_one = kept.get("space") or "search", sys.maxsize
    lines = [["oddsound", command, _near(Path(record.data), record.command.get("cwd")), "--out", "RUN"]]
    lines.append(["--machines", ",".join(record.machines)])
    for option in search.params:
        value = kept.get(option.name or "")
        if isinstance(option, click.Option) and value not in (None, False, option.default, [], every_one):
            lines += _option(option.opts[0], value)
    return " \\\n    ".join(shlex.join(words) for words in lines)


def _near(path: Path, folder: str | None) -> str:
    return str(path.relative_to(folder) if folder and path.is_relative_to(folder) else path)


def _option(flag: str, value: Any) -> list[list[str]]:
    """As `--help` has it: the record has memory in bytes, the option takes GiB."""
    if flag == "--memory-per-trial" and isinstance(value, int):
        return [[flag, f"{value / 2**30:g}"]]
    if isinstance(value, list):
        return [[flag, str(each)] for each in value]
    return [[flag] if value is True else [flag, str(value)]]


def asked_again(record: RunRecord, run: Path, given: dict[str, Any]) -> dict[str, Any]:
    """The options of the command that `record` keeps, as the command line gives them, with those `given`
    now: lists are added to, the rest takes the place of what was. The tracking store is the run's.

    Goes to the folder that the command was given in, so that its relative paths hold. Raises ConfigError
    for a run of before commands were kept.
    """
    from oddsound.errors import ConfigError

    try:
        cwd, kept = Path(record.command["cwd"]), dict(record.command["options"])
        options = kept | {name: Path(kept[name]) if kept[name] else None for name in _PATHS}
        options |= {name: tuple(kept[name]) for name in _LISTS}
    except (KeyError, TypeError) as error:
        raise ConfigError(
            f"{run}/run.json: doesn't say how it was begun; give the whole command again, with --out {run}"
        ) from error
    now = {name: _of_here(name, value) for name, value in given.items()}
    now |= {name: (*options[name], *now[name]) for name in _LISTS if name in now}
    if cwd.is_dir():
        os.chdir(cwd)
    return options | {"tracking_uri": None} | now


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _of_here(name: str, value: Any) -> Any:
    """`value` with paths that hold in any folder."""
    if name in _PATHS:
        return value.absolute() if value else value
    if name == "tracking_uri" and value:
        from oddsound.tracking.store import canonical

        return canonical(value)
    if name == "warm_start" and value:
        return _file(value)
    if name == "weights":
        return tuple(f"{key}={_file(file)}" for key, _, file in (each.partition("=") for each in value))
    return tuple(_file(each) for each in value) if name == "configs" else value


def _file(name: str) -> str:
    """What is there as a file or a folder with a path, absolutely; a name alone may be a shipped one's."""
    return str(Path(name).absolute()) if Path(name).exists() else name
