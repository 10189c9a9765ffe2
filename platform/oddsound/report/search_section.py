"""How a machine type's search went, as its section of a report shows it."""

from __future__ import annotations

from collections.abc import Iterator

from oddsound.report.blocks import Place, drawn, lacking
from oddsound.report.html import Child, Html, element
from oddsound.report.paper_figures import PAPER
from oddsound.report.run_folder import MachineRun
from oddsound.report.search_figures import (
    history_figure,
    importance_figure,
    parallel_figure,
    slice_figure,
    value_text,
)
from oddsound.search.importance import MIN_TRIALS, importances

BEST_SINGLE = "S1"


def search_section(of: MachineRun, at: Place) -> Child:
    if not of.done:
        return lacking(["No trial has finished yet, so there is nothing to draw."])
    points = of.points()
    left_out = len(of.done) - len(points)
    notes = []
    if not of.dimensions:
        notes.append("No setting was searched, or its trials are listed: there is nothing to set Ω against.")
    elif left_out:
        notes.append(f"{left_out} finished trials lie outside of the space as it is now and are not drawn.")
    figures = [_history(of, at)]
    if of.dimensions and points:
        figures += _settings(of, at, notes)
    return [element("h3", "The search"), lacking(notes), element("div", figures, class_="figures")]


def _history(of: MachineRun, at: Place) -> Html:
    done = [(t.number or 0, 100 * (t.omega or 0.0)) for t in of.done]
    stopped = [(t.number or 0, 100 * (t.omega or 0.0)) for t in of.of("stopped")]
    n_failed = len(of.of("failed"))
    paper = PAPER[BEST_SINGLE].omega.get(of.machine)
    omegas, best = [omega for _, omega in done], of.best
    says = f"Ω of {len(done)} finished trials of {of.machine}, from {min(omegas):.2f} to {max(omegas):.2f} %"
    says += f"; {best.title} is the best" if best else ""
    says += f"; {len(stopped)} were stopped early" if stopped else ""
    says += f"; {n_failed} failed" if n_failed else ""
    says += f"; the paper's best single model has {paper:.2f} %" if paper is not None else ""
    remarks = [] if paper is not None else ["The paper has no such machine type."]
    remarks += ["Failed trials keep no number and stand after the last."] if n_failed else []
    return drawn(
        history_figure(done, stopped, n_failed, paper),
        at.id("history"),
        "Ω by trial",
        f"{says}.",
        "history",
        " ".join(remarks) or None,
    )


def _settings(of: MachineRun, at: Place, notes: list[str]) -> Iterator[Html]:
    points = of.points()
    values, omegas = [point for _, point in points], [100 * (trial.omega or 0.0) for trial, _ in points]
    best = omegas.index(max(omegas))
    at_best = ", ".join(f"{name} {value_text(value)}" for name, value in values[best].items())
    shares = importances(of.dimensions, values, [trial.omega or 0.0 for trial, _ in points])
    if shares:
        few = f"Of {len(omegas)} trials: not much to go by. " if len(omegas) < 5 * len(shares) else None
        says = ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares.items())
        yield drawn(
            importance_figure(shares),
            at.id("importance"),
            "What matters",
            f"How much of the differences in Ω each searched setting explains: {says}.",
            "importance",
            few,
        )
    else:
        notes.append(
            f"No importances: they need {MIN_TRIALS} finished trials at least, not all as good as each other."
        )
    if len(points) > 1:
        yield drawn(
            parallel_figure(of.dimensions, values, omegas),
            at.id("parallel"),
            "Parallel coordinates",
            f"{len(points)} trials through their settings; the best, {omegas[best]:.2f} %, has {at_best}.",
            "parallel",
            f"Orange is the best: {at_best}.",
            wide=True,
        )
    yield drawn(
        slice_figure(of.dimensions, values, omegas),
        at.id("slice"),
        "Ω by each searched setting",
        f"Ω of {len(points)} trials against {', '.join(of.dimensions)}; the best is at {at_best}.",
        "parallel",
        "The best trial is ringed.",
        wide=True,
    )
