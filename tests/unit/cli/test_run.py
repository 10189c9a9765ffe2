"""What ends a run before its first trial, and what doesn't."""

from pathlib import Path

import pytest
from tests.unit.search.fake_trials import plan

from oddsound.cli.run import _opened
from oddsound.cli.stages import refuse_no_rung
from oddsound.errors import ConfigError, TrackingError
from oddsound.search.address import knock
from oddsound.search.record import RunRecord, write_record
from oddsound.search.resources import Resources, refuse_here
from oddsound.training.early_stops import Asha

NOBODY = "http://127.0.0.1:1"


def test_a_wrong_address_of_mlflow_ends_a_run_that_is_not_begun(tmp_path: Path) -> None:
    with pytest.raises(TrackingError):
        _opened(NOBODY, tmp_path)


def test_an_mlflow_that_is_away_ends_no_run_that_began_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_record(tmp_path, RunRecord("s", "demo", "/data", NOBODY))
    assert _opened(NOBODY, tmp_path) is None
    assert "the search goes on without" in capsys.readouterr().err
    with pytest.raises(TrackingError):
        _opened("http://127.0.0.1:2", tmp_path)


def test_asha_that_would_never_look_is_refused() -> None:
    space = plan("fan", 1).space
    epochs = space.trial(space.paper, 0).training.epochs
    refuse_no_rung(None, [space])
    refuse_no_rung(Asha(grace_epochs=epochs - 1), [space])
    with pytest.raises(ConfigError, match=f"never looks at trials of {epochs} epochs"):
        refuse_no_rung(Asha(grace_epochs=epochs), [space])


def test_more_than_this_machine_has_is_refused_before_anything_is_built() -> None:
    refuse_here(Resources(cpus_per_trial=1))
    with pytest.raises(ConfigError, match="a trial wants 4096 CPUs"):
        refuse_here(Resources(cpus_per_trial=4096))


def test_a_cluster_that_does_not_answer_is_refused_at_once() -> None:
    knock("local")
    knock("auto")
    with pytest.raises(ConfigError, match="nobody answers"):
        knock("127.0.0.1:1")
