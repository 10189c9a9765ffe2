"""Libraries speak to the run's file while it is worked on, and as before afterwards."""

import logging
import warnings
from pathlib import Path

import pytest

from oddsound.chatter import NAME, is_kept, kept_in


def test_what_libraries_say_goes_to_the_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    loggers = [logging.getLogger(name) for name in ("ray", "mlflow", "alembic", "optuna")]
    before = [(logger.handlers, logger.propagate) for logger in loggers]
    for round_ in (1, 2):
        with kept_in(tmp_path), warnings.catch_warnings():
            warnings.simplefilter("always")
            assert is_kept()
            logging.getLogger("ray.tune").error("a node died")
            logging.getLogger("mlflow.somewhere").error("migrating\n  twice")
            warnings.warn("old thing", DeprecationWarning, stacklevel=1)
        assert not is_kept()
        kept = (tmp_path / NAME).read_text()
        assert [
            kept.count(line)
            for line in ("ray.tune ERROR a node died", "  twice", "DeprecationWarning: old thing")
        ] == [round_] * 3
    assert [(logger.handlers, logger.propagate) for logger in loggers] == before
    assert capfd.readouterr() == ("", "")


def test_others_are_heard_as_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with kept_in(tmp_path):
        logging.getLogger("somebody").warning("else")
    assert "else" in caplog.text
    assert not (tmp_path / NAME).exists(), "nothing said, nothing kept"


@pytest.mark.parametrize("where", ["nowhere", "/dev/full", "/proc/1"])
def test_a_file_that_can_not_be_written_is_no_error(
    where: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / where
    with kept_in(folder):
        logging.getLogger("ray").error("a node died")
    assert capfd.readouterr() == ("", "")
    assert not (tmp_path / "nowhere").exists()


def test_a_full_disk_is_no_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / NAME).symlink_to("/dev/full")
    with kept_in(tmp_path):
        logging.getLogger("ray").error("a node died")
    assert capfd.readouterr() == ("", "")
