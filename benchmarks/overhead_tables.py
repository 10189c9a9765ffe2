"""The tables of `benchmarks.overhead`: its contenders, and what was measured of them, in Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

OURS, TUNED, STOCK, ALONE = (
    "oddsound",
    "Tune + MLflow's callback, actors reused, no other logger",
    "Tune + MLflow's callback, as it comes",
    "Tune alone, actors reused, no logger",
)
N_MARKS = 5


def as_table(said: Sequence[dict[str, Any]]) -> list[str]:
    """Medians and, in brackets, the least and the most."""
    heads = ["", "trials", "trials/s", "search [s]", "MLflow has all [s]", "runs"]
    heads += ["MB at 1/5", "MB at the end", "MB per 100 trials"]
    lines = [row(heads), row(["---", *["---:"] * (len(heads) - 1)])]
    for name in dict.fromkeys(one["contender"] for one in said):
        of_one = [one for one in said if one["contender"] == name]
        columns = [
            spread([one["per_second"] for one in of_one], 1),
            spread([one["searched_s"] for one in of_one], 0),
            spread([one["tracked_s"] for one in of_one], 0) if of_one[0]["n_tracked"] else "",
            "/".join(dict.fromkeys(str(one["n_tracked"]) for one in of_one)),
            spread([at(one, 0) for one in of_one], 0),
            spread([at(one, -1) for one in of_one], 0),
            spread([growth(one) for one in of_one], 1),
        ]
        lines.append(row([name, str(of_one[0]["n_trials"]), *columns]))
    return lines


def memory_table(said: Sequence[dict[str, Any]]) -> list[str]:
    """Medians of the resident memory on the way, in MB."""
    full = [one for one in said if one["contender"] != STOCK]
    ends = sorted({int(n) for one in full for n in one["resident"]})
    lines = [row(["MB after", *map(str, ends)]), row(["---", *["---:"] * len(ends)])]
    for name in dict.fromkeys(one["contender"] for one in full):
        of_one = [one["resident"] for one in full if one["contender"] == name]
        medians = [statistics.median([resident[str(n)] for resident in of_one]) for n in ends]
        lines.append(row([name, *(f"{mb:.0f}" for mb in medians)]))
    return lines


def at(one: dict[str, Any], mark: int) -> float:
    return one["resident"][str(marks(one["n_trials"])[mark])]


def growth(one: dict[str, Any]) -> float:
    """MB per 100 trials from the first fifth on."""
    first, *_, last = marks(one["n_trials"])
    return (at(one, -1) - at(one, 0)) / max(1, last - first) * 100


def spread(values: Sequence[float], digits: int) -> str:
    middle = f"{statistics.median(values):.{digits}f}"
    if len(values) < 2:
        return middle
    return f"{middle} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def marks(n_trials: int) -> list[int]:
    return [max(1, n_trials * k // N_MARKS) for k in range(1, N_MARKS + 1)]
