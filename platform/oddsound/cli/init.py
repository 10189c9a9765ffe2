"""`oddsound init`: a run's YAML to fill in."""

from __future__ import annotations

from pathlib import Path

import click

from oddsound.cli.talking import talk, typed


@click.command()
@click.argument("file", type=click.Path(path_type=Path), default="run.yaml")
@click.option(
    "--schema", is_flag=True, help="Write FILE's JSON Schema beside it, too, for editors that check YAML."
)
def init(file: Path, schema: bool) -> None:
    """Write a YAML of one run to FILE, with every option and setting, its default and what it is for.

    \b
    Examples:
      oddsound init                              run.yaml
      oddsound init fan.yaml --schema            and fan.schema.json, which the YAML names
      oddsound run --file fan.yaml

    FILE is run.yaml if it isn't given. Nothing that is there is overwritten.
    """
    import json

    from oddsound.cli.run_template import template
    from oddsound.cli.schemas import schema as schema_of
    from oddsound.errors import ConfigError
    from oddsound.training.bundle import write_atomically

    beside = file.parent / f"{file.stem}.schema.json"
    for path in (file, *([beside] if schema else [])):
        if path.exists():
            raise ConfigError(f"{path}: is there already; give another name, or move it away")
        if not path.parent.is_dir():
            raise ConfigError(f"{path}: no folder {path.parent}; make it first")
    if schema:
        write_atomically(beside, json.dumps(schema_of("run"), indent=1).encode())
    write_atomically(file, template(beside.name if schema else "").encode())
    click.echo(file)
    talk(f"Next: fill in data and out, then {typed('run', '--file', file)}")
