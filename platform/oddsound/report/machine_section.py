"""A machine type's section of a report: its search, its best trial, and what became of the others."""

from __future__ import annotations

from oddsound.report.blocks import Place, lacking, percent
from oddsound.report.html import Child, Html, element
from oddsound.report.run_folder import MachineRun, best_scores
from oddsound.report.search_section import search_section
from oddsound.report.trial_section import trial_section
from oddsound.report.trial_tables import otherwise_table, trials_table
from oddsound.scoring.bootstrap import few_clips
from oddsound.tracking.layout import MADE_UP


def machine_section(of: MachineRun, at: Place) -> Html:
    """Folded out from the start, so that it is printed whole."""
    best = of.best
    said = f"{len(of.done)} of {of.wanted or len(of.done)} trials finished"
    said += f", best Ω {percent(best.omega)} %" if best else ""
    few = few_of(of)
    parts: list[Child] = [
        element("summary", element("h2", of.machine, id=at.id("top")), " ", element("small", said)),
        *([element("p", f"The anomalous clips are {MADE_UP}.")] if of.begun.get("made_up") else []),
        *([element("p", f"There are {few}.")] if few else []),
        search_section(of, at),
        trial_section(of, at),
        element("h3", "All trials"),
        trials_table(of) if of.trials else lacking(["No trial was begun."]),
        otherwise_table(of),
    ]
    return element("section", element("details", parts, open=True))


def few_of(of: MachineRun) -> str:
    """What `few_clips` says of the machine type's test clips."""
    found = best_scores(of)
    return "" if isinstance(found, str) else few_clips(found[1]).replace("omega", "Ω")
