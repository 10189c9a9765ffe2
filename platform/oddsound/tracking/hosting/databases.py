"""The databases behind a server: which there are, whether they let us in, and their schema."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from oddsound.errors import ConfigError, DataError, TrackingError

_DRIVER = "postgresql+psycopg"
"""Named, because what SQLAlchemy takes for `postgresql` has changed between its versions."""
_CONNECT_S = 5


def sqlite_file(given: Path) -> Path:
    """The absolute path of the database of a run folder, of its `mlflow` folder, or of the file itself.

    Raises DataError where there is none.
    """
    path = given / "mlflow.db" if given.is_dir() else given
    if (given / "mlflow").is_dir():
        path = given / "mlflow" / "mlflow.db"
    if not path.is_file():
        raise DataError(
            f"no file {path}; give the folder of a search that oddsound has run, or its mlflow.db"
        )
    with path.open("rb") as file:
        if file.read(16) != b"SQLite format 3\0":
            raise DataError(f"{path} is no sqlite database; give the mlflow.db of a run folder")
    return path.resolve()


def address(uri: str, name: str) -> str:
    """`uri`, which the variable `name` holds, as SQLAlchemy is to take it. Raises ConfigError."""
    scheme, found, rest = uri.partition("://")
    if not found or scheme not in ("postgresql", "postgres", _DRIVER, "sqlite"):
        raise ConfigError(f"{name}: give postgresql://user@host/database (or sqlite:////path of a file)")
    return uri if scheme == "sqlite" else f"{_DRIVER}://{rest}"


def shown(uri: str) -> str:
    """`uri` without user and password."""
    parts = urlsplit(uri)
    if parts.scheme == "sqlite":
        return uri.removeprefix("sqlite:///")
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}"


def assert_open(uri: str) -> None:
    """Raises TrackingError, in one line and within seconds, where the PostgreSQL of `uri` doesn't let us in.

    MLflow would try for a minute and show a traceback.
    """
    if not uri.startswith(_DRIVER):
        return
    try:
        import psycopg
    except ImportError as error:
        raise ConfigError("PostgreSQL needs its driver: pip install 'oddsound[server]'") from error
    try:
        psycopg.connect(uri.replace(_DRIVER, "postgresql", 1), connect_timeout=_CONNECT_S).close()
    except psycopg.Error as error:
        lines = str(error).strip().splitlines()
        why = lines[-1] if lines else type(error).__name__
        raise TrackingError(
            f"the database {shown(uri)} doesn't let us in ({why}); see that it runs and that user, password "
            "and database are right"
        ) from error


def upgrade(backend: str, accounts: str | None) -> None:
    """Bring both to the schema of the MLflow that is installed; what is there already stays as it is."""
    import mlflow.db
    from sqlalchemy import create_engine

    mlflow.db.upgrade.main([backend], standalone_mode=False)
    if accounts is None:
        return
    from mlflow.server.auth.db.utils import migrate

    engine = create_engine(accounts)
    migrate(engine, "head")
    engine.dispose()
