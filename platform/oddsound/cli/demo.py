"""`oddsound demo`: the main job, small, on synthetic machines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from oddsound.cli.options import machines_option, run_options
from oddsound.cli.run import run_all, submit_and_report
from oddsound.cli.talking import talk


@click.command()
@click.option(
    "--out", default="demo_run", show_default=True, type=click.Path(path_type=Path), help="The run's folder."
)
@machines_option("all seven")
@run_options(n_trials=5)
def demo(out: Path, machines: list[str] | None, **options: Any) -> None:
    """Synthesise seven machine types in OUT/synthetic and run every stage on them, small.

    \b
      oddsound demo
      oddsound demo --machines fan,valve --trials 6

    Without --config the trial settings are those of `smoke`. The figures say that everything works,
    not how well: networks this small, trained this briefly, are near chance.
    """
    from oddsound.recordings.synth import ALL_SEVEN, synthesise

    data = out / "synthetic"
    talk(f"synthetic machines in {data}")
    synthesise(data, seconds=2.0, n_train_source=12, n_test=6, machines=ALL_SEVEN)
    run_all(
        data, out, machines, submit_and_report, **(options | {"configs": options["configs"] or ("smoke",)})
    )
