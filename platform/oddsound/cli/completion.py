"""`oddsound completion`, and what options complete to: all of it without importing anything heavy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
from click.shell_completion import CompletionItem, get_completion_class

_VARIABLE = "_ODDSOUND_COMPLETE"
_MACHINES = ("ToyCar", "ToyTrain", "fan", "gearbox", "pump", "slider", "valve")
"""Of 2021; with DATA or RUN on the command line those that it has."""
_SPLITS = ("train", "test", "source_test", "target_test")
_PARTS = ("", "dev_data", "eval_data")
_INSTALL = {
    "bash": 'eval "$(oddsound completion bash)"',
    "zsh": 'eval "$(oddsound completion zsh)"',
    "fish": "oddsound completion fish | source",
}

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


@click.command()
@click.argument("shell", type=click.Choice(list(_INSTALL)))
def completion(shell: str) -> None:
    """Print what makes SHELL complete oddsound's commands, options, machine types and trials.

    \b
    Examples:
      eval "$(oddsound completion bash)"        in ~/.bashrc
      eval "$(oddsound completion zsh)"         in ~/.zshrc
      oddsound completion fish | source         in ~/.config/fish/config.fish
    """
    from oddsound.cli.main import oddsound

    of_shell = get_completion_class(shell)
    assert of_shell is not None
    click.echo(of_shell(oddsound, {}, "oddsound", _VARIABLE).source())


def machines(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The machine types of DATA or RUN; of a list with commas the last word."""
    before, comma, last = incomplete.rpartition(",")
    taken = before.split(",") if comma else []
    names = [name for name in _known(context) if name.startswith(last) and name not in taken]
    return [CompletionItem(f"{before}{comma}{name}") for name in names]


def trials(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The identities of RUN's trials."""
    run = _given(context, "run")
    found = sorted(run.glob("trials/*/*/config.json")) if run else []
    names = [(config.parent.name, config.parent.parent.name) for config in found]
    return [CompletionItem(name, help=machine) for name, machine in names if name.startswith(incomplete)]


def _known(context: click.Context) -> list[str]:
    if (run := _given(context, "run")) and (found := _folders(run / "trials")):
        return found
    data = _given(context, "data")
    parts = [data / part for part in _PARTS] if data else []
    found = [name for part in parts for name in _folders(part) if _has_recordings(part / name)]
    return sorted(set(found)) or list(_MACHINES)


def _given(context: click.Context, name: str) -> Path | None:
    """The argument `name`. An option whose value is being typed keeps click from seeing arguments at all:
    they are left over then, the first of them first."""
    if name not in {param.name for param in context.command.params}:
        return None
    given = context.params.get(name) or next(iter(context.args), None)
    return Path(given) if given else None


def _has_recordings(folder: Path) -> bool:
    return any((folder / split).is_dir() for split in _SPLITS)


def _folders(path: Path) -> list[str]:
    try:
        return sorted(each.name for each in path.iterdir() if each.is_dir())
    except OSError:
        return []
