"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def machines_option(otherwise: str) -> Callable[[Command], Command]:
    """`--machines A,B`, a list or None; `otherwise`: which are meant without it."""
    return click.option(
        "--machines",
        callback=_names,
        metavar="A,B",
        help=f"Only these machine types.  [default: {otherwise}]",
    )


def _names(_context: click.Context, _option: click.Parameter, value: str | None) -> list[str] | None:
    if value is None:
        return None
    names = [name.strip() for name in value.split(",") if name.strip()]
    if not names:
        raise click.BadParameter("names no machine type")
    return names
