"""Every trial of a machine type in a table, and why those that didn't finish didn't."""

from __future__ import annotations

from oddsound.report.blocks import Cell, number, table, word
from oddsound.report.html import Child, Html, element
from oddsound.report.run_folder import MachineRun, Trial
from oddsound.report.search_figures import value_text

_ENDED_OTHERWISE = ("failed", "stopped", "unfinished", "damaged", "other recordings")


def trials_table(of: MachineRun) -> Html:
    heads = ["trial", "Ω [%]", "Ω, last epoch", "Ω, best epoch by labels", "best epoch"]
    heads += [*of.dimensions, "state", "training [s]", "identity"]
    rows = [_trial_row(of, trial, of.settings(trial)) for trial in of.trials]
    name = f"Trials of {of.machine}"
    return table(
        f"{name}: Ω in %, of the epoch that counts, and by either choice of the epoch.", heads, rows, name
    )


def _trial_row(of: MachineRun, trial: Trial, values: dict[str, object]) -> list[Cell]:
    metrics = trial.result.metrics if trial.result else {}
    epoch = metrics.get("best_epoch")
    return [
        Cell("–" if trial.number is None else str(trial.number), trial.number),
        number(trial.omega),
        number(metrics.get("omega_last")),
        number(metrics.get("omega_best_dev")),
        Cell("–" if epoch is None else f"{epoch:.0f}", epoch),
        *(_setting(values.get(name)) for name in of.dimensions),
        Cell(trial.state, is_number=False),
        Cell(f"{trial.result.seconds:.1f}", trial.result.seconds) if trial.result else Cell("–"),
        Cell(element("code", trial.identity), is_number=False),
    ]


def _setting(value: object) -> Cell:
    if value is None:
        return Cell("–")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Cell(value_text(value), float(value))
    return Cell(str(value), is_number=False)


def otherwise_table(of: MachineRun) -> Child:
    """What didn't come to its end, and why."""
    found = [trial for state in _ENDED_OTHERWISE for trial in of.trials if trial.state == state]
    if not found:
        return element("p", "Every trial that was begun has finished.") if of.trials else None
    rows = [
        [word(trial.identity), word(trial.state), number(trial.omega), word(trial.reason or _why(trial))]
        for trial in found
    ]
    name = f"Trials of {of.machine} that didn't finish"
    return [
        element("h3", "What didn't finish"),
        table(f"{name}, and why.", ["trial", "state", "Ω [%]", "why"], rows, name),
    ]


def _why(trial: Trial) -> str:
    return "trained on other recordings than the run has now" if trial.state == "other recordings" else ""
