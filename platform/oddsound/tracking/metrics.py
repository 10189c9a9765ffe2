"""Every metric that is kept in MLflow, by its name: what it is, and of which runs.

A name may hold places, `auc/<section>/<domain>`; `Metric.named` fills them. What the tracking layer itself
measures is named by these; a trial's and a pretraining's numbers are named where they are measured, in
`scoring.omega`, `training.epoch`, `training.usage`, `training.trial` and `training.pretraining`.
Tests hold that every metric of a logged run is here. The reference page is written from this.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_PLACE = re.compile(r"<[a-z]+>")


@dataclass(frozen=True)
class Metric:
    name: str
    about: str

    def named(self, *places: object) -> str:
        """The name with its places filled, in their order: `omega/<machine>` with fan is `omega/fan`."""
        given = iter(places)
        return _PLACE.sub(lambda _: str(next(given)), self.name)

    def is_of(self, name: str) -> bool:
        """Whether `name` is this metric's, its places filled."""
        parts = [re.escape(part) for part in _PLACE.split(self.name)]
        return re.fullmatch("[^/]+".join(parts), name) is not None


BEST_OMEGA = Metric("best_omega", "Ω of the search's best trial; the step is the number of finished trials")
ASHA_STOPPED = Metric("asha/stopped", "trials that ASHA stopped; the step is the number of trials")
ASHA_TRAINED = Metric("asha/epochs_trained", "epochs that were trained, of all trials")
ASHA_SAVED = Metric("asha/epochs_saved", "epochs that stopping saved")
OMEGA = Metric("omega", "the harmonic mean of all AUC and pAUC; of a system its mean over machine types")
SUBMITTED_OMEGA = Metric("omega/<machine>", "Ω of the machine type as it is submitted")
RAW_OMEGA = Metric(
    "omega_raw/<machine>", "Ω of the fusion itself, also where S1's scores are submitted instead"
)
PACKAGE_OMEGA = Metric("omega/S<number>", "`omega` of the package's system of that number")

_SECONDS = Metric("seconds", "of each epoch: of its training; in a pretraining with the measuring")
METRICS: dict[str, tuple[Metric, ...]] = {
    "A search": (BEST_OMEGA, ASHA_STOPPED, ASHA_TRAINED, ASHA_SAVED),
    "A trial, also one that was stopped": (
        OMEGA,
        Metric("omega_last", "Ω of the last epoch, which looks at no label"),
        Metric("omega_best_dev", "Ω of the epoch that is best by the labels of the test clips"),
        Metric("best_epoch", "which epoch that is, from 1"),
        Metric("auc/<section>/<domain>", "area under the ROC curve of the section's clips of that domain"),
        Metric("pauc/<section>/<domain>", "the same up to a false positive rate of 0.1, standardised"),
        Metric("pauc/<section>", "by the rules of 2022 on: over both domains"),
        Metric("loss/total", "eq. 5, the mean of the epoch's training"),
        Metric("loss/reconstruction", "eq. 1, before its weight"),
        Metric("loss/cross_entropy", "eq. 2, before its weight"),
        Metric("loss/contrastive", "eq. 4, or NT-Xent, before its weight"),
        Metric("lr/autoencoder", "the autoencoder's learning rate in the epoch"),
        Metric("lr/backbone", "the backbone's learning rate in the epoch"),
        _SECONDS,
        Metric("peak_memory_mb", "highest resident memory of the process since the trial began, 10⁶ bytes"),
        Metric("peak_gpu_memory_mb", "what torch held of the GPU at most during the epoch, 10⁶ bytes"),
        Metric("system/process_cpu_percentage", "the processor time of the epoch, of one processor"),
    ),
    "A pretraining": (
        Metric("loss", "the mean of the epoch's training"),
        Metric("lr", "the learning rate in the epoch"),
        Metric("accuracy", "on the held-out fold, where a clip has one class"),
        Metric("mean_average_precision", "on the held-out fold, where a clip has several classes"),
        Metric("chance", "what guessing reaches of either"),
        _SECONDS,
    ),
    "A system": (OMEGA, SUBMITTED_OMEGA, RAW_OMEGA),
    "A package": (PACKAGE_OMEGA,),
}
"""By the kind of run that has them."""


def is_described(name: str) -> bool:
    """Whether a metric of that name is among `METRICS`."""
    return any(metric.is_of(name) for group in METRICS.values() for metric in group)
