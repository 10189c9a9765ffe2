"""`oddsound compare`: is one system better than another, or could it be the clips' luck?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oddsound.scoring.bootstrap import Comparison, PairedIntervals
    from oddsound.scoring.table import ScoreTable


@click.command()
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option(
    "--ground-truth",
    type=click.Path(path_type=Path),
    help="The organisers' labels, as `oddsound evaluate` takes them. Without it the labels are those in "
    "the names.",
)
@click.option("--year", help="Refuse CSVs that aren't named as in this year. Their names say it anyway.")
@click.option(
    "--resamples",
    default=2000,
    show_default=True,
    type=click.IntRange(100),
    help="Of the clips, the same for both systems.",
)
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="Of the resamples; the same gives the same figures.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON: fractions, at full precision.")
def compare(
    a: str,
    b: str,
    ground_truth: Path | None,
    year: str | None,
    resamples: int,
    seed: int,
    as_json: bool,
) -> None:
    """Is A better than B? The difference of their omegas on the same clips, and how sure it is.

    \b
    Examples:
      oddsound compare mine/ theirs/                                 two folders of anomaly_score_*.csv
      oddsound compare submission.zip#1 submission.zip#4             S1 and S4 of one package
      oddsound compare a.zip#2 b.zip#Kim_EXU_task2_3 --ground-truth labels/
      oddsound compare runs/a/submission#1 runs/b/submission#1 --json

    A and B are what `oddsound evaluate` takes: a CSV, a folder of them, a package's folder or zip. Where it
    holds several systems, #2 (or #S2) names one by its number, #LABEL by its folder. Both must have scored
    the same clips.

    The interval is of 95 %, by paired bootstrap: clips are drawn within section, domain and class, for both
    systems alike. A is better where all of it is above 0. Each line is judged for itself: of seven machine
    types of two equal systems one at least is called better in about 30 % of cases, so go by the mean. That
    a system was chosen by these clips' labels, it doesn't know.
    """
    where_a, tables_a = _system(a, ground_truth, year)
    where_b, tables_b = _system(b, ground_truth, year)
    _refuse_unlike(where_a, tables_a, where_b, tables_b)
    found = _paired(where_a, tables_a, where_b, tables_b, resamples, seed)
    rows = _rows(tables_a, tables_b, found)
    if as_json:
        import json

        document = {"a": where_a, "b": where_b, "resamples": resamples, "seed": seed, "level": 0.95}
        means = {"mean": rows.pop("mean")}
        click.echo(json.dumps(document | {"machines": rows} | means, indent=1, allow_nan=False))
    else:
        click.echo("\n".join([f"A  {where_a}", f"B  {where_b}", "", _table(rows), _explained(resamples)]))


def _system(named: str, ground_truth: Path | None, year: str | None) -> tuple[str, dict[str, ScoreTable]]:
    """Where the system is, and its tables by machine type."""
    from oddsound.scoring.evaluation import labelled_tables
    from oddsound.submission.reading import place_of, systems_at

    path, wanted = _split(named)
    systems = systems_at(path)
    name = _chosen(named, wanted, list(systems))
    is_csv = path.is_file() and path.suffix == ".csv"
    where = place_of(path, name)
    tables = labelled_tables(systems[name], where, ground_truth, year, complete=not is_csv)
    return str(path) if is_csv else where, tables


def _split(named: str) -> tuple[Path, str]:
    """The path and what stands after its last `#`; a path that is there is taken whole."""
    path, mark, wanted = named.rpartition("#")
    return (Path(path), wanted) if mark and not Path(named).exists() else (Path(named), "")


def _chosen(named: str, wanted: str, systems: list[str]) -> str:
    """Which of the systems is meant. Raises ConfigError unless it is one."""
    from oddsound.errors import ConfigError

    found = [name for name in systems if not wanted or wanted in (name, *_short_names(name))]
    if len(found) == 1:
        return found[0]
    shown = ", ".join(found or systems)
    if not found:
        raise ConfigError(f"{named}: no system {wanted!r} in it; there {_are(systems)} {shown}")
    base = named.removesuffix(f"#{wanted}") if wanted else named
    raise ConfigError(f"{named}: {len(found)} systems in it; say which, e.g. '{base}#{found[0]}', of {shown}")


def _are(names: list[str]) -> str:
    return "are" if len(names) > 1 else "is"


def _short_names(name: str) -> tuple[str, ...]:
    """`…/Kim_EXU_task2_3` is also Kim_EXU_task2_3, 3 and S3."""
    from oddsound.submission.authors import LABEL

    folder = name.rpartition("/")[2]
    label = LABEL.fullmatch(folder)
    return (folder, label["number"], f"S{label['number']}") if label else (folder,)


def _refuse_unlike(
    where_a: str, a: Mapping[str, ScoreTable], where_b: str, b: Mapping[str, ScoreTable]
) -> None:
    from oddsound.errors import ScoreError

    for having, lacking, machines in ((where_a, where_b, a.keys() - b), (where_b, where_a, b.keys() - a)):
        if machines:
            raise ScoreError(
                f"{lacking}: no scores of {', '.join(sorted(machines))}, which {having} has; compare systems "
                "of the same machine types"
            )


def _paired(
    where_a: str,
    a: Mapping[str, ScoreTable],
    where_b: str,
    b: Mapping[str, ScoreTable],
    resamples: int,
    seed: int,
) -> PairedIntervals:
    """As `paired`, whose errors don't know where the systems are."""
    from oddsound.errors import ScoreError
    from oddsound.scoring.bootstrap import paired

    try:
        return paired(a, b, resamples, seed)
    except ScoreError as error:
        raise ScoreError(
            f"{where_a} and {where_b}: {error}; compare systems that scored the same clips"
        ) from error


def _rows(
    a: Mapping[str, ScoreTable], b: Mapping[str, ScoreTable], found: PairedIntervals
) -> dict[str, dict[str, Any]]:
    """What is known of each machine type, and of the `mean` over them; figures are fractions."""
    from statistics import fmean

    from oddsound.scoring.omega import cells, omega

    omegas = {machine: (omega(cells(a[machine])), omega(cells(b[machine]))) for machine in found.machines}
    rows = {machine: _row(*omegas[machine], of) for machine, of in found.machines.items()}
    means = [fmean(of) for of in zip(*omegas.values(), strict=True)]
    return rows | {"mean": _row(means[0], means[1], found.mean)}


def _row(omega_a: float, omega_b: float, of: Comparison) -> dict[str, Any]:
    return {
        "omega_a": omega_a,
        "omega_b": omega_b,
        "difference": of.difference.estimate,
        "lower": of.difference.lower,
        "upper": of.difference.upper,
        "share": of.share,
        "verdict": of.verdict,
    }


def _table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    from oddsound.cli.columns import columns

    head = ["omega [%]", "A", "B", "A - B", "95 % interval", "A > B", "verdict"]
    return columns([head, *([name, *_cells(row)] for name, row in rows.items())])


def _cells(row: Mapping[str, Any]) -> list[str]:
    return [
        f"{100 * row['omega_a']:.2f}",
        f"{100 * row['omega_b']:.2f}",
        f"{100 * row['difference']:+.2f}",
        f"{100 * row['lower']:+.2f} to {100 * row['upper']:+.2f}",
        f"{100 * row['share']:.1f} %",
        row["verdict"],
    ]


def _explained(resamples: int) -> str:
    return (
        f"interval: BCa, paired bootstrap, {resamples} resamples of the clips within section, domain and "
        "class; A > B: the share of them in which A is better\n"
        "Neither knows of choosing: a system that was chosen by these labels looks better than it is"
    )
