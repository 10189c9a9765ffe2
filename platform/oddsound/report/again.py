"""How each figure of a run's report is made again: the numbers from Python, a line or two each."""

from __future__ import annotations

from dataclasses import dataclass

from oddsound.report.html import Html, element


@dataclass(frozen=True)
class Recipe:
    """`key` is what captions link to; `code` follows on `FIRST` and leaves what it made in `found`."""

    key: str
    title: str
    reads: str
    code: str


FIRST = """\
from pathlib import Path
from oddsound.report.clips import *; from oddsound.report.run_folder import *
from oddsound.report.score_figures import *; from oddsound.report.search_figures import *
from oddsound.report.systems import read_systems; from oddsound.report.trial_figures import *
from oddsound.search.importance import importances; from oddsound.search.record import read_record

run, machine = Path("RUN"), "MACHINE"
record = read_record(run)
(of,) = read_machines(run, record, [machine])
best, points = of.best, of.points()"""

RECIPES = (
    Recipe(
        "systems",
        "S1–S4 and their intervals",
        "submission/systems.json; without it every trial's scores.npz",
        "found = read_systems(run, [of])  # or: oddsound ensemble RUN --machines MACHINE",
    ),
    Recipe(
        "history",
        "Ω by trial",
        "trials/MACHINE/*/result.json, stopped.json",
        "found = running_best([(t.number, 100 * t.omega) for t in of.done])",
    ),
    Recipe(
        "parallel",
        "Parallel coordinates and Ω by setting",
        "trials/MACHINE/*/config.json, result.json; the space in run.json",
        "omegas = [100 * t.omega for t, _ in points]\n"
        "found = parallel_figure(of.dimensions, [at for _, at in points], omegas)",
    ),
    Recipe(
        "importance",
        "Importances of the searched settings",
        "the same; RUN/studies.journal has the study for Optuna's own tools",
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
    return element("a", "how it is made", href=f"#how-{key}")


def how_section(command: str) -> Html:
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
        element("p", "This page:"),
        element("pre", element("code", command)),
        element("p", "The numbers behind a figure, in Python, each after these lines:"),
        element("pre", element("code", FIRST)),
        entries,
    )
