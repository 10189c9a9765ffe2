"""Commands that take --file: a run's YAML gives what the command line doesn't say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from oddsound.cli.run_file import RunFile


class FileCommand(click.Command):
    """The settings of the file come before those of --set; what --config or --epochs of the command line
    say is taken out of them. So the command function sees one list, and a run's record is the whole."""

    def invoke(self, ctx: click.Context) -> Any:
        file: RunFile | None = ctx.meta.get(__name__)
        if file is not None:
            kept = [each for each in file.settings if not _is_about(each.path, _typed_settings(ctx))]
            ctx.params["settings"] = (*kept, *ctx.params["settings"])
        return super().invoke(ctx)


def take(ctx: click.Context, _option: click.Parameter, value: Path | None) -> None:
    """Have the command of `ctx` take from the file what it isn't told."""
    if value is not None:
        from oddsound.cli.run_file import read_run_file

        file = read_run_file(value)
        known = {param.name for param in ctx.command.params}
        ctx.default_map = {name: given for name, given in file.options.items() if name in known}
        ctx.meta[__name__] = file


file_option = click.option(
    "--file",
    "-f",
    type=click.Path(path_type=Path),
    is_eager=True,  # before the options that it gives
    expose_value=False,
    callback=take,
    help="YAML of one run, as `oddsound init` writes it. What the command line says comes before it.",
)
"""For commands of the class `FileCommand`."""


def has_file(ctx: click.Context) -> bool:
    return __name__ in ctx.meta


def of_file(ctx: click.Context, name: str) -> Any:
    """What the file says of an option that the command needn't have; None where it says nothing."""
    file: RunFile | None = ctx.meta.get(__name__)
    return None if file is None else file.options.get(name)


def _typed_settings(ctx: click.Context) -> list[str]:
    """The dotted settings that --config and --epochs of the command line name."""
    from oddsound.cli.settings import named_settings
    from oddsound.config import flattened

    typed = [name for name in ("configs", "epochs") if _is_typed(ctx, name)]
    return [
        path
        for over in named_settings({name: ctx.params[name] for name in typed})
        for path in flattened(over)
    ]


def _is_typed(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) == ParameterSource.COMMANDLINE


def _is_about(path: str, others: Sequence[str]) -> bool:
    """Whether one of `others` is this setting, a section around it, or something in it."""
    return any(f"{path}.".startswith(f"{other}.") or f"{other}.".startswith(f"{path}.") for other in others)
