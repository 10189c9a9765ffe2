"""What one trial's scores look like: AUC and pAUC by section and domain, their distributions, the ROC.

Which clips are set against which is `scoring.omega`'s to say, so that every figure is of the very clips
that Ω is computed from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from oddsound.report.palette import BLUE, GREEN, INK, LINE, ORANGE, SOFT
from oddsound.report.svg import line, place_axes, short
from oddsound.scoring.metrics import MAX_FPR
from oddsound.scoring.omega import Cell, cells, terms
from oddsound.scoring.table import ANOMALY, NORMAL, ScoreTable
from oddsound.scoring.threshold import section_thresholds

Floats = NDArray[np.float64]
N_BINS = 24


@dataclass(frozen=True)
class Roc:
    """One section and domain ("" is all of them): the curve's corners, both (points,) from 0 to 1, and
    its cell."""

    cell: Cell
    fpr: Floats
    tpr: Floats


@dataclass(frozen=True)
class Scores:
    """The labelled test clips' scores of one section and domain, and the section's threshold."""

    section: str
    domain: str
    normal: Floats
    anomaly: Floats
    threshold: float | None


def rocs(table: ScoreTable) -> list[Roc]:
    """The curve behind each cell of Ω. Raises ScoreError where there are no labelled clips."""
    from sklearn.metrics import roc_curve

    known = {(cell.section, cell.domain): cell for cell in cells(table)}
    labelled = table.labelled()
    found: dict[tuple[str, str], Roc] = {}
    for term in terms(labelled.section, labelled.domain, labelled.label, labelled.rules):
        key = term.section, term.domain
        rows = np.concatenate((term.normal, term.anomaly))
        label = np.repeat((NORMAL, ANOMALY), (len(term.normal), len(term.anomaly)))
        fpr, tpr, _ = roc_curve(label, labelled.score[rows])
        found.setdefault(key, Roc(known[key], fpr, tpr))
    return list(found.values())


def distributions(table: ScoreTable) -> list[Scores]:
    """By section and domain, of the labelled test clips; the threshold is the one that `submit` writes
    where nothing else is asked for, None for a section without training clips."""
    labelled = table.labelled()
    found = []
    for section in sorted(set(labelled.section.tolist())):
        of_section = labelled.where(labelled.section == section)
        threshold = _threshold(table, section)
        for domain in sorted(set(of_section.domain.tolist())):
            of = of_section.where(of_section.domain == domain)
            normal, anomaly = (of.score[of.label == label] for label in (NORMAL, ANOMALY))
            found.append(Scores(section, domain, normal, anomaly, threshold))
    return found


def heat_map(found: Sequence[Cell]) -> Figure:
    """A row a section and domain, AUC and pAUC in %: the further above chance the bluer, below it orange."""
    figure = Figure((3.6, 0.35 + 0.33 * len(found)))
    axes = figure.add_subplot(xlim=(-0.5, 1.5), ylim=(len(found) - 0.5, -0.5))
    place_axes(figure, 1.65, 0.05, 0.05, 0.3)
    for row, cell in enumerate(found):
        for column, value in enumerate((cell.auc, cell.pauc)):
            _cell(axes, column, row, value)
    axes.set_xticks([0, 1], ["AUC [%]", "pAUC [%]"])
    axes.set_yticks(range(len(found)), [place(cell.section, cell.domain) for cell in found])
    axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)
    axes.grid(False)
    return figure


def distribution_figure(found: Sequence[Scores]) -> Figure:
    """A panel a section and domain: normal clips upwards, anomalies downwards, the threshold as a line."""
    sections, domains = (list(dict.fromkeys(getattr(s, a) for s in found)) for a in ("section", "domain"))
    figure = Figure((max(3.4, 3.1 * len(domains)), 0.7 + 1.45 * len(sections)))
    grid = figure.subplots(len(sections), len(domains), squeeze=False, sharex="row", sharey="row")
    shown = set()
    for each in found:
        at = sections.index(each.section), domains.index(each.domain)
        shown.add(at)
        _histograms(grid[at], each, _bins([s for s in found if s.section == each.section]))
    for at in {(r, c) for r in range(len(sections)) for c in range(len(domains))} - shown:
        grid[at].set_visible(False)
    for axes in grid[-1]:
        axes.set_xlabel("anomaly score")
    for row in grid:
        row[0].set_ylabel("share")
        most = max(map(abs, row[0].get_ylim()))
        row[0].set_ylim(-most, most)
    place_axes(figure, 0.55, 0.1, 0.5, 0.6, 0.2, 0.5)
    handles, labels = grid[
        sections.index(found[0].section), domains.index(found[0].domain)
    ].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncols=3)
    return figure


def roc_figure(found: Sequence[Roc]) -> Figure:
    """A panel a section, a curve a domain; where the pAUC is measured is shaded."""
    sections = list(dict.fromkeys(each.cell.section for each in found))
    columns = min(3, len(sections))
    rows = -(-len(sections) // columns)
    side, gap = (1.75, 0.5) if columns > 2 else (2.3, 0.6)
    below = 0.55 + 0.17 * max(sum(each.cell.section == section for each in found) for section in sections)
    figure = Figure((0.65 + side * columns + gap * (columns - 1), (side + below + 0.3) * rows))
    for number, section in enumerate(sections):
        axes = figure.add_subplot(
            rows, columns, number + 1, title=f"section {short(section)}", aspect="equal"
        )
        _roc_panel(axes, [each for each in found if each.cell.section == section], side)
        axes.set(xlim=(0, 1), ylim=(0, 1.01), xlabel="false positive rate")
        if number % columns == 0:
            axes.set_ylabel("true positive rate")
    place_axes(figure, 0.55, 0.1, below, 0.3, gap, below + 0.3)
    return figure


def place(section: str, domain: str) -> str:
    return f"section {short(section)}, {short(domain) or 'all domains'}"


def _threshold(table: ScoreTable, section: str) -> float | None:
    of = table.where(table.section == section)
    return section_thresholds(of)[section] if len(of.train()) else None


def _cell(axes: Axes, column: int, row: int, value: float | None) -> None:
    if value is None:
        axes.text(column, row, "–", ha="center", va="center", color=SOFT)
        return
    color, strength = (BLUE if value >= 0.5 else ORANGE), min(1.0, 2 * abs(value - 0.5))
    axes.fill_between(
        [column - 0.48, column + 0.48], row - 0.46, row + 0.46, color=color, alpha=0.06 + 0.5 * strength, lw=0
    )
    axes.text(column, row, f"{100 * value:.2f}", ha="center", va="center", color=INK)


def _bins(of_section: Sequence[Scores]) -> Floats:
    scores = np.concatenate([part for each in of_section for part in (each.normal, each.anomaly)])
    return np.histogram_bin_edges(scores, N_BINS)


def _histograms(axes: Axes, each: Scores, bins: Floats) -> None:
    for scores, label, color, sign in (
        (each.normal, "normal", BLUE, 1),
        (each.anomaly, "anomaly", ORANGE, -1),
    ):
        share = np.histogram(scores, bins)[0] / max(1, len(scores))
        axes.stairs(sign * share, bins, fill=True, color=color, alpha=0.75, label=label)
    axes.axhline(0, color=LINE, lw=0.8)
    if each.threshold is not None:
        axes.axvline(each.threshold, color=GREEN, lw=1.5, linestyle=(0, (4, 2)), label="threshold")
    axes.set_title(place(each.section, each.domain))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * abs(value):.0f} %")


def _roc_panel(axes: Axes, found: Sequence[Roc], side: float) -> None:
    """side: of the axes, in inches; what the curves are stands below them."""
    axes.axvspan(0, MAX_FPR, color=SOFT, alpha=0.22, lw=0)
    axes.plot([0, 1], [0, 1], color=SOFT, lw=0.8, linestyle=(0, (2, 2)))
    for number, each in enumerate(found):
        look = line(number) | ({"linestyle": "--"} if number == 1 else {})  # two may lie on each other
        axes.plot(each.fpr, each.tpr, label=_legend(each.cell), **look)
    axes.set_xticks([0, 0.1, 0.5, 1], ["0", ".1", ".5", "1"])
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.45 / side), handlelength=1.8, borderaxespad=0)


def _legend(cell: Cell) -> str:
    values = " / ".join("–" if value is None else f"{100 * value:.0f}" for value in (cell.auc, cell.pauc))
    return f"{short(cell.domain) or 'all'} {values}"
