"""`oddsound evaluate`: AUC, pAUC and omega of a folder of score CSVs, whatever system wrote them."""

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
    help="Folder of the organisers' ground_truth_*.csv. Without it the labels are those in the names.",
)
@click.option(
    "--pauc",
    "definition",
    type=click.Choice(["official", "eq6"]),
    default="official",
    show_default=True,
    help="The evaluator's standardised pAUC, or eq. 6 as the paper prints it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON: fractions, at full precision.")
def evaluate(scores: Path, ground_truth: Path | None, definition: Definition, as_json: bool) -> None:
    """Compute AUC, pAUC and omega of the anomaly_score_*.csv in the folder SCORES.

    Each file must hold exactly the expected recordings, once and with a finite score; otherwise the
    file and line are named and nothing is computed.
    """
    from oddsound.scoring.evaluation import evaluate_folder

    cells = evaluate_folder(scores, ground_truth, definition)
    if as_json:
        import json

        click.echo(json.dumps(document(cells, definition), indent=1, allow_nan=False))
    else:
        click.echo("\n".join(lines(cells, definition)))


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
    ]


def _cell_line(c: Cell, width: int) -> str:
    where = f"{c.machine:<{width}}  {c.section:<7}  {c.domain:<6}"
    return f"{where}  {_percent(c.auc)}  {_percent(c.pauc)}  {c.n_normal:6d}  {c.n_anomaly:9d}"


def _machine_line(machine: str, of: dict[str, float], width: int) -> str:
    return f"{machine:<{width}}  {_percent(of['auc'])}  {_percent(of['pauc'])}   {_percent(of['omega'])}"


def _percent(fraction: float | None) -> str:
    return "     -" if fraction is None else f"{100 * fraction:6.2f}"
