"""A run with registered models, and `oddsound predict` as it is typed."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.registered_models import DATASET, register_trials

from oddsound.cli.main import main
from oddsound.search.record import RunRecord, write_record
from oddsound.tracking.store import open_store
from oddsound.training.bundle import Bundle, finished


@pytest.fixture(scope="module")
def run(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder whose own MLflow has tiny.fan and tiny.valve."""
    run = tmp_path_factory.mktemp("run")
    register_trials(open_store(None, run / "mlflow"), trained)
    write_record(run, RunRecord("s1", DATASET, "/data", None, {"fan": {}, "valve": {}}))
    return run


@pytest.fixture
def bundle(trained: Path) -> Bundle:
    return finished(trained, "fan")[0]


class Said:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def rows(self) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.out)))


@pytest.fixture
def predict(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    def call(*arguments: object) -> Said:
        with pytest.raises(SystemExit) as ended:
            main(["predict", *(str(argument) for argument in arguments)])
        said = capsys.readouterr()
        return Said(int(ended.value.code or 0), said.out, said.err)

    return call
