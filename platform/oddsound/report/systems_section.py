"""S1 to S4 as a report shows them: their table, what is said of it, and their figure."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from oddsound.ensemble.systems import TOP_K
from oddsound.report.blocks import Cell, drawn, lacking, percent, table, word
from oddsound.report.html import Html, element
from oddsound.report.palette import CURVES, SOFT
from oddsound.report.paper_figures import MACHINES as PAPER_MACHINES
from oddsound.report.paper_figures import PAPER
from oddsound.report.run_folder import MachineRun
from oddsound.report.svg import short
from oddsound.report.systems import SystemFigures, Systems
from oddsound.scoring.bootstrap import N_RESAMPLES, Interval

_SOURCES = {
    "listed": "As submission/systems.json has them, which oddsound submit wrote with the package.",
    "computed": "Built for this page from the five best finished trials of each machine type, as oddsound "
    f"ensemble does, with {N_RESAMPLES} resamples of the bootstrap; no submission has them yet.",
}


def systems_section(systems: Systems, machines: Sequence[MachineRun]) -> Html:
    heading = element("h2", "The systems S1–S4", id="systems")
    if not systems.systems:
        return element("section", heading, lacking(systems.lacking or ("No system can be built yet.",)))
    shown = [of.machine for of in machines if any(of.machine in s.machines for s in systems.systems)]
    rows = [_system_row(systems.systems, machine) for machine in shown]
    means = [_mean_row(systems.systems)] if any(s.mean for s in systems.systems) else []
    heads = ["Ω [%]", *(f"{s.name} {s.fusion.replace('_', ' ')}" for s in systems.systems)]
    says = "; ".join(f"{s.name} {_spelt(s.mean)}" for s in systems.systems if s.mean)
    return element(
        "section",
        heading,
        element("p", _SOURCES[systems.source]),
        lacking(systems.lacking),
        table(
            "Ω in % of what is submitted, with its 95 % bootstrap interval.", heads, rows, "Systems", means
        ),
        _few([of for of in machines if of.machine in shown]),
        _corrected(systems.systems),
        drawn(
            systems_figure(systems.systems, shown),
            "systems",
            "Systems by machine type",
            f"Ω and 95 % intervals of the systems by machine type. Means: {says or 'none'}.",
            "systems",
            "Bars are the intervals, rings the paper's figures. * in the table: S1's scores stand in, for "
            "the fusion is worse, pinned, or has no softmax to average.",
            wide=True,
        ),
    )


def systems_figure(systems: Sequence[SystemFigures], machines: Sequence[str]) -> Figure:
    """A band a machine type, in it a point with its interval for each system."""
    figure = Figure((6.2, 0.9 + 0.17 * (len(systems) + 1) * len(machines)), layout="constrained")
    axes = figure.add_subplot(xlabel="Ω [%]", ylim=(len(machines) - 0.5, -0.5))
    step = 0.8 / max(1, len(systems))
    for place, system in enumerate(systems):
        color = CURVES[place % len(CURVES)]
        axes.plot([], [], "o", color=color, label=system.name)
        for row, machine in enumerate(machines):
            height = row - 0.4 + (place + 0.5) * step
            paper = PAPER[system.name].omega.get(machine) if system.name in PAPER else None
            if paper is not None:
                axes.plot([paper], [height], "o", mfc="none", mec=color, ms=6)
            _point(axes, system, machine, height, color)
    if any(machine in PAPER_MACHINES for machine in machines):
        axes.plot([], [], "o", mfc="none", mec=SOFT, ms=6, label="paper")
    axes.set_yticks(range(len(machines)), [short(machine) for machine in machines])
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    for row in range(1, len(machines)):
        axes.axhline(row - 0.5, color=SOFT, lw=0.4)
    figure.legend(loc="outside upper center", ncols=len(systems) + 1)
    return figure


def _system_row(systems: Sequence[SystemFigures], machine: str) -> list[Cell]:
    cells = []
    for system in systems:
        part = system.machines.get(machine)
        omega = part.omega if part else None
        shown = _with_interval(omega, part.interval if part else None)
        cells.append(Cell(f"{shown} *" if part and part.pinned else shown, omega))
    return [word(machine), *cells]


def _mean_row(systems: Sequence[SystemFigures]) -> list[Cell]:
    means = [s.mean for s in systems]
    return [
        word("mean"),
        *(Cell(_with_interval(m.estimate if m else None, m), m.estimate if m else None) for m in means),
    ]


def _with_interval(omega: float | None, interval: Interval | None) -> str:
    shown = percent(omega)
    return f"{shown} ({percent(interval.lower)}–{percent(interval.upper)})" if interval else shown


def _spelt(interval: Interval | None) -> str:
    if interval is None:
        return "–"
    return f"{percent(interval.estimate)} % ({percent(interval.lower)} to {percent(interval.upper)})"


def _few(machines: Sequence[MachineRun]) -> Html | None:
    """Where a system can't have as many members as it fuses."""
    few = ", ".join(f"{of.machine} {len(of.done)}" for of in machines if len(of.done) < TOP_K)
    said = f"Fewer trials have finished than the {TOP_K} that are fused by default: {few}."
    return element("p", said) if few else None


def _corrected(systems: Sequence[SystemFigures]) -> Html | None:
    known = [
        f"{s.name} {percent(s.corrected[0])} ± {percent(s.corrected[1])}" for s in systems if s.corrected
    ]
    if not known:
        return None
    return element(
        "p",
        "The mean Ω on clips that nobody chose by (trials and fusion chosen on one half of the labelled "
        f"clips, measured on the other): {', '.join(known)}.",
    )


def _point(axes: Axes, system: SystemFigures, machine: str, height: float, color: str) -> None:
    part = system.machines.get(machine)
    if part is None or part.omega is None:
        return
    if part.interval:
        axes.plot([100 * part.interval.lower, 100 * part.interval.upper], [height] * 2, color=color, lw=1.4)
    axes.plot([100 * part.omega], [height], "o", color=color, ms=5)
