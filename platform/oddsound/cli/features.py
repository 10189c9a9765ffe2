"""`oddsound features`: the feature caches that a search would build first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from oddsound.cli.file_command import FileCommand, file_option, of_file
from oddsound.cli.options import machines_option, settings_options
from oddsound.cli.talking import talk, typed

if TYPE_CHECKING:
    from oddsound.search.studies import MachinePlan


@click.command(cls=FileCommand)
@click.argument("data", type=click.Path(path_type=Path))
@file_option
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    help="Folder of the feature caches, as `oddsound run --cache` takes it.  [default: OUT/features of FILE]",
)
@machines_option("all that DATA has")
@settings_options
@click.option("--table1", is_flag=True, help="Those of `oddsound table1` in place of a search's.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of a table.")
@click.pass_context
def features(
    context: click.Context,
    /,
    data: Path,
    cache: Path | None,
    machines: list[str] | None,
    table1: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Build the features of the recordings in DATA that a search would ask for, and keep them in a cache.

    \b
    Examples:
      oddsound features data/dcase2021 --cache features/
      oddsound features data/dcase2021 --cache features/ --machines fan --set features.median_frames=30
      oddsound run data/dcase2021 --out runs/first --cache features/

    One cache for each machine type and front end; what is there already isn't built again, a build that was
    killed is gone on with.
    """
    out = of_file(context, "out")
    folder = cache or (Path(out) / "features" if out else None)
    if folder is None:
        raise click.UsageError("give --cache DIR, or --file FILE with out or cache")
    plans = _built(data, machines, "table1" if table1 else None, folder.absolute(), options)
    rows = [row for plan in plans for row in _rows(plan)]
    click.echo(_json(rows) if as_json else _table(rows))
    talk(f"next        {typed('run', data, '--out', 'RUN', '--cache', folder)}")


def _built(
    data: Path, machines: list[str] | None, space: str | None, folder: Path, options: dict[str, Any]
) -> Sequence[MachinePlan]:
    """As the first stages of a run."""
    from oddsound.cli.recordings import index_layout, of_one_section
    from oddsound.cli.run import wanted_spaces
    from oddsound.cli.settings import overrides
    from oddsound.cli.stages import Ask, prepare_features, refuse_unusable
    from oddsound.search.run import Conduct

    index, overlays = index_layout(data, machines, options), overrides(options)
    overlays = [*of_one_section(index, overlays), *overlays]
    spaces = wanted_spaces(index.machines, space, options["spaces"], overlays)
    refuse_unusable(index, spaces)
    digests = {machine: index.digest(machine) for machine in index.machines}
    return prepare_features(index, spaces, digests, folder, Ask(1, 0, Conduct()), {})


def _rows(plan: MachinePlan) -> list[dict[str, Any]]:
    """What each of a machine type's caches holds."""
    import json

    from oddsound.config import FeatureConfig
    from oddsound.features.cache import open_cache

    rows = []
    for name, path in plan.caches.items():
        array = open_cache(Path(path)).features
        settings = FeatureConfig.model_validate(json.loads(name)).model_dump(exclude_defaults=True)
        shape = dict(zip(("clips", "bands", "frames"), array.shape, strict=True))
        rows.append(
            {"machine": plan.machine, "settings": settings, **shape, "bytes": array.nbytes, "path": path}
        )
    return rows


def _table(rows: Sequence[dict[str, Any]]) -> str:
    from oddsound.cli.columns import columns

    shown = [["machine", "settings", "path", "clips", "bands", "frames", "MB"]]
    for row in rows:
        settings = ", ".join(f"{name} {value}" for name, value in row["settings"].items()) or "default"
        counts = [str(row[name]) for name in ("clips", "bands", "frames")]
        shown.append([row["machine"], settings, row["path"], *counts, f"{row['bytes'] / 1e6:.1f}"])
    return columns(shown, n_words=3)


def _json(rows: Sequence[dict[str, Any]]) -> str:
    import json

    return json.dumps({"caches": rows}, indent=1)
