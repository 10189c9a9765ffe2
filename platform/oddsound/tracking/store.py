"""Where runs are recorded: an sqlite file of our own, or somebody's MLflow server.

Nothing here uses MLflow's global state: every call names its store, because a trial's working
folder is not the user's. Whatever MLflow, SQLAlchemy or the network raise leaves as TrackingError.
"""

from __future__ import annotations

import logging
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from errno import ENOSPC
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from filelock import FileLock
from filelock import Timeout as LockTimeout
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SADeprecationWarning, SQLAlchemyError

from oddsound import chatter
from oddsound.errors import ConfigError, TrackingError
from oddsound.tracking.server import PROBE_S, access_error, be_short, cause, knock, refused

MIGRATION_S = 120.0

_SENT_LATER = "finished trials are safe on disk, `oddsound sync` sends them when it is back"

_EXPERIMENT = {"mlflow.experimentKind": "custom_model_development"}
"""Without it MLflow's pages take an experiment for one of language models and open on its chats."""


@dataclass
class Sent:
    """What the store has of a search for one machine type. `finished`, `stopped`: run id by trial, of
    the complete runs."""

    finished: dict[str, str] = field(default_factory=dict)
    stopped: dict[str, str] = field(default_factory=dict)
    savings: str = ""
    """Digest of what the parent run says of early stopping."""
    is_current: bool = False
    """Whether that has been compared with the bundles."""


@dataclass(frozen=True, eq=False)
class Store:
    """One MLflow tracking store and registry, opened by `open_store`.

    It remembers what it has looked up (`experiments`, `parents`, `complete`), so that a sync with
    nothing new asks nothing; `forget` drops that after an error.
    """

    client: MlflowClient
    uri: str
    artifact_root: Path | None
    """Below it lie the artifacts of an sqlite store; None: the server decides."""
    experiments: dict[str, str] = field(default_factory=dict, repr=False)
    """Experiment id by name."""
    parents: dict[tuple[str, str], str] = field(default_factory=dict, repr=False)
    """Id of a search's open parent run by (experiment id, search id)."""
    complete: dict[tuple[str, str], Sent] = field(default_factory=dict, repr=False)
    """What the store has of a search, by (experiment id, search id)."""
    notes: dict[str, str] = field(default_factory=dict, repr=False)
    """The notes that it was told, by what they are of."""

    @contextmanager
    def asking(self, doing: str, remedy: str = _SENT_LATER) -> Iterator[None]:
        """Turn whatever the block raises about MLflow into one line: what was done, where, why, and the
        `remedy`."""
        try:
            yield
        except (MlflowException, SQLAlchemyError, OSError) as error:
            # MLflow's own messages hold the URI as it was given, password and all.
            why = cause(error).replace(self.uri, shown(self.uri))
            if refused(error):
                raise access_error(shown(self.uri), f"{doing}: {why}") from error
            raise TrackingError(f"{doing}: MLflow at {shown(self.uri)} failed ({why}); {remedy}") from error

    def probe(self) -> None:
        """Ask for next to nothing. Raises TrackingError, AccessError, within seconds whatever the store does;
        so does a database that somebody else has locked."""
        if self.uri.startswith("sqlite:///"):
            with self.asking("looking at the tracking store"):
                _touch(Path(self.uri.removeprefix("sqlite:///")))
        else:
            knock(self.uri, shown(self.uri))

    def forget(self) -> None:
        """Look everything up again: after an error nobody knows what has arrived."""
        for cache in (self.experiments, self.parents, self.complete, self.notes):
            cache.clear()

    def find_experiment(self, name: str) -> str | None:
        """The id of the experiment `name`, or None."""
        if name not in self.experiments:
            with self.asking(f"looking for the experiment {name}"):
                found = self.client.get_experiment_by_name(name)
            if found is None:
                return None
            if found.lifecycle_stage != "active":
                raise TrackingError(
                    f"experiment {name} was deleted in MLflow at {shown(self.uri)}; restore it there "
                    "(`mlflow experiments restore`), or name the dataset otherwise"
                )
            self.experiments[name] = found.experiment_id
        return self.experiments[name]

    def experiment(self, name: str) -> str:
        """The id of the experiment `name`, made where there is none."""
        known = self.find_experiment(name)
        if known is not None:
            return known
        location = (self.artifact_root / name).as_posix() if self.artifact_root else None
        with self.asking(f"making the experiment {name}"):
            self.experiments[name] = self.client.create_experiment(name, location, _EXPERIMENT)
        return self.experiments[name]


