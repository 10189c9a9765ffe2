"""What commands say beside their data: all of it on stderr, and less with --quiet."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

_quiet = False


def be_quiet(quiet: bool) -> None:
    """Whether, from now on, this process says no more than warnings and errors."""
    global _quiet
    _quiet = quiet


def is_quiet() -> bool:
    return _quiet


def typed(*words: object) -> str:
    """The command `oddsound` with these words, as a shell takes it."""
    return shlex.join(["oddsound", *map(str, words)])


def talk(line: str) -> None:
    """How things go, where they lie, what is next."""
    if not _quiet:
        click.echo(line, err=True)


def warn(line: str) -> None:
    """What the user should know of the result, asked or not."""
    click.echo(line, err=True)


def console() -> Console:
    """For bars and tables that move; rich knows NO_COLOR itself."""
    from rich.console import Console

    return Console(stderr=True, quiet=_quiet)
