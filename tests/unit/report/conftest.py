"""One run folder for the tests that only read it."""

from pathlib import Path

import pytest
from tests.unit.report.runs import whole_run


@pytest.fixture(scope="session")
def made_run(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """See `runs.whole_run`; nobody may change it."""
    return whole_run(tmp_path_factory.mktemp("made") / "run", small_data)
