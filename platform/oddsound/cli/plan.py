"""`oddsound plan`: a dry run that says how long a search would take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from oddsound.cli.file_command import FileCommand, file_option
from oddsound.cli.options import machines_option, run_options

if TYPE_CHECKING:
    from oddsound.search.plan import Job, Plan
    from oddsound.search.resources import Resources

_GIB = 1 << 30


def _counts(_context: click.Context, _option: click.Parameter, value: str | None) -> list[int]:
    try:
        counts = [int(part) for part in value.split(",")] if value else []
    except ValueError:
        counts = [0]
    if any(count < 1 for count in counts):
        raise click.BadParameter(f"{value}: give numbers of workers, e.g. 4 or 1,4,16")
    return counts


@click.command(cls=FileCommand)
@click.argument("data", type=click.Path(path_type=Path))
@file_option
@click.option("--out", type=click.Path(path_type=Path), help="Of the run to come; nothing is written there.")
@machines_option("all that DATA has")
@run_options(n_trials=20)
@click.option("--workers", callback=_counts, metavar="N,N", help="Trials at once.  [default: as many as fit]")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of a table.")
def plan(data: Path, machines: list[str] | None, workers: list[int], as_json: bool, **options: Any) -> None:
    """How long would a search take? Measures some steps of a trial of each machine type on one worker.

    \b
      oddsound plan data/dcase2021
      oddsound plan data/dcase2021 --trials 40 --epochs 100 --workers 1,4,16
      oddsound plan data/dcase2021 --ray-address HOST:PORT --gpus-per-trial 0.5 --json

    The options are those of `oddsound run`. A trial is the paper's own configuration; features are built
    of a few clips, and nothing is kept. What is printed is without early stopping, and each trial alone
    on its CPUs or GPU.
    """
    from oddsound.cli.run import prepare_ray

    prepare_ray(options["ray_address"], options["insecure"])  # before ray is imported
    from oddsound.cli.stages import talk
    from oddsound.search.cluster import cluster
    from oddsound.search.interrupts import Interrupts
    from oddsound.search.plan import plan_search
    from oddsound.search.resources import Resources

    go_on = "The same command measures again."
    with Interrupts(go_on).handled():
        jobs = _jobs(data, machines, options)
        resources = Resources(
            cpus_per_trial=options["cpus_per_trial"],
            gpus_per_trial=options["gpus_per_trial"],
            memory_per_trial=options["memory_per_trial"],
            max_concurrent=options["max_concurrent"],
        )
        with cluster(options["ray_address"], go_on, insecure=options["insecure"]):
            found = plan_search(jobs, resources, talk)
    shares = _shares(found, resources)
    click.echo(_json(found, workers, shares) if as_json else _text(found, workers, shares))
    talk("next        oddsound run, with the same options and --out RUN")


def _jobs(data: Path, machines: list[str] | None, options: dict[str, Any]) -> list[Job]:
    """Everything that a run would refuse is refused."""
    from oddsound.cli.recordings import index_layout, of_one_section
    from oddsound.cli.settings import overrides
    from oddsound.cli.stages import refuse_unusable
    from oddsound.search.plan import Job
    from oddsound.search.space import load_space

    overlays = overrides(options)
    index = index_layout(data, machines, options)
    overlays = [*of_one_section(index, overlays), *overlays]
    spaces = [load_space(machine, overlays, options["spaces"]) for machine in index.machines]
    refuse_unusable(index, spaces)
    return [Job.of(s, index.of(s.machine), options["trials"], options["seed"]) for s in spaces]


def _shares(found: Plan, resources: Resources) -> dict[str, Any]:
    """Of the machine type that needs most: its memory, and what a trial would be given by it."""
    from oddsound.search.resources import gpu_share, memory_share

    host = max(cost.footprint.host_bytes for cost in found.costs)
    gpu = max(cost.footprint.gpu_bytes for cost in found.costs)
    has = min(cost.measured.gpu_memory for cost in found.costs)
    return {
        "host_bytes": host,
        "memory_per_trial": memory_share(host),
        "gpu_bytes": gpu,
        "gpu_memory": has,
        "gpus_per_trial": gpu_share(gpu, has) if has else 0.0,
    }


def _text(found: Plan, workers: list[int], shares: dict[str, Any]) -> str:
    from oddsound.cli.columns import columns

    rows = [["machine", "trials", "epochs", "s/epoch", "h/trial", "hours", "GiB"]]
    for cost in found.costs:
        hours = (cost.seconds_per_trial / 3600, cost.seconds / 3600)
        counts = (str(cost.job.n_trials), str(cost.job.config.training.epochs))
        memory = f"{cost.footprint.host_bytes / _GIB:.1f}"
        rows.append([cost.machine, *counts, _short(cost.seconds_per_epoch), *map(_short, hours), memory])
    return "\n".join([columns(rows), "", *_totals(found, workers), *_memory(shares)])


def _totals(found: Plan, workers: list[int]) -> list[str]:
    """`N trials × E epochs = H hours on W workers`, a line for each W."""
    epochs = sorted({cost.job.config.training.epochs for cost in found.costs})
    between = str(epochs[0]) if len(epochs) == 1 else f"{epochs[0]} to {epochs[-1]}"
    n = sum(cost.job.n_trials for cost in found.costs)
    what = f"{n} trials × {between} epochs"
    return [
        f"{what} = {_short(found.seconds_on(count) / 3600)} hours on {count} worker{'s' if count > 1 else ''}"
        for count in workers or [found.n_workers]
    ]


def _memory(shares: dict[str, Any]) -> list[str]:
    lines = [
        f"memory of a trial: {shares['host_bytes'] / _GIB:.1f} GiB "
        f"(--memory-per-trial {shares['memory_per_trial'] / _GIB:.4g})"
    ]
    if shares["gpu_memory"]:
        of = f"{shares['gpu_bytes'] / _GIB:.1f} of {shares['gpu_memory'] / _GIB:.1f} GiB"
        lines.append(f"GPU memory of a trial: {of} (--gpus-per-trial {shares['gpus_per_trial']:g})")
    return lines


def _short(number: float) -> str:
    """Three digits, and no exponent for what is large."""
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def _json(found: Plan, workers: list[int], shares: dict[str, Any]) -> str:
    import json

    machines = {
        cost.machine: {
            "trials": cost.job.n_trials,
            "epochs": cost.job.config.training.epochs,
            "seconds_per_epoch": cost.seconds_per_epoch,
            "seconds_per_trial": cost.seconds_per_trial,
            "hours": cost.seconds / 3600,
            "host_bytes": cost.footprint.host_bytes,
            "gpu_bytes": cost.footprint.gpu_bytes,
            "measured_on": cost.measured_on,
        }
        for cost in found.costs
    }
    hours = [{"workers": n, "hours": found.seconds_on(n) / 3600} for n in workers or [found.n_workers]]
    total = {"trials": sum(cost.job.n_trials for cost in found.costs), "hours_on": hours}
    return json.dumps({"machines": machines, "total": total, "resources": shares}, indent=1)
