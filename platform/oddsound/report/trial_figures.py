"""How one trial learned: its losses and its Ω, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from oddsound.report.palette import BLUE
from oddsound.report.run_folder import is_number
from oddsound.report.search_figures import whole_ticks
from oddsound.report.svg import line, place_axes, short

Curve = tuple[list[float], list[float]]
"""Epochs and values."""
OMEGA = "omega"
_BESIDE = 4
"""Names of losses that have room beside each other."""


def curves(history: Sequence[Mapping[str, Any]]) -> dict[str, Curve]:
    """The losses by name, and Ω in % as `omega`, of the epochs that have one."""
    found: dict[str, Curve] = {}
    for entry in history:
        for key, value in entry.items():
            if (
                (key == OMEGA or key.split("/")[0] == "loss")
                and is_number(value)
                and is_number(entry["epoch"])
            ):
                epochs, values = found.setdefault(key, ([], []))
                epochs.append(float(entry["epoch"]))
                values.append(float(value) * (100 if key == OMEGA else 1))
    return found


def loss_figure(found: Mapping[str, Curve]) -> Figure:
    """The losses above, Ω in % of the epochs that it was measured after below."""
    losses = {key: curve for key, curve in found.items() if key != OMEGA}
    panels = int(bool(losses)) + int(OMEGA in found)
    figure = Figure((4.6, 0.9 + (2.2 if losses else 0) + (1.0 if OMEGA in found else 0)))
    ratios = [3, 1.5][:panels] if losses else [1]
    grid = figure.subplots(panels, 1, squeeze=False, sharex=True, height_ratios=ratios)[:, 0]
    for place, (key, (epochs, values)) in enumerate(losses.items()):
        marker = "." if len(epochs) < 20 else None
        grid[0].plot(epochs, values, label=_loss(key), marker=marker, **line(place))
    if losses:
        grid[0].set_ylabel("loss")
        if _is_wide([value for _, values in losses.values() for value in values]):
            grid[0].set_yscale("log")
            grid[0].yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            grid[0].yaxis.set_minor_formatter(NullFormatter())
        figure.legend(loc="upper center", ncols=_BESIDE, columnspacing=1.2, handlelength=1.4)
    if OMEGA in found:
        grid[-1].plot(*found[OMEGA], color=BLUE, marker="o")
        grid[-1].set_ylabel("Ω [%]")
        grid[-1].margins(y=0.2)
    grid[-1].set_xlabel("epoch")
    epochs = [epoch for epochs, _ in found.values() for epoch in epochs]
    grid[-1].set_xticks(whole_ticks(min(epochs), max(epochs)))
    place_axes(figure, 0.65, 0.1, 0.5, 0.2 + 0.2 * max(1, -(-len(losses) // _BESIDE)), 0.15)
    return figure


def _is_wide(values: Sequence[float]) -> bool:
    """Whether small losses would lie on the axis beside large ones."""
    return min(values) > 0 and max(values) > 30 * min(values)


def _loss(key: str) -> str:
    return short(key.partition("/")[2].replace("_", " ") or key)
