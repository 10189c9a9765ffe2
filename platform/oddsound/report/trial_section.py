"""What the best trial of a machine type does, as its section of a report shows it."""

from __future__ import annotations

from oddsound.errors import BundleError, ScoreError
from oddsound.report.blocks import Place, drawn, lacking, percent
from oddsound.report.clip_section import clips_section
from oddsound.report.html import Child, Html, element
from oddsound.report.run_folder import MachineRun, Trial, best_scores
from oddsound.report.score_figures import (
    distribution_figure,
    distributions,
    heat_map,
    place,
    roc_figure,
    rocs,
)
from oddsound.report.trial_figures import OMEGA, curves, loss_figure
from oddsound.scoring.omega import cells
from oddsound.scoring.table import ScoreTable


def trial_section(of: MachineRun, at: Place) -> Child:
    found = best_scores(of)
    if isinstance(found, str):
        return lacking([f"No figures of the best trial: {found}."]) if of.done else None
    best, scores = found
    figures: list[Child] = []
    notes: list[str] = []
    for draw in (_heat, _losses, _distributions, _rocs):
        try:
            figures.append(draw(best, scores, at))
        except (BundleError, ScoreError) as error:
            notes.append(str(error))
    where = f"trials/{of.machine}/{best.identity}"
    return [
        element("h3", f"The best trial: {best.title}, Ω {percent(best.omega)} % ", element("code", where)),
        lacking(list(dict.fromkeys(notes))),
        element("div", figures, class_="figures"),
        clips_section(best, scores, of.machine, at.data, at.id, audio=at.audio),
    ]


def _heat(_: Trial, scores: ScoreTable, at: Place) -> Html:
    found = cells(scores)
    says = "; ".join(
        f"{place(c.section, c.domain)}: AUC {percent(c.auc)}, pAUC {percent(c.pauc)}" for c in found
    )
    return drawn(
        heat_map(found),
        at.id("heat"),
        "AUC and pAUC by section and domain",
        f"In %, {says}.",
        "heat",
        "The bluer the further above chance (50), orange below it.",
    )


def _distributions(_: Trial, scores: ScoreTable, at: Place) -> Html:
    found = distributions(scores)
    if not found:
        raise ScoreError("no labelled test clips, so there are no distributions to set against each other")
    says = "; ".join(
        f"{place(s.section, s.domain)}: {len(s.normal)} normal and {len(s.anomaly)} anomalous clips, "
        + ("no threshold" if s.threshold is None else f"threshold {s.threshold:.2f}")
        for s in found
    )
    return drawn(
        distribution_figure(found),
        at.id("distribution"),
        "Anomaly scores of the test clips",
        f"Distributions of the anomaly scores. {says}.",
        "distribution",
        "Shares of the normal clips upwards, of the anomalies downwards. The threshold is the 90th "
        "percentile of a gamma fitted to the section's training clips.",
        wide=True,
    )


def _rocs(_: Trial, scores: ScoreTable, at: Place) -> Html:
    found = rocs(scores)
    says = "; ".join(
        f"{place(r.cell.section, r.cell.domain)}: AUC {percent(r.cell.auc)} %, pAUC {percent(r.cell.pauc)} %"
        for r in found
    )
    return drawn(
        roc_figure(found),
        at.id("roc"),
        "ROC by section and domain",
        f"Receiver operating characteristics. {says}.",
        "roc",
        "Beside each domain its AUC / pAUC in %; shaded is where the pAUC is measured (false positive "
        "rate up to 0.1).",
        wide=True,
    )


def _losses(best: Trial, _: ScoreTable, at: Place) -> Html:
    found = curves(best.bundle.history())
    if not found:
        raise BundleError("the best trial's history has no numbers to draw")
    says = "; ".join(
        f"{'Ω' if key == OMEGA else key} from {values[0]:.3g} to {values[-1]:.3g}"
        for key, (_, values) in found.items()
    )
    return drawn(
        loss_figure(found), at.id("loss"), "Losses by epoch", f"From the first to the last: {says}.", "loss"
    )
