"""`oddsound evaluate`: AUC, pAUC and omega of score CSVs, whatever system wrote them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oddsound.scoring.metrics import Definition
    from oddsound.scoring.omega import Cell


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
@click.option("--json", "as_json", is_flag=True, help="Print JSON: fractions, at full precision.")
def evaluate(
    scores: Path, ground_truth: Path | None, year: str | None, definition: Definition, as_json: bool
) -> None:
    """Compute AUC, pAUC and omega of SCORES: one anomaly_score_*.csv, a folder of them, or a package.

    \b
    Examples:
      oddsound evaluate result/                                   labels as the recordings' names say
      oddsound evaluate submission.zip --ground-truth labels/     each of its systems
      oddsound evaluate anomaly_score_fan_section_00_test.csv --json

    A package is a folder or zip with a folder of CSVs for each system; each is evaluated. The CSVs'
    names say the year, and that how AUC and pAUC are defined. Each file must hold exactly the expected
    recordings, once and with a finite score; otherwise the file and line are named and nothing is
    computed.
    """
    from oddsound.scoring.evaluation import labelled_tables
    from oddsound.scoring.omega import cells
    from oddsound.submission.reading import place_of, systems_at

    is_file = scores.is_file() and scores.suffix == ".csv"
    found = {
        name: [
            cell
            for table in labelled_tables(
                files, place_of(scores, name), ground_truth, year, complete=not is_file
            ).values()
            for cell in cells(table, definition)
        ]
        for name, files in systems_at(scores).items()
    }
    is_package = place_of(scores, "") != place_of(scores, "x")
    if as_json:
        import json

        documents = {name: document(of_system, definition) for name, of_system in found.items()}
        one = {"systems": documents} if is_package else next(iter(documents.values()))
        click.echo(json.dumps(one, indent=1, allow_nan=False))
    else:
        texts = [
            "\n".join(([name] if is_package else []) + lines(c, definition)) for name, c in found.items()
        ]
        click.echo("\n\n".join(texts))


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


def lines(cells: Sequence[Cell], definition: Definition) -> list[str]:
    """The report for people, in per cent to two decimals."""
    found = document(cells, definition)
    width = max(len("machine"), *(len(machine) for machine in found["machines"]))
    count = f"{len(found['machines'])} machine type{'s' if len(found['machines']) > 1 else ''}"
    pauc = {"official": "official (standardised, FPR up to 0.1)", "eq6": "eq. 6 as printed"}[definition]
    return [
        f"{'machine':<{width}}  section  domain    AUC %  pAUC %  normal  anomalous",
        *(_cell_line(c, width) for c in cells),
        "",
        f"{'machine':<{width}}   AUC %  pAUC %  omega %   (harmonic means over sections and domains)",
        *(_machine_line(machine, of, width) for machine, of in found["machines"].items()),
        "",
        f"mean omega      {_percent(found['mean_omega'])} %   arithmetic mean over {count}",
        f"official score  {_percent(found['official_score'])} %   harmonic mean over all "
        f"{sum(len(c.values) for c in cells)} AUC and pAUC values",
        f"pAUC            {pauc}",
        *(
            ["AUC             of a domain's normal clips against all anomalies, the rule from 2022 on"]
            if any(not c.domain for c in cells)
            else []
        ),
    ]


def _cell_line(c: Cell, width: int) -> str:
    where = f"{c.machine:<{width}}  {c.section:<7}  {c.domain or 'both':<6}"
    return f"{where}  {_percent(c.auc)}  {_percent(c.pauc)}  {c.n_normal:6d}  {c.n_anomaly:9d}"


def _machine_line(machine: str, of: dict[str, float], width: int) -> str:
    return f"{machine:<{width}}  {_percent(of['auc'])}  {_percent(of['pauc'])}   {_percent(of['omega'])}"


def _percent(fraction: float | None) -> str:
    return "     -" if fraction is None else f"{100 * fraction:6.2f}"
