"""What command and environment an MLflow server gets: no secret in the one, nothing needless in the other."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from oddsound.errors import ConfigError
from oddsound.tracking.hosting import address, databases, secrets

_KEPT = (
    "MLFLOW_S3_",
    "MLFLOW_BOTO_",
    "MLFLOW_SQLALCHEMYSTORE_POOL",
    "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW",
    "MLFLOW_AUTH_ADMIN_USERNAME",
    "MLFLOW_LOGGING_LEVEL",
)
"""What a user may say to MLflow beside our options. The rest could undo them: another address, no check
of hosts, SQL with its values in the log."""
_ALWAYS = {
    # 2 processes and 0.5 GB in place of 10 and 2.3 GB; and a job runs code.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # The assistant of MLflow's pages starts programs as the server's user, for whoever reaches it.
    "MLFLOW_ENABLE_REMOTE_ASSISTANT": "false",
    "MLFLOW_ENABLE_ASSISTANT_SANDBOX": "true",
    # A route without a rule of its own is shut.
    "MLFLOW_BASIC_AUTH_FAIL_CLOSED": "true",
    # MLflow's to mend, and twice at every start.
    "PYTHONWARNINGS": "ignore:starlette.middleware.wsgi is deprecated",
}
# Without the cache every request takes the time of hashing a password, which is long on purpose.
_ACCOUNTS_INI = """\
[mlflow]
default_permission = NO_PERMISSIONS
database_uri = {uri}
admin_username = admin
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 30
"""


@dataclass(frozen=True)
class Wish:
    """What the user asked for."""

    database: Path | None
    """A run folder or an sqlite file; None: MLFLOW_BACKEND_STORE_URI."""
    host: str = "127.0.0.1"
    port: int = 5000
    has_accounts: bool = False
    allowed_hosts: Sequence[str] = ()
    cors_origins: Sequence[str] = ()
    artifacts: str | None = None
    """s3://bucket/prefix or a folder; None: `artifacts` beside an sqlite file."""
    n_workers: int = 1


@dataclass(frozen=True)
class Setup:
    """A server that may be started. `environment` and `accounts` hold secrets, `command` doesn't."""

    host: str
    port: int
    backend: str = field(repr=False)
    command: list[str]
    environment: dict[str, str] = field(repr=False)
    accounts: str | None = field(default=None, repr=False)
    """Address of the accounts' database; None: no accounts."""

    @property
    def shown(self) -> str:
        return databases.shown(self.backend)

    @property
    def accounts_ini(self) -> str | None:
        """MLflow's file about accounts: it takes the address of their database from nowhere else."""
        # A % begins an interpolation there, and any special character of a password is one in an address.
        return _ACCOUNTS_INI.format(uri=self.accounts.replace("%", "%%")) if self.accounts else None


def set_up(wish: Wish, environment: Mapping[str, str]) -> Setup:
    """Raises ConfigError for what isn't safe or isn't complete, DataError for a path without a database."""
    if not wish.has_accounts and not address.is_loopback(wish.host):
        raise ConfigError(
            f"--host {wish.host} is reached from elsewhere, and everybody there could read, change and "
            f"delete: give --accounts, or stay on 127.0.0.1 with `ssh -L {wish.port}:127.0.0.1:{wish.port}`"
        )
    names = address.host_names(wish.allowed_hosts, wish.host, wish.port)
    origins = address.pages(wish.cors_origins, names)
    backend, folder = _backend(wish.database, environment)
    words = [*_mlflow(wish, names, origins), "--artifacts-destination", _artifacts(wish.artifacts, folder)]
    accounts = _accounts(folder, environment) if wish.has_accounts else None
    return Setup(wish.host, wish.port, backend, words, _passed_on(backend, wish, environment), accounts)


def _backend(database: Path | None, environment: Mapping[str, str]) -> tuple[str, Path | None]:
    """Its address, and for sqlite the folder that it lies in."""
    if database is not None:
        file = databases.sqlite_file(database)
        return f"sqlite:///{file}", file.parent
    why = "which database? Give a run folder or an sqlite file"
    uri = databases.address(secrets.demanded(secrets.BACKEND, environment, why), secrets.BACKEND)
    return uri, Path(uri.removeprefix("sqlite:///")).parent if uri.startswith("sqlite:") else None


def _accounts(folder: Path | None, environment: Mapping[str, str]) -> str:
    uri = secrets.secret(secrets.ACCOUNTS, environment)
    if uri is None and folder is not None:
        return f"sqlite:///{folder / 'accounts.db'}"
    uri = uri or secrets.demanded(secrets.ACCOUNTS, environment, "--accounts need a database of their own")
    return databases.address(uri, secrets.ACCOUNTS)


def _artifacts(given: str | None, folder: Path | None) -> str:
    if given is not None:
        return given if "://" in given else str(Path(given).absolute())
    if folder is None:
        raise ConfigError("where shall artifacts lie? Give --artifacts s3://bucket/prefix, or a folder")
    return str(folder / "artifacts")


def _mlflow(wish: Wish, names: Sequence[str], origins: Sequence[str]) -> list[str]:
    words = [sys.executable, "-m", "mlflow", "server", "--host", wish.host, "--port", str(wish.port)]
    words += ["--workers", str(wish.n_workers), "--allowed-hosts", ",".join(names)]
    words += ["--cors-allowed-origins", ",".join(origins)]
    # A laptop's terminal needs no line a request; a group's log does.
    return words + (
        ["--app-name", "basic-auth"] if wish.has_accounts else ["--uvicorn-opts", "--log-level warning"]
    )


def _passed_on(backend: str, wish: Wish, environment: Mapping[str, str]) -> dict[str, str]:
    """The user's environment without what could undo the options, and with the secrets themselves."""
    files = {f"{name}_FILE" for name in secrets.NAMES}
    passed = {
        name: value
        for name, value in environment.items()
        if name not in files
        and (not name.startswith(("MLFLOW_", "_MLFLOW_", "UVICORN_")) or name.startswith(_KEPT))
    }
    passed |= {name: value for name in secrets.S3 if (value := secrets.secret(name, environment)) is not None}
    passed |= _ALWAYS | {secrets.BACKEND: backend}
    if wish.has_accounts:
        why = "--accounts need it"
        passed |= {
            name: secrets.demanded(name, environment, why) for name in (secrets.PASSWORD, secrets.COOKIES)
        }
    return passed
