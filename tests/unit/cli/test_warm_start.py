"""A search begins with the best trials of an earlier one, and a resume keeps the same ones."""

from pathlib import Path

import pytest
from tests.unit.search.fake_trials import plan

from oddsound.cli.warm_start import first_points
from oddsound.errors import ConfigError
from oddsound.search.record import RunRecord, write_record
from oddsound.tracking.store import open_store

POINT = {"loss.rho": 0.1}


def begun(run: Path, earlier: str) -> None:
    command = {"cwd": "/", "options": {"warm_start": earlier}}
    run.mkdir()
    machines = {"fan": {"first": [POINT]}}
    write_record(run, RunRecord("mine", "demo", "/data", None, machines=machines, command=command))


def test_nothing_asked_for_is_nothing(tmp_path: Path) -> None:
    assert first_points(None, [plan("fan", 3).space], open_store(None, tmp_path), tmp_path) == {}


def test_a_run_keeps_the_points_that_it_began_with(tmp_path: Path) -> None:
    """MLflow isn't asked: it knows no such search, and that would be refused."""
    begun(tmp_path / "run", "earlier")
    space, store = plan("fan", 3).space, open_store(None, tmp_path)
    assert first_points("earlier", [space], store, tmp_path / "run") == {"fan": [POINT]}
    with pytest.raises(ConfigError, match="another"):
        first_points("another", [space], store, tmp_path / "run")


def test_values_outside_of_the_space_are_no_point() -> None:
    space = plan("fan", 3).space
    inside = space.trial(space.paper, 0)
    outside = inside.model_copy(update={"loss": inside.loss.model_copy(update={"rho": 7.0})})
    assert space.values(inside) == space.paper
    assert space.values(outside) is None
    longer = inside.model_copy(update={"training": inside.training.model_copy(update={"epochs": 7})})
    assert space.values(longer) == space.paper, "what isn't searched is the present search's own"