def open_store(uri: str | None, folder: Path) -> Store:
    """The store at `uri` (`http(s)://…` or `sqlite:///…`), or without one `<folder>/mlflow.db`.

    A server must answer; an sqlite file is made and migrated here, once, under a lock. Raises
    TrackingError in seconds where that fails.
    """
    if uri is None:
        return _open_sqlite(folder.resolve() / "mlflow.db")
    scheme = urlsplit(uri).scheme
    if scheme in ("http", "https"):
        return _open_server(uri.rstrip("/"))
    if uri.startswith("sqlite:///") and not uri.endswith(("/", ":memory:")):
        return _open_sqlite(Path(uri.removeprefix("sqlite:///")).resolve())
    raise TrackingError(
        f"tracking URI {shown(uri)} can't be used: give http(s)://host:port of an MLflow server, or "
        "sqlite:///path/to/mlflow.db"
    )


def canonical(uri: str) -> str:
    """`uri` as a run can remember it: an sqlite path made absolute.

    Raises ConfigError for a password in it: that would lie in files and be shown.
    """
    if urlsplit(uri).password or urlsplit(uri).username:
        raise ConfigError(
            f"tracking URI {shown(uri)}: give name and password in MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD, not in the address"
        )
    path = uri.removeprefix("sqlite:///")
    return f"sqlite:///{Path(path).absolute()}" if path != uri and path else uri


def shown(uri: str) -> str:
    """`uri` without the user name and password that it may hold."""
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if parts.netloc else uri


def _open_server(uri: str) -> Store:
    be_short()
    knock(uri, shown(uri))
    return Store(MlflowClient(tracking_uri=uri, registry_uri=uri), uri, None)


def _open_sqlite(path: Path) -> Store:
    _quieten()
    uri = f"sqlite:///{path}"
    try:
        (path.parent / "artifacts").mkdir(parents=True, exist_ok=True)
        # Of several processes that open a fresh file all but one fail (measured): one at a time.
        with FileLock(f"{path}.lock", timeout=MIGRATION_S):
            client = MlflowClient(tracking_uri=uri, registry_uri=uri)
            client.search_experiments(max_results=1)
            client.search_registered_models(max_results=1)
    except (MlflowException, SQLAlchemyError, OSError, LockTimeout) as error:
        why = cause(error)
        full = "full" in why or (isinstance(error, OSError) and error.errno == ENOSPC)
        remedy = "make room there" if full else "move the file away and run `oddsound sync`"
        raise TrackingError(
            f"{path}: can't be opened as MLflow's database ({why}); {remedy}, or give another --tracking-uri"
        ) from error
    return Store(client, uri, path.parent / "artifacts")


def _touch(database: Path) -> None:
    """Take the right to write, and give it back: it is free within PROBE_S and the file may be written."""
    address = f"{database.as_uri()}?mode=rw"
    try:
        with closing(sqlite3.connect(address, timeout=PROBE_S, uri=True)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.rollback()
    except sqlite3.Error as error:
        raise OSError(str(error)) from error


def _quieten() -> None:
    """No talk of migrations, and no traceback beside the TrackingError that says the same, but in a file."""
    kept = chatter.is_kept()
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.INFO if kept else logging.CRITICAL)
    logging.getLogger("alembic").setLevel(logging.INFO if kept else logging.WARNING)
    # MLflow 3.17 under SQLAlchemy 2.1; it is MLflow's to mend and its user can do nothing.
    warnings.filterwarnings("ignore", "The ``noload`` loader strategy", SADeprecationWarning)
