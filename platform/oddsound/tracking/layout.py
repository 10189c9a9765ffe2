"""How a search lies in MLflow: the names of its experiments, runs, models and tags.

    experiment   <dataset>/<machine>             one a machine type of a dataset
    parent run   <search id>                     one a search
    child run    <machine>-<number>-<trial[:8]>  one a finished trial, and one a trial stopped early,
                                                 of another kind, for it competes with no finished one
    experiment   <dataset>/submissions           one a dataset: its runs are systems S1-S4, see `submissions`

Nothing here talks to a server or needs mlflow, which takes seconds to import. What a trial's run holds
is in `entries`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from oddsound.errors import ConfigError
from oddsound.training.early_stops import Asha

KIND, SEARCH, TRIAL = "oddsound.kind", "oddsound.search", "oddsound.trial"
COMPLETE = "oddsound.complete"
"""Set last: a child run that lacks it was cut short and is sent anew."""
MACHINE, DATASET, OBJECTIVE = "oddsound.machine", "oddsound.dataset", "oddsound.objective"
DATA_DIGEST, WEIGHTS = "oddsound.data_digest", "oddsound.weights_sha256"
N_PARAMETERS, NUMBER = "oddsound.n_parameters", "oddsound.number"
MODEL = "oddsound.model_sha256"
"""Of the manifest that has the SHA-256 of every other file of a model."""
CODE, RECIPE, SEED = "oddsound.code", "oddsound.recipe", "oddsound.seed"
NOTE = "mlflow.note.content"
"""What MLflow's pages show as the description of a run and of an experiment, in Markdown."""
ANOMALIES = "oddsound.anomalies"
"""MADE_UP, where no anomalous recording was there to measure with."""
MADE_UP = "made up: faults laid over normal clips; omega says how well those are heard"
N_FINISHED, N_FAILED, N_STOPPED = "oddsound.n_finished", "oddsound.n_failed", "oddsound.n_stopped"
SAVINGS = "oddsound.asha_sha256"
"""Of what the parent run says of early stopping: it is sent anew when that changes."""
STOP_EPOCH, STOP_RUNG, STOP_OMEGA = "oddsound.stop_epoch", "oddsound.stop_rung", "oddsound.stop_omega"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Search:
    """One search: its id, the name of the dataset, the metric that it maximises, and by machine type how
    it stops trials early, where it does. `command` is the line that asks for it again, `facts` what else
    is worth telling, by machine type: {"fan": {"seed": "0"}}. `made_up`: the machine types whose anomalous
    clips are normal ones with faults laid over them.

    Raises ConfigError where a name holds more than letters, digits, `.`, `_` and `-`.
    """

    id: str
    dataset: str
    objective: str = "omega"
    asha: Mapping[str, Asha] = field(default_factory=dict, hash=False)
    command: str = ""
    facts: Mapping[str, Mapping[str, str]] = field(default_factory=dict, hash=False)
    made_up: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for what, name in (("search id", self.id), ("dataset", self.dataset)):
            if not _NAME.fullmatch(name):
                raise ConfigError(f"{what} {name!r}: use letters, digits, '.', '_' and '-' only")


def experiment_name(dataset: str, machine: str) -> str:
    return f"{dataset}/{machine}"


def registered_name(dataset: str, machine: str) -> str:
    """The registered model's name; MLflow allows neither `/` nor `:` in it."""
    return re.sub(r"[/:]", "-", f"{dataset}.{machine}")
