"""How a machine type's search went: history, parallel coordinates, importances, slices.

Optuna's own plots say the same; they are drawn for a light page alone, and don't know of the paper.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from oddsound.report.palette import BLUE, GREEN, INK, LINE, ORANGE, RED, SOFT
from oddsound.report.svg import HALO, place_axes, short
from oddsound.search.space_yaml import Dimension

Point = tuple[int, float]
"""A trial's number and its Ω in %."""
_FEW = 4
"""Settings that have room beside each other."""
_MANY = 20
"""Trials whose lines can be told apart."""
_CUT, _LONG = 18, 8


def running_best(done: Sequence[Point]) -> list[Point]:
    """By trial number, the highest Ω so far."""
    best = -math.inf
    return [(number, best := max(best, omega)) for number, omega in sorted(done)]


def history_figure(
    done: Sequence[Point],
    stopped: Sequence[Point] = (),
    n_failed: int = 0,
    paper: float | None = None,
) -> Figure:
    """Ω by trial, the best so far as steps, and the paper's as a line, all in %; failed trials, of which no
    number is kept, after the last one."""
    numbers = [number for number, _ in (*done, *stopped)]
    first, last, best = min(numbers), max(numbers), running_best(done)
    figure = Figure((4.6, 3.2))
    axes = figure.add_subplot(xlabel="trial", ylabel="Ω [%]")
    axes.scatter(*_columns(done), color=BLUE, s=26, label="finished", zorder=3)
    ends = [number for number, _ in best] + [last + 0.5], [omega for _, omega in (*best, best[-1])]
    axes.step(*ends, where="post", color=GREEN, label="best so far")
    if stopped:
        axes.scatter(*_columns(stopped), edgecolors=SOFT, facecolors="none", s=26, label="stopped early")
    if paper is not None:
        axes.axhline(
            paper, color=ORANGE, linestyle=(0, (5, 2)), label=f"paper, best single model {paper:.2f}"
        )
    if n_failed:
        _failed(axes, last, n_failed)
    axes.set_xticks(whole_ticks(first, last))
    pad = max(0.5, 0.02 * (last + n_failed - first))
    axes.set_xlim(first - pad, last + n_failed + pad)
    axes.margins(y=0.12)
    below = 0.62 + 0.17 * -(-len(axes.get_legend_handles_labels()[0]) // 2)
    figure.set_figheight(2.2 + below)
    place_axes(figure, 0.55, 0.1, below, 0.1)
    figure.legend(loc="lower center", ncols=2)
    return figure


def whole_ticks(first: float, last: float) -> list[float]:
    """Marks at whole numbers from `first` to `last`, at one of them at least."""
    ticks = MaxNLocator(integer=True, min_n_ticks=1).tick_values(first - 0.5, last + 0.5)
    return [tick for tick in ticks if first <= tick <= last]


def importance_figure(shares: Mapping[str, float]) -> Figure:
    """Bars, the largest on top. shares: of 1."""
    names = list(shares)[::-1]
    figure = Figure((4.6, 0.9 + 0.34 * len(names)), layout="constrained")
    axes = figure.add_subplot(xlabel="share of the variance of Ω (fANOVA)", xlim=(0, 1.12))
    axes.barh(range(len(names)), [shares[name] for name in names], color=BLUE, height=0.6)
    axes.set_yticks(range(len(names)), [short(name) for name in names])
    for place, name in enumerate(names):
        axes.text(shares[name] + 0.015, place, f"{100 * shares[name]:.0f} %", va="center")
    axes.grid(False, axis="y")
    axes.set_xticks([0, 0.5, 1], ["0", "50 %", "100 %"])
    return figure


def slice_figure(
    dimensions: Mapping[str, Dimension], points: Sequence[Mapping[str, Any]], omegas: Sequence[float]
) -> Figure:
    """A panel a searched setting: its value and Ω in % of each trial, the best one ringed."""
    columns = 2 if len(dimensions) <= _FEW else 3
    rows = -(-len(dimensions) // columns)
    is_long = any(_is_long(dimension) for dimension in dimensions.values())
    figure = Figure((6.2, 2.2 * rows), layout="constrained" if is_long else None)
    best = max(range(len(omegas)), key=omegas.__getitem__)
    first: Axes | None = None
    for place, (name, dimension) in enumerate(dimensions.items()):
        axes = figure.add_subplot(rows, columns, place + 1, sharey=first, xlabel=short(name))
        first = first or axes
        places = [_place(dimension, point[name]) for point in points]
        axes.scatter(places, omegas, color=BLUE, s=24, alpha=0.8)
        axes.scatter(
            [places[best]], [omegas[best]], s=90, facecolors="none", edgecolors=ORANGE, linewidths=1.8
        )
        _ticks(axes, dimension)
        axes.margins(y=0.15)
        if place % columns == 0:
            axes.set_ylabel("Ω [%]")
    if not is_long:
        place_axes(figure, 0.55, 0.15, 0.5, 0.08, 0.42, 0.6)
    return figure


def parallel_figure(
    dimensions: Mapping[str, Dimension], points: Sequence[Mapping[str, Any]], omegas: Sequence[float]
) -> Figure:
    """A line a trial through its settings and its Ω in %; the best one stands out, the better the bolder,
    and of many only the better ones are seen."""
    figure = Figure((6.2, 2.9), layout="constrained")
    axes = figure.add_subplot(xlim=(-0.15, len(dimensions) + 0.3), ylim=(-0.1, 1.06), yticks=[])
    axes.spines[["left", "bottom"]].set_visible(False)
    low, high = min(omegas), max(omegas)
    best, faint = omegas.index(high), min(0.7, max(0.1, _MANY / len(omegas)))
    for place, omega in sorted(enumerate(omegas), key=lambda each: (each[0] == best, each[1])):
        up = (omega - low) / (high - low) if high > low else 1.0
        heights = [_height(dimension, points[place][name]) for name, dimension in dimensions.items()]
        color, width, alpha = (
            (ORANGE, 2.4, 1.0) if place == best else (BLUE, 1.2, faint + (0.9 - faint) * up**4)
        )
        axes.plot(range(len(dimensions) + 1), [*heights, up], color=color, lw=width, alpha=alpha)
    for place, dimension in enumerate(dimensions.values()):
        _axis(axes, place, _marks(dimension))
    _axis(
        axes, len(dimensions), {0.0: f"{low:.1f}", 1.0: f"{high:.1f}"} if high > low else {1.0: f"{high:.1f}"}
    )
    names = [_two_lines(name) for name in dimensions]
    if len(dimensions) > _FEW:  # every other one below its neighbours
        names = [f"\n\n{name}" if place % 2 else name for place, name in enumerate(names)]
    axes.set_xticks(range(len(dimensions) + 1), [*names, "Ω [%]"])
    axes.tick_params(length=0)
    axes.grid(False)
    return figure


def value_text(value: Any) -> str:
    """A setting's value as a reader wants it: numbers to four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _failed(axes: Axes, last: int, count: int) -> None:
    """Crosses at the foot of the axes, apart from the trials that have a place in it."""
    axes.axvline(last + 0.5, color=LINE, lw=1)
    places, heights = range(last + 1, last + 1 + count), [0.05] * count
    axes.plot(places, heights, "x", color=RED, transform=axes.get_xaxis_transform(), label="failed")


def _columns(points: Sequence[Point]) -> tuple[list[int], list[float]]:
    return [number for number, _ in points], [omega for _, omega in points]


def _place(dimension: Dimension, value: Any) -> float:
    return float(dimension.choices.index(value) if dimension.choices is not None else value)


def _height(dimension: Dimension, value: Any) -> float:
    """From 0 to 1 along the setting's axis."""
    if dimension.choices is not None:
        return dimension.choices.index(value) / max(1, len(dimension.choices) - 1)
    low, high = _ends(dimension)
    if high <= low:
        return 0.5
    if dimension.log:
        return (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
    return float((value - low) / (high - low))


def _ends(dimension: Dimension) -> tuple[float, float]:
    assert dimension.low is not None and dimension.high is not None
    return dimension.low, dimension.high


def _marks(dimension: Dimension) -> dict[float, str]:
    """What stands at which height of an axis."""
    values = dimension.choices if dimension.choices is not None else [*_ends(dimension)]
    return {_height(dimension, value): short(value_text(value), _CUT) for value in values}


def _axis(axes: Axes, place: int, marks: Mapping[float, str]) -> None:
    axes.plot([place, place], [0, 1], color=LINE, lw=1, zorder=0)
    for height, mark in marks.items():
        axes.text(place + 0.04, height, mark, fontsize=8, va="center", color=INK, gid=HALO)


def _two_lines(name: str) -> str:
    room, dot, setting = name.rpartition(".")
    return f"{short(room)}{dot}\n{short(setting)}"


def _is_long(dimension: Dimension) -> bool:
    """Whether its choices' names don't fit beside each other."""
    return any(len(value_text(value)) > _LONG for value in dimension.choices or ())


def _ticks(axes: Axes, dimension: Dimension) -> None:
    if dimension.choices is not None:
        axes.set_xticks(
            range(len(dimension.choices)), [short(value_text(v), _CUT) for v in dimension.choices]
        )
        axes.set_xlim(-0.5, len(dimension.choices) - 0.5)
        if _is_long(dimension):
            axes.tick_params(axis="x", labelrotation=30)
        return
    low, high = _ends(dimension)
    if dimension.log:
        axes.set_xscale("log")
        axes.minorticks_off()
    middle = math.sqrt(low * high) if dimension.log else (low + high) / 2
    marks = sorted({low, float(f"{middle:.2g}"), high})
    axes.set_xticks(marks, [value_text(mark) for mark in marks])
    if high > low:
        pad = (high / low) ** 0.06 if dimension.log else 0.06 * (high - low)
        axes.set_xlim(*((low / pad, high * pad) if dimension.log else (low - pad, high + pad)))
