"""How each figure of a run's report is made again: the numbers from Python, a line or two each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from oddsound.report.html import Html, element


@dataclass(frozen=True)
class Recipe:
    """`key` is what captions link to; `code` follows on `first` and leaves what it made in `found`."""

    key: str
    title: str
    reads: str
    code: str


_FIRST = """\
from pathlib import Path
from oddsound.report.clips import *; from oddsound.report.measured import table1_of
from oddsound.report.run_folder import *; from oddsound.report.trial_figures import *
from oddsound.report.score_figures import *; from oddsound.report.search_figures import *
from oddsound.report.systems import pinned_of, read_systems
from oddsound.search.importance import importances; from oddsound.search.record import read_record

run, machine = Path({run!r}), {machine!r}
record = read_record(run)
machines = read_machines(run, record, {machines!r})
of = next(each for each in machines if each.machine == machine)
best, points = of.best, of.points()"""

RECIPES = (
    Recipe(
        "systems",
        "S1–S4, their means and intervals",
        "submission/systems.json; without it every trial's scores.npz, as oddsound ensemble does",
        "found = read_systems(run, machines, pinned_of(record)).systems\n"
        "means = {system.name: system.mean for system in found}",
    ),
    Recipe(
        "table1",
        "Table 1",
        "the same, and trials/*/*/config.json, result.json",
        "table = table1_of(machines, read_systems(run, machines, pinned_of(record)))\n"
        "found = [(row.title, *row.figures()) for row in table.rows]",
    ),
    Recipe(
        "history",
        "Ω by trial",
        "trials/*/*/result.json, stopped.json",
        "found = running_best([(t.number, 100 * t.omega) for t in of.done])",
    ),
    Recipe(
        "parallel",
        "Parallel coordinates and Ω by setting",
        "trials/*/*/config.json, result.json; the space in run.json",
        "omegas = [100 * t.omega for t, _ in points]\n"
        "found = parallel_figure(of.dimensions, [at for _, at in points], omegas)",
    ),
    Recipe(
        "importance",
        "Importances of the searched settings",
        "the same; studies.journal has the study for Optuna's own tools",
        "found = importances(of.dimensions, [at for _, at in points], [t.omega for t, _ in points])",
    ),
    Recipe(
        "heat",
        "AUC and pAUC by section and domain",
        "the best trial's scores.npz",
        "found = cells(best.bundle.scores())",
    ),
    Recipe(
        "distribution",
        "Distributions of the anomaly scores",
        "the best trial's scores.npz",
        "found = distributions(best.bundle.scores())",
    ),
    Recipe("roc", "ROC", "the best trial's scores.npz", "found = rocs(best.bundle.scores())"),
    Recipe("loss", "Losses", "the best trial's history.json", "found = curves(best.bundle.history())"),
    Recipe(
        "clips",
        "The most and least anomalous clips",
        "the best trial's scores.npz, and the recordings",
        "paths = recorded_tests(record.clips(run), machine)\n"
        "found = [spectrograms(read_clip(paths[clip.file]), best.config.features)\n"
        "         for clip in choose(best.bundle.scores())]",
    ),
)


def link(key: str) -> Html:
    """To the recipe, from a figure's caption."""
    (title,) = (recipe.title for recipe in RECIPES if recipe.key == key)
    return element("a", "how it is made", href=f"#how-{key}", aria_label=f"how it is made: {title}")


def first(run: str, machines: Sequence[str]) -> str:
    """The lines before every recipe, for the run's folder seen from the one that holds it."""
    return _FIRST.format(run=run, machine=next(iter(machines), ""), machines=list(machines))


def how_section(command: str, run: str, machines: Sequence[str]) -> Html:
    """run: the name of the run's folder."""
    entries = [
        (
            element("h3", recipe.title, id=f"how-{recipe.key}"),
            element("p", "Reads ", recipe.reads, "."),
            element("pre", element("code", recipe.code)),
        )
        for recipe in RECIPES
    ]
    return element(
        "section",
        element("h2", "How to make it again", id="again"),
        element("p", "This page, in the folder that holds the run:"),
        element("pre", element("code", command)),
        element("p", "The numbers behind a figure, in Python and in that folder, each after these lines:"),
        element("pre", element("code", first(run, machines))),
        entries,
    )
