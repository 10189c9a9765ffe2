"""The parts of a report that are of the whole run: its machine types, its systems, its environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from oddsound.errors import ScoreError
from oddsound.report.again import link
from oddsound.report.blocks import Cell, count, drawn, facts, lacking, percent, table, word
from oddsound.report.formats import SELECTIONS
from oddsound.report.html import Child, Html, element
from oddsound.report.measured import table1_of
from oddsound.report.page import legend, section
from oddsound.report.palette import CURVES, SOFT
from oddsound.report.paper_figures import PAPER
from oddsound.report.run_folder import MachineRun, set_aside
from oddsound.report.svg import short
from oddsound.report.systems import SystemFigures, Systems
from oddsound.report.table1 import Epoch, Table1
from oddsound.scoring.bootstrap import N_RESAMPLES, Interval
from oddsound.search.record import RunRecord

_SOURCES = {
    "listed": "As submission/systems.json has them, which oddsound submit wrote with the package.",
    "computed": "Built for this page from the five best finished trials of each machine type, as oddsound "
    f"ensemble does, with {N_RESAMPLES} resamples of the bootstrap; no submission has them yet.",
}


def machines_table(machines: Sequence[MachineRun], places: Sequence[str]) -> Html:
    """places: the id of each one's section."""
    heads = ["machine type", "finished", "wanted", "stopped", "failed", "unfinished", "damaged"]
    heads += ["best Ω [%]", "paper S1", "best trial"]
    rows = [
        [
            Cell(element("a", of.machine, href=f"#{place}"), is_number=False),
            count(len(of.done)),
            count(of.wanted),
            *(count(len(of.of(state))) for state in ("stopped", "failed", "unfinished", "damaged")),
            Cell(
                percent(best.omega) if (best := of.best) else "–", best.omega if best else None, kind="ours"
            ),
            _paper(of.machine),
            Cell(element("code", best.identity) if best else "–", is_number=False),
        ]
        for of, place in zip(machines, places, strict=True)
    ]
    return table("Trials of each machine type, and the best one's Ω.", heads, rows, "Machine types")


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
    axes.plot([], [], "o", mfc="none", mec=SOFT, ms=6, label="paper")
    axes.set_yticks(range(len(machines)), [short(machine) for machine in machines])
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    for row in range(1, len(machines)):
        axes.axhline(row - 0.5, color=SOFT, lw=0.4)
    figure.legend(loc="outside upper center", ncols=len(systems) + 1)
    return figure


def table1_section(machines: Sequence[MachineRun], systems: Systems) -> Html:
    """A choice of the epoch that nothing of ours has is left out."""
    heading = element("h2", "Table 1, the paper's figures beside ours", id="table1")
    try:
        found = table1_of(machines, systems)
    except ScoreError as error:
        return element("section", heading, lacking([str(error)]))
    parts = [section(found, epoch, how, "h3") for epoch, how in SELECTIONS if _has_ours(found, epoch)]
    note = "Nothing of ours is in it yet: the paper's figures alone."
    return element(
        "section",
        heading,
        parts or [lacking([note]), section(found, *SELECTIONS[0], "h3")],
        element(
            "p",
            "The paper's are of the development recordings of DCASE 2021: beside a run on others they say "
            "nothing.",
        ),
        element("p", legend(found), " ", link("table1")),
    )


def environment_section(run: Path, record: RunRecord, machines: Sequence[MachineRun], command: str) -> Html:
    code = ", ".join(f"{name} {version}" for name, version in sorted(record.code.items()))
    rows: list[tuple[str, Child]] = [
        ("search", record.search),
        ("recordings", f"{record.dataset}, {record.data}"),
        ("code now", code or "not recorded"),
        ("sources", "the digest of the files that decide an outcome; a git commit is not recorded"),
        ("made by", [element("div", each) for each in _versions(machines)] or "no finished trial"),
        (
            "hosts",
            ", ".join(sorted({h for of in machines for t in of.trials for h in t.hosts})) or "not recorded",
        ),
        ("devices", _devices(machines)),
        ("MLflow", record.tracking_uri or "the run's own store, RUN/mlflow"),
    ]
    rows += [(f"changed {change.get('when')}", _what(change.get("what"))) for change in record.changes]
    away = set_aside(run)
    rows += [("set aside as damaged", [element("div", each) for each in away])] if away else []
    return element(
        "section",
        element("h2", "Environment", id="environment"),
        facts("What the run was made with, as run.json and the trials have it.", rows),
        [
            element("p", "The command that begins such a search anew:"),
            element("pre", element("code", command)),
        ]
        if command
        else lacking(["run.json doesn't say by which command the run was begun."]),
    )


def _what(changes: object) -> str:
    return "; ".join(map(str, changes)) if isinstance(changes, list) else str(changes)


def _paper(machine: str) -> Cell:
    paper = PAPER["S1"].omega.get(machine)
    return Cell("–" if paper is None else f"{paper:.2f}", paper, kind="paper")


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


def _has_ours(found: Table1, epoch: Epoch) -> bool:
    return any(figure.ours is not None for row in found.rows for figure in row.figures(epoch))


def _versions(machines: Sequence[MachineRun]) -> list[str]:
    """Each set of versions that finished trials were made with, and how many."""
    counts: dict[str, int] = {}
    for of in machines:
        for trial in of.done:
            known: Mapping[str, str] = trial.result.versions if trial.result else {}
            spelt = (
                ", ".join(f"{name} {version}" for name, version in sorted(known.items())) or "not recorded"
            )
            counts[spelt] = counts.get(spelt, 0) + 1
    return [f"{n} trials: {spelt}" for spelt, n in sorted(counts.items())]


def _devices(machines: Sequence[MachineRun]) -> str:
    """By what the best trials' histories measured."""
    peaks: list[float] = []
    for of in machines:
        for trial in [of.best] if of.best else []:
            peaks += trial.gpu_memory_mb()
    if peaks:
        return f"GPU; the best trials took {max(peaks) / 1000:.1f} GB of its memory at most"
    return "CPU" if any(of.best for of in machines) else "not known yet"
