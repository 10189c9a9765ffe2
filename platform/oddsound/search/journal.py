"""studies.journal: the studies as Optuna's own tools read them, written anew at the end of each search.

    optuna-dashboard RUN/studies.journal

It is a view of the bundles: nothing reads it back, so nothing that happens to it is of consequence.
"""

from __future__ import annotations

import contextlib
import shutil
import warnings
from collections.abc import Callable, Container, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend

from oddsound.errors import OddsoundError
from oddsound.search.studies import OBJECTIVE, MachinePlan, ended_trials
from oddsound.training.bundle import Bundle, write_atomically


def write_journal(
    plans: Sequence[MachinePlan], trials: Path, path: Path, said: Callable[[str], None]
) -> None:
    """One study a machine type, with each trial that has a value, whole or not at all.

    Studies of machine types that aren't among `plans` are taken over from the file as it was.
    """
    try:
        with TemporaryDirectory(prefix="oddsound-journal-") as folder:  # Optuna's locks stay there, too
            journal = Path(folder) / path.name
            storage = JournalStorage(JournalFileBackend(str(journal)))
            _take_over(path, storage, {plan.machine for plan in plans}, said)
            for plan in plans:
                _write(plan, trials, storage)
            write_atomically(path, journal.read_bytes())
    except (OSError, OddsoundError) as error:
        said(f"{path} can't be written ({error}); the next search does")


def _write(plan: MachinePlan, trials: Path, storage: BaseStorage) -> None:
    study = optuna.create_study(storage=storage, study_name=plan.machine, direction="maximize")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        study.set_metric_names([OBJECTIVE])  # else the dashboard's axes say "Objective 0"
    for end in ended_trials(plan, trials):
        trial = end.as_optuna(plan.space)
        trial.datetime_start, trial.datetime_complete = _span(end.bundle)
        study.add_trial(trial)


def _span(bundle: Bundle) -> tuple[datetime, datetime]:
    """Begun and ended, in local time without a zone as Optuna has them: a timeline of the search, not of
    this file's writing. Where the result doesn't say, as the files do."""
    with contextlib.suppress(ValueError):
        if bundle.is_whole:
            result = bundle.result()
            end = datetime.fromisoformat(result.finished).astimezone().replace(tzinfo=None)
            return end - timedelta(seconds=result.seconds), end
    last = "result.json" if bundle.is_whole else "stopped.json"
    begun, end = (datetime.fromtimestamp((bundle.path / n).stat().st_mtime) for n in ("config.json", last))
    return min(begun, end), end


def _take_over(path: Path, to: BaseStorage, but: Container[str], said: Callable[[str], None]) -> None:
    if not path.is_file():
        return
    with TemporaryDirectory(prefix="oddsound-journal-") as folder:
        copy = Path(folder) / path.name
        shutil.copyfile(path, copy)
        try:
            old = JournalStorage(JournalFileBackend(str(copy)))
            for name in optuna.get_all_study_names(old):
                if name not in but:
                    optuna.copy_study(from_study_name=name, from_storage=old, to_storage=to)
        except Exception as error:  # a damaged journal fails in as many ways as it has lines
            said(f"{path} was damaged ({type(error).__name__}): it is written anew from the trials")
