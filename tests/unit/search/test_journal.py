"""studies.journal is what Optuna's tools read, and no more: what happens to it ends nothing."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from tests.unit.search.fake_trials import plan, start_bundle, write_bundle

from oddsound.config import TrialConfig
from oddsound.search.journal import write_journal
from oddsound.search.studies import MachinePlan
from oddsound.training.bundle import Bundle, Stop

PLANS = [plan("fan", 4), plan("valve", 4)]


def config(of: MachinePlan, seed: int) -> TrialConfig:
    return of.space.trial(of.space.paper, seed)


@pytest.fixture
def trials(tmp_path: Path) -> Path:
    """Of each machine type one that finished, one that was stopped, one that was begun."""
    folder = tmp_path / "trials"
    for of in PLANS:
        write_bundle(folder, config(of, 0), 1, 0.5)
        stopped = start_bundle(folder, config(of, 1))
        stopped.write("history.json", [])
        stopped.write_stop(Stop(0, 30, 30, 0.25))
        start_bundle(folder, config(of, 2))
    return folder


def test_optuna_reads_what_has_a_value_each_once(trials: Path, tmp_path: Path) -> None:
    path, said = tmp_path / "studies.journal", list[str]()
    path.write_text("of an earlier search, and cut")
    for _ in range(2):
        write_journal(PLANS, trials, path, said.append)
        storage = JournalStorage(JournalFileBackend(str(path)))
        assert [study.study_name for study in optuna.get_all_study_summaries(storage)] == ["fan", "valve"]
        for of in PLANS:
            study = optuna.load_study(study_name=of.machine, storage=storage)
            assert [(t.state, t.value, t.user_attrs["trial"]) for t in study.get_trials()] == [
                (TrialState.COMPLETE, 0.25, config(of, 1).identity),
                (TrialState.COMPLETE, 0.5, config(of, 0).identity),
            ]
            assert study.best_params == dict(of.space.paper)
            assert study.metric_names == ["omega"]
    assert said == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["studies.journal", "trials"]


def test_a_trial_has_the_times_that_it_ran(trials: Path, tmp_path: Path) -> None:
    fan = PLANS[0]
    finished = Bundle(trials / "fan" / config(fan, 0).identity)
    result = replace(finished.result(), finished="2026-01-02T03:04:05+02:00", seconds=60.0)
    finished.write_result(result)
    stopped = Bundle(trials / "fan" / config(fan, 1).identity)
    os.utime(stopped.path / "config.json", (1e9, 1e9))
    os.utime(stopped.path / "stopped.json", (1e9 + 5, 1e9 + 5))
    write_journal(PLANS, trials, tmp_path / "studies.journal", print)
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "studies.journal")))
    early, whole = optuna.load_study(study_name="fan", storage=storage).get_trials()
    assert early.datetime_start == datetime.fromtimestamp(1e9)
    assert early.duration == timedelta(seconds=5)
    assert whole.datetime_complete == datetime.fromtimestamp(
        datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC).timestamp()
    )
    assert whole.duration == timedelta(seconds=60)


def test_where_it_can_not_be_written_that_is_said(trials: Path, tmp_path: Path) -> None:
    said: list[str] = []
    path = tmp_path / "nowhere" / "studies.journal"
    write_journal(PLANS, trials, path, said.append)
    (line,) = said
    assert line.startswith(f"{path} can't be written ([Errno 2] No such file or directory")


def test_a_bundle_that_can_not_be_read_leaves_the_journal_as_it_was(trials: Path, tmp_path: Path) -> None:
    path, said = tmp_path / "studies.journal", list[str]()
    write_journal(PLANS, trials, path, said.append)
    before = path.read_bytes()
    (trials / "fan" / config(PLANS[0], 0).identity / "result.json").write_text("{")
    write_journal(PLANS, trials, path, said.append)
    (line,) = said
    assert "result.json" in line
    assert path.read_bytes() == before


def test_studies_of_other_machine_types_are_taken_over(tmp_path: Path) -> None:
    journal, said = tmp_path / "studies.journal", list[str]()
    for machine in ("fan", "valve"):
        of = plan(machine, 1)
        write_bundle(tmp_path, of.space.trial(of.space.paper, 0), 0, 0.5)
    write_journal([plan("fan", 1), plan("valve", 1)], tmp_path, journal, said.append)
    write_journal([plan("fan", 1)], tmp_path, journal, said.append)
    storage = JournalStorage(JournalFileBackend(str(journal)))
    studies = optuna.get_all_study_summaries(storage)
    assert {study.study_name: study.n_trials for study in studies} == {"fan": 1, "valve": 1}
    journal.write_text('no journal\n{"op_code": 0}\n')
    write_journal([plan("fan", 1)], tmp_path, journal, said.append)
    assert "was damaged" in said[-1]
    assert optuna.get_all_study_names(JournalStorage(JournalFileBackend(str(journal)))) == ["fan"]
