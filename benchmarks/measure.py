"""What the benchmarks share: contenders timed in turns, medians with their spread, tables."""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence


def seconds(call: Callable[[], object]) -> float:
    """The wall time of one call."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def in_turns(
    contenders: Mapping[str, Callable[[], float]], rounds: int, *, warm_up: bool = True
) -> dict[str, list[float]]:
    """What each contender gives in each round, all of them in every round, so that a busy minute of the
    machine meets them alike; `warm_up`: a first round that doesn't count."""
    if warm_up:
        for name, measure in contenders.items():
            say(f"{name}: {measure():.4g} (warm-up)")
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(1, rounds + 1):
        for name, measure in contenders.items():
            found[name].append(measure())
            say(f"{name}: {found[name][-1]:.4g} (round {turn} of {rounds})")
    return found


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Round by round."""
    return [a / b for a, b in zip(above, below, strict=True)]


def spread(values: Sequence[float], digits: int = 3) -> str:
    """ "median (lowest to highest)", to `digits` significant digits."""

    def shown(value: float) -> str:
        return f"{float(f'{value:.{digits}g}'):,g}"

    return f"{shown(statistics.median(values))} ({shown(min(values))} to {shown(max(values))})"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown; the first column is text, the others are numbers."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, rule, *rows))


def met(is_met: bool) -> str:
    """What is said of a target."""
    return "met" if is_met else "not met"


def load() -> str:
    """The machine's load average of the last minute."""
    return f"load {os.getloadavg()[0]:.1f}"


def say(text: str) -> None:
    """Talk goes to stderr; stdout has the tables."""
    print(text, file=sys.stderr, flush=True)
