"""The reference pages, written from the code: commands, settings, search spaces and metrics' names."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from oddsound.cli.main import oddsound
from oddsound.config import TrialConfig

_KINDS: dict[Any, str] = {
    int: "An integer",
    float: "A number",
    str: "Text",
    bool: "`true` or `false`",
    type(None): "`null`",
}
_HEAD = "% Written from the code by docs/reference.py: changes belong there.\n\n"


def write_reference(folder: Path) -> None:
    """Write each page of the reference into `folder`; one that is as it should be isn't touched."""
    folder.mkdir(exist_ok=True)
    pages = {
        "commands.md": commands(),
        "settings.md": settings(),
        "metrics.md": metrics(),
        "errors.md": errors(),
    }
    for name, page in pages.items():
        path, text = folder / name, _HEAD + page
        if not path.is_file() or path.read_text() != text:
            path.write_text(text)


def walked(group: click.Group, path: str = "oddsound") -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, by what is typed for it."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from walked(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def commands() -> str:
    """Every command with its arguments and options, as --help has them."""
    lines = ["# Commands", "", "```text", _help("oddsound", oddsound), "```", ""]
    for path, command in walked(oddsound):
        lines += [f"## {path}", "", "```text", _help(path, command), "```", ""]
    return "\n".join(lines)


def _help(path: str, command: click.Command) -> str:
    context = click.Context(command, info_name=path, max_content_width=100, terminal_width=100)
    return command.get_help(context)


def settings() -> str:
    """Every setting of a trial: its dotted name, type, default and what it is."""
    lines = [
        "# Settings of a trial",
        "",
        "What decides a trial's outcome. In a YAML of `--config` or a search space as nested keys, on the "
        "command line as `--set loss.rho=0.1`. Defaults are the paper's.",
        "",
    ]
    for group, model in _groups(TrialConfig):
        lines += [f"## {group or 'the trial'}", "", (inspect.getdoc(model) or "").strip(), ""]
        for name, field in model.model_fields.items():
            if not _is_model(field.annotation):
                lines += _setting(f"{group}.{name}" if group else name, field)
    return "\n".join(lines)


def _setting(dotted: str, field: FieldInfo) -> list[str]:
    default = "needed" if field.is_required() else f"default `{_shown(field.default)}`"
    return [f"`{dotted}`", f": {field.description}", f"  {_values(field)}; {default}.", ""]


def _shown(default: Any) -> str:
    """As YAML has it."""
    if default is None or isinstance(default, bool):
        return {None: "null", True: "true", False: "false"}[default]
    return str(default) or '""'


def _values(field: FieldInfo) -> str:
    """What the setting may be, in words."""
    if get_origin(field.annotation) is Literal:
        choices = [choice for each in get_args(field.annotation) for choice in _choices(each)]
        return "One of " + ", ".join(f"`{_shown(choice)}`" for choice in choices)
    kinds = get_args(field.annotation) or (field.annotation,)
    words = [_KINDS[kind] for kind in kinds if kind in _KINDS]
    return " or ".join(words) + "".join(f", {limit}" for limit in _limits(field))


def _choices(choice: Any) -> tuple[Any, ...]:
    """Those of a literal within a literal, too."""
    return get_args(choice) if get_origin(choice) is Literal else (choice,)


def _limits(field: FieldInfo) -> Iterator[str]:
    for each in field.metadata:
        for name, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<")):
            limit = getattr(each, name, None)
            if limit is not None:
                yield f"{sign} {limit:g}"


def _groups(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    yield prefix, model
    for name, field in model.model_fields.items():
        if _is_model(field.annotation):
            assert field.annotation is not None
            yield from _groups(field.annotation, f"{prefix}.{name}" if prefix else name)


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def metrics() -> str:
    """Every metric in MLflow, by the kind of run that has it."""
    from oddsound.tracking.metrics import METRICS

    lines = [
        "# Metrics in MLflow",
        "",
        "Ω, AUC, pAUC, accuracy and chance are fractions; where nothing else is said the step is the epoch, "
        "from 1. Parameters, tags and artifacts are in [](../tracking.md).",
        "",
    ]
    for kind, group in METRICS.items():
        lines += [f"## {kind}", "", "| metric | |", "| --- | --- |"]
        lines += [f"| `{metric.name}` | {metric.about} |" for metric in group]
        lines += [""]
    return "\n".join(lines)


def errors() -> str:
    """The tree of exceptions with their exit codes."""
    from oddsound import errors as module

    return f"# Errors and exit codes\n\n```text\n{inspect.getdoc(module)}\n```\n"
