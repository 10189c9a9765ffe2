"""`oddsound ensemble`: every fusion of a run's best trials, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from oddsound.cli.options import machines_option
from oddsound.cli.talking import warn
from oddsound.cli.wanted import Choice, Effort, choice_options, effort_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oddsound.cli.estimates import Estimates
    from oddsound.ensemble.systems import MachineSystem


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@machines_option("all that RUN has trials of")
@choice_options
@effort_options
@click.option("--tracking-uri", help="Another MLflow than the run's own, that a sync has sent the run to.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: fractions, at full precision.")
def ensemble(
    run: Path,
    machines: list[str] | None,
    top_k: int,
    metric: str,
    searches: tuple[str, ...],
    strict: bool,
    resamples: int,
    splits: int,
    tracking_uri: str | None,
    as_json: bool,
) -> None:
    """Compare every fusion of RUN's best trials, by machine type: which are worth a submission?

    \b
      oddsound ensemble runs/first
      oddsound ensemble runs/first --machines fan --splits 100
      oddsound ensemble runs/first --top-k 3 --json

    Writes nothing. weighted, diverse and greedy learn from the labelled test clips: judge them by the
    corrected figure, of clips that they haven't seen. `oddsound submit RUN --fusions A,B,C,D` submits any.
    """
    from oddsound.cli import stages
    from oddsound.cli.choosing import checked, choose
    from oddsound.cli.estimates import caveats, estimate
    from oddsound.ensemble.fusions import FUSIONS
    from oddsound.ensemble.systems import all_fusions
    from oddsound.search.record import read_record
    from oddsound.tracking.store import canonical

    record = read_record(run)
    if tracking_uri:
        record.tracking_uri = canonical(tracking_uri)
    known = _among(machines, stages.searched(run, record), run)
    store = stages.tracking(run, record)
    choice = checked(Choice(top_k, metric, searches, strict), store)
    found = {machine: choose(store, run, record, machine, choice) for machine in known}
    fused = {m: all_fusions([each.member for each in of], top_k) for m, of in found.items()}
    tables = {
        name: {machine: of[name].table for machine, of in fused.items() if name in of} for name in FUSIONS
    }
    shown = {name: of for name, of in tables.items() if of}
    effort = Effort(resamples, splits)
    estimates = estimate(shown, {name: name for name in shown}, found, choice, effort, fallback=False)
    if as_json:
        import json

        click.echo(json.dumps(_document(fused, estimates), indent=1, allow_nan=False))
    else:
        click.echo("\n".join(_lines(fused, estimates)))
    for line in caveats({m: of[0].member.table for m, of in found.items()}, record.made_up()):
        warn(line)


def _among(machines: list[str] | None, known: list[str], run: Path) -> list[str]:
    from oddsound.errors import BundleError, ConfigError

    if not known:
        raise BundleError(f"{run}: no finished trial yet; run the search to its end first")
    for name in sorted(set(machines or ()) - set(known)):
        raise ConfigError(f"--machines {name}: no finished trial of it; {run} has {', '.join(known)}")
    return [machine for machine in known if machines is None or machine in machines]


def _lines(fused: Mapping[str, Mapping[str, MachineSystem]], estimates: Estimates) -> list[str]:
    """A table of each machine type, and where there are several one of their means."""
    from oddsound.cli.estimates import MEAN, explained, table_of

    lines: list[str] = []
    for machine, of in fused.items():
        n = max(len(each.members) for each in of.values())
        lines += [f"{machine}: fusions of {n} trial{'s' if n > 1 else ''}"]
        lines += [*(table_of(estimates, _names(of), machine) or _plain(of)), ""]
    every = set.intersection(*(set(of) for of in fused.values()))
    if len(fused) > 1 and estimates:
        first = next(iter(fused.values()))
        names = {name: title for name, title in _names(first).items() if name in every}
        lines += ["mean over machine types", *table_of(estimates, names, MEAN), ""]
    return [*lines, *explained(estimates)]


def _names(of: Mapping[str, Any]) -> dict[str, str]:
    from oddsound.ensemble.fusions import FUSIONS

    return {name: name + (" *" if FUSIONS[name].uses_labels else "") for name in of}


def _plain(of: Mapping[str, MachineSystem]) -> list[str]:
    """Without estimates, or without labelled clips."""
    rows = [(name, each.omega) for name, each in of.items()]
    return [f"{name:<14}" + ("-" if omega is None else f"{100 * omega:.2f}") for name, omega in rows]


def _document(fused: Mapping[str, Mapping[str, MachineSystem]], estimates: Estimates) -> dict[str, Any]:
    return {
        machine: {
            name: {
                "omega": each.omega,
                "members": [member.trial for member in each.members],
                **_estimated(estimates, name, machine),
            }
            for name, each in of.items()
        }
        for machine, of in fused.items()
    }


def _estimated(estimates: Estimates, name: str, machine: str) -> dict[str, Any]:
    return dict(estimates.document(name).get(machine, {})) if estimates else {}
