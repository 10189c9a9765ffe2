"""Table 1 of the Small Rice paper as data: Ω in % on the development set, by row and machine type.

The eight systems have the names of `oddsound.config.RecipeName`, the ensembles of §4 are S1 to S4. The
printed "Avg." is partly cut off, partly rounded: it is within 0.01 of the mean of its row's figures.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from statistics import fmean
from types import MappingProxyType

MACHINES = ("fan", "gearbox", "slider", "ToyTrain", "ToyCar", "pump", "valve")
"""The machine types in the order of Table 1's columns."""


@dataclass(frozen=True, slots=True)
class PaperRow:
    """One printed row: Ω in % by machine type, and the printed average in %."""

    name: str
    title: str
    omega: Mapping[str, float]
    average: float

    def mean(self, machines: Collection[str]) -> float | None:
        """The row's mean Ω in % over exactly `machines`, to two decimals.

        The printed average where they are all seven; None where they are none, or the paper lacks one.
        """
        chosen = set(machines)
        if chosen == set(MACHINES):
            return self.average
        if not chosen or not chosen <= set(MACHINES):
            return None
        return round(fmean(self.omega[machine] for machine in MACHINES if machine in chosen), 2)


def _row(name: str, title: str, *figures: float) -> PaperRow:
    *omega, average = figures
    return PaperRow(name, title, MappingProxyType(dict(zip(MACHINES, omega, strict=True))), average)


_ROWS = (
    _row("ae_baseline", "Autoencoder Baseline", 57.90, 58.64, 60.87, 57.50, 56.99, 57.93, 51.94, 57.39),
    _row("mobilenet_baseline", "MobileNet Baseline", 62.43, 63.04, 58.05, 54.49, 56.53, 59.68, 54.57, 58.39),
    _row("effnet", "EfficientNet-B0", 66.11, 62.21, 67.46, 53.39, 55.47, 63.25, 67.06, 62.14),
    _row("effnet_pretrain", "+ Pretrain", 68.03, 65.60, 61.78, 58.91, 61.68, 67.46, 68.47, 64.56),
    _row(
        "effnet_pretrain_mixup",
        "+ Pretrain, Mixup",
        *(67.14, 64.17, 68.19, 59.44, 65.61, 68.64, 67.02, 65.74),
    ),
    _row(
        "effnet_pretrain_median_mixup",
        "+ Pretrain, Median Filter, Mixup",
        *(66.06, 67.27, 65.42, 65.10, 57.30, 62.24, 57.73, 63.02),
    ),
    _row("effnet_median", "+ Median Filter", 68.12, 67.32, 67.47, 57.32, 60.52, 65.68, 56.28, 63.24),
    _row(
        "effnet_median_mixup",
        "+ Median Filter, Mixup",
        *(71.72, 70.05, 72.14, 67.26, 66.17, 71.97, 56.82, 68.01),
    ),
    _row("S1", "S1 (Best Single Model)", 71.72, 70.05, 72.14, 67.26, 66.17, 71.97, 68.47, 69.68),
    _row("S2", "S2 (Mean Anomaly Score Ensemble)", 71.86, 72.20, 70.63, 67.50, 64.40, 71.66, 56.25, 67.78),
    _row("S3", "S3 (Max Anomaly Score Ensemble)", 67.14, 76.85, 71.38, 68.90, 67.83, 74.53, 58.71, 69.33),
    _row("S4", "S4 (Mean softmax Ensemble)", 73.94, 72.42, 73.89, 67.32, 66.71, 73.57, 57.07, 69.27),
)

PAPER: Mapping[str, PaperRow] = MappingProxyType({row.name: row for row in _ROWS})
"""The twelve rows by name, in the order of Table 1."""
