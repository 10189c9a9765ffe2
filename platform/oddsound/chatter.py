"""What libraries log and warn of, kept in a file of the run: there, and not between its own lines."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

NAME = "libraries.log"
"""In a run's folder."""
_LOUD = ("ray", "mlflow", "alembic", "optuna", "py.warnings")
_kept = False


def is_kept() -> bool:
    """Whether there is a file for it; where there is none, whoever starts a library quietens it."""
    return _kept


@contextlib.contextmanager
def kept_in(folder: Path) -> Iterator[None]:
    """While the block runs, Ray, MLflow, Alembic, Optuna and Python's warnings speak to `folder`/NAME alone,
    which is appended to. A folder that isn't there, or can't be written to, keeps nothing and is no error."""
    global _kept
    handler = _Handler(folder / NAME, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(name)s %(levelname)s %(message)s"))
    before = {name: _turned(logging.getLogger(name), [handler], False) for name in _LOUD}
    logging.captureWarnings(True)
    outer, _kept = _kept, True
    try:
        yield
    finally:
        _kept = outer
        logging.captureWarnings(False)
        for name, (handlers, propagate) in before.items():
            _turned(logging.getLogger(name), handlers, propagate)
        with contextlib.suppress(OSError):  # a full disk, once more
            handler.close()


def _turned(
    logger: logging.Logger, handlers: list[logging.Handler], propagate: bool
) -> tuple[list[logging.Handler], bool]:
    """Give it these; what it had is returned."""
    had = logger.handlers, logger.propagate
    logger.handlers, logger.propagate = handlers, propagate
    return had


class _Handler(logging.FileHandler):
    def emit(self, record: logging.LogRecord) -> None:
        try:
            super().emit(record)
        except OSError:  # from opening the file
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Nothing: a line that can't be kept ends no search, and isn't worth one of ours."""
