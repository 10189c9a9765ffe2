"""`oddsound evaluate`: AUC, pAUC and omega of score CSVs, whatever system wrote them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from oddsound.scoring.bootstrap import Interval, SystemIntervals
    from oddsound.scoring.metrics import Definition
    from oddsound.scoring.omega import Cell
    from oddsound.scoring.table import ScoreTable


_FEWEST = 100
_EXPLAINED = "BCa bootstrap, {} resamples of the clips within section, domain and class"


@click.command()
@click.argument("scores", type=click.Path(path_type=Path))
@click.option(
    "--ground-truth",
    type=click.Path(path_type=Path),
    help="The organisers' labels: the folder of ground_truth_*.csv, from 2022 on the one that holds "
    "ground_truth_data and ground_truth_domain, of 2020 the one of eval_data_list.csv. Without it the "
    "labels are those in the names.",
)
@click.option("--year", help="Refuse CSVs that aren't named as in this year. Their names say it anyway.")
@click.option(
    "--pauc",
    "definition",
    type=click.Choice(["official", "eq6"]),
    default="official",
    show_default=True,
    help="The evaluator's standardised pAUC, or eq. 6 as the paper prints it.",
)
@click.option(
    "--resamples",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="Of the bootstrap that gives 95 % intervals; 2000 are enough. 0: none. They are of the official "
    "pAUC alone.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON: fractions, at full precision.")
def evaluate(
    scores: Path,
    ground_truth: Path | None,
    year: str | None,
    definition: Definition,
    resamples: int,
    as_json: bool,
) -> None:
    """Compute AUC, pAUC and omega of SCORES: one anomaly_score_*.csv, a folder of them, or a package.

    \b
    Examples:
      oddsound evaluate result/                                   labels as the recordings' names say
      oddsound evaluate submission.zip --ground-truth labels/     each of its systems
      oddsound evaluate anomaly_score_fan_section_00_test.csv --json
      oddsound evaluate result/ --resamples 2000                  with 95 % intervals of omega

    A package is a folder or zip with a folder of CSVs for each system; each is evaluated. The CSVs'
    names say the year, and that how AUC and pAUC are defined. Each file must hold exactly the expected
    recordings, once and with a finite score; otherwise the file and line are named and nothing is
    computed.

    Intervals know of the clips' luck alone: not that a system was chosen by these labels, nor of other
    machines. `oddsound compare` says whether one system is better than another.
    """
    from oddsound.scoring.evaluation import labelled_tables
    from oddsound.scoring.omega import cells
    from oddsound.submission.reading import place_of, systems_at

    _refuse_no_interval(definition, resamples)
    is_file = scores.is_file() and scores.suffix == ".csv"
    tables = {
        name: labelled_tables(files, place_of(scores, name), ground_truth, year, complete=not is_file)
        for name, files in systems_at(scores).items()
    }
    found = {
        name: [c for table in of.values() for c in cells(table, definition)] for name, of in tables.items()
    }
    sure = {name: _intervals(of, resamples) for name, of in tables.items()}
    is_package = place_of(scores, "") != place_of(scores, "x")
    if as_json:
        import json

        documents = {
            name: document(c, definition) | interval_document(sure[name], resamples)
            for name, c in found.items()
        }
        one = {"systems": documents} if is_package else next(iter(documents.values()))
        click.echo(json.dumps(one, indent=1, allow_nan=False))
    else:
        texts = [
            "\n".join(([name] if is_package else []) + lines(c, definition, sure[name], resamples))
            for name, c in found.items()
        ]
        click.echo("\n\n".join(texts))


def _refuse_no_interval(definition: Definition, resamples: int) -> None:
    from oddsound.errors import ConfigError

    if 0 < resamples < _FEWEST:
        raise ConfigError(f"--resamples {resamples}: too few for an interval; give {_FEWEST} or more, or 0")
    if resamples and definition == "eq6":
        raise ConfigError("--pauc eq6: intervals are of the official pAUC alone; leave out --resamples")


def _intervals(tables: Mapping[str, ScoreTable], resamples: int) -> SystemIntervals | None:
    from oddsound.scoring.bootstrap import bootstrap

    return bootstrap(tables, resamples) if resamples else None


def interval_document(of: SystemIntervals | None, resamples: int) -> dict[str, Any]:
    """What `--json` has besides where intervals were asked for; every figure is a fraction."""
    if of is None:
        return {}
    ends = {name: _ends(i) for name, i in of.machines.items()}
    totals = {"mean_omega": _ends(of.mean), "official_score": _ends(of.official)}
    return {"intervals": {"level": 0.95, "resamples": resamples, "omega": ends, **totals}}


def _ends(of: Interval) -> dict[str, float]:
    return {"lower": of.lower, "upper": of.upper}


def document(cells: Sequence[Cell], definition: Definition) -> dict[str, Any]:
    """What `--json` prints; every figure is a fraction."""
    from dataclasses import asdict

    from oddsound.scoring.omega import by_machine, harmonic_mean, mean_omega, official_score, omega

    groups = by_machine(cells)
    machines = {
        machine: {
            "auc": harmonic_mean(c.auc for c in group if c.auc is not None),
            "pauc": harmonic_mean(c.pauc for c in group if c.pauc is not None),
            "omega": omega(group),
            "cells": [asdict(c) for c in group],
        }
        for machine, group in groups.items()
    }
    return {
        "pauc_definition": definition,
        "machines": machines,
        "mean_omega": mean_omega(groups),
        "official_score": official_score(cells),
    }


def lines(
    cells: Sequence[Cell],
    definition: Definition,
    sure: SystemIntervals | None = None,
    resamples: int = 0,
) -> list[str]:
    """The report for people, in per cent to two decimals."""
    found = document(cells, definition)
    width = max(len("machine"), *(len(machine) for machine in found["machines"]))
    count = f"{len(found['machines'])} machine type{'s' if len(found['machines']) > 1 else ''}"
    pauc = {"official": "official (standardised, FPR up to 0.1)", "eq6": "eq. 6 as printed"}[definition]
    return [
        f"{'machine':<{width}}  section  domain    AUC %  pAUC %  normal  anomalous",
        *(_cell_line(c, width) for c in cells),
        "",
        f"{'machine':<{width}}   AUC %  pAUC %  omega %{'   95 % interval' if sure else ''}"
        "   (harmonic means over sections and domains)",
        *(
            _machine_line(machine, of, width) + _between(sure.machines[machine] if sure else None, "   ")
            for machine, of in found["machines"].items()
        ),
        "",
        f"mean omega      {_percent(found['mean_omega'])} %   arithmetic mean over {count}"
        f"{_between(sure.mean if sure else None, '; 95 % interval ')}",
        f"official score  {_percent(found['official_score'])} %   harmonic mean over all "
        f"{sum(len(c.values) for c in cells)} AUC and pAUC values"
        f"{_between(sure.official if sure else None, '; 95 % interval ')}",
        f"pAUC            {pauc}",
        *(
            ["AUC             of a domain's normal clips against all anomalies, the rule from 2022 on"]
            if any(not c.domain for c in cells)
            else []
        ),
        *([f"interval        {_EXPLAINED.format(resamples)}"] if sure else []),
    ]


def _cell_line(c: Cell, width: int) -> str:
    where = f"{c.machine:<{width}}  {c.section:<7}  {c.domain or 'both':<6}"
    return f"{where}  {_percent(c.auc)}  {_percent(c.pauc)}  {c.n_normal:6d}  {c.n_anomaly:9d}"


def _machine_line(machine: str, of: dict[str, float], width: int) -> str:
    return f"{machine:<{width}}  {_percent(of['auc'])}  {_percent(of['pauc'])}   {_percent(of['omega'])}"


def _percent(fraction: float | None) -> str:
    return "     -" if fraction is None else f"{100 * fraction:6.2f}"


def _between(of: Interval | None, before: str) -> str:
    return "" if of is None else f"{before}{100 * of.lower:.2f} to {100 * of.upper:.2f}"
