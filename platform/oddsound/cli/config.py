"""`oddsound config`: what a trial would be, and schemas for editors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from oddsound.cli.completion import machines
from oddsound.cli.file_command import FileCommand, file_option, of_file
from oddsound.cli.options import settings_options

if TYPE_CHECKING:
    from oddsound.search.whence import Told


@click.group()
def config() -> None:
    """Settings of a run: what a trial would be, schemas for editors.

    \b
      oddsound config show --file run.yaml
      oddsound config schema --of run > run.schema.json
    """


@config.command(cls=FileCommand)
@file_option
@settings_options
@click.option(
    "--machine",
    shell_complete=machines,
    help="Of which machine type.  [default: the first of FILE's, else fan]",
)
@click.option("--resolved", is_flag=True, help="Every setting, also those at their defaults.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of YAML.")
@click.pass_context
def show(
    context: click.Context, /, machine: str | None, resolved: bool, as_json: bool, **options: Any
) -> None:
    """Print a search's first trial: each setting, where its value is from, and whether it is searched.

    \b
    Examples:
      oddsound config show --machine valve
      oddsound config show --file run.yaml --set loss.rho=0.1
      oddsound config show --machine valve --resolved > frozen.yaml

    Without --resolved only what isn't a default. The YAML is one that --config takes.
    """
    from oddsound.cli.settings import overrides
    from oddsound.search.whence import tell

    machine = machine or _first_machine(context) or "fan"
    told = tell(machine, options["spaces"], overrides(options))
    shown = [each for each in told if resolved or not each.is_default]
    click.echo(_json(machine, shown) if as_json else _yaml(machine, shown))


@config.command("schema")
@click.option(
    "--of",
    type=click.Choice(["run", "space", "settings"]),
    default="run",
    show_default=True,
    help="A run's file (`oddsound init`), a search space, or what --config takes.",
)
def schema_command(of: str) -> None:
    """Print the JSON Schema of a YAML that oddsound reads.

    \b
    Examples:
      oddsound config schema > run.schema.json
      oddsound config schema --of space > space.schema.json

    An editor with a YAML language server checks a file by it whose first line is
    `# yaml-language-server: $schema=run.schema.json`.
    """
    import json

    from oddsound.cli.schemas import schema

    click.echo(json.dumps(schema(of), indent=1))


def _first_machine(context: click.Context) -> str:
    """Of those that the file names."""
    return str(of_file(context, "machines") or "").partition(",")[0].strip()


def _yaml(machine: str, told: list[Told]) -> str:
    """Sections and settings, what each is from as a comment in a column of its own."""
    from oddsound.yaml_files import scalar

    rows: list[tuple[str, str]] = []
    section = ""
    for each in told:
        first, _, rest = each.path.partition(".")
        if rest and first != section:
            rows.append((f"{first}:", ""))
        section = first if rest else section
        rows.append((f"{'  ' if rest else ''}{rest or first}: {scalar(each.value)}", each.whence))
    width = max((len(left) for left, right in rows if right), default=0)
    lines = [f"{left:<{width}}  # {right}" if right else left for left, right in rows]
    return "\n".join([f"# {machine}: a search's first trial", *lines])


def _json(machine: str, told: list[Told]) -> str:
    import json
    from dataclasses import asdict

    return json.dumps({"machine": machine, "settings": [asdict(each) for each in told]}, indent=1)
