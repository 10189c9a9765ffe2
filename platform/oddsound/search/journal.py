"""studies.journal: the studies as Optuna's own tools read them, written anew at the end of each search.

    optuna-dashboard RUN/studies.journal

It is a view of the bundles: nothing reads it back, so nothing that happens to it is of consequence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from oddsound.errors import OddsoundError
from oddsound.search.studies import MachinePlan, ended_trials
from oddsound.training.bundle import write_atomically


def write_journal(
    plans: Sequence[MachinePlan], trials: Path, path: Path, said: Callable[[str], None]
) -> None:
    """One study a machine type, with each trial that has a value, whole or not at all."""
    try:
        with TemporaryDirectory(prefix="oddsound-journal-") as folder:  # Optuna's locks stay there, too
            journal = Path(folder) / path.name
            _write(plans, trials, journal)
            write_atomically(path, journal.read_bytes())
    except (OSError, OddsoundError) as error:
        said(f"{path} can't be written ({error}); the next search does")


def _write(plans: Sequence[MachinePlan], trials: Path, path: Path) -> None:
    storage = JournalStorage(JournalFileBackend(str(path)))
    for plan in plans:
        study = optuna.create_study(storage=storage, study_name=plan.machine, direction="maximize")
        for end in ended_trials(plan, trials):
            study.add_trial(end.as_optuna(plan.space))
