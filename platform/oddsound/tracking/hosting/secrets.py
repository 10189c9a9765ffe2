"""Secrets from the environment or from files; never from a command line, which `ps` shows to everybody.

`NAME_FILE` names a file with NAME's value, as Docker's and systemd's credentials want it.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path

from oddsound.errors import ConfigError

BACKEND = "MLFLOW_BACKEND_STORE_URI"
ACCOUNTS = "ODDSOUND_ACCOUNTS_URI"
PASSWORD = "MLFLOW_AUTH_ADMIN_PASSWORD"
COOKIES = "MLFLOW_FLASK_SERVER_SECRET_KEY"
S3 = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
NAMES = (BACKEND, ACCOUNTS, PASSWORD, COOKIES, *S3)

_MIN_LENGTH = {PASSWORD: 12, COOKIES: 32}
_READ_BY_OTHERS = stat.S_IROTH | stat.S_IWOTH


def secret(name: str, environment: Mapping[str, str]) -> str | None:
    """The value of `name`, or what is in the file that `name`_FILE names; None where neither is set.

    Raises ConfigError for both, for an empty one, for one that is too short, and for a file that
    can't be read or that everybody may read.
    """
    file = environment.get(f"{name}_FILE")
    if file is None:
        value = environment.get(name)
    elif name in environment:
        raise ConfigError(f"{name} and {name}_FILE are both set; unset one")
    else:
        value = _read(name, Path(file))
    if value is not None and len(value) < _MIN_LENGTH.get(name, 1):
        raise ConfigError(
            f"{name}: {len(value)} characters are too few; give {_MIN_LENGTH.get(name, 1)} or more"
        )
    return value


def demanded(name: str, environment: Mapping[str, str], why: str) -> str:
    """`secret`, or ConfigError where it isn't set."""
    value = secret(name, environment)
    if value is None:
        raise ConfigError(f"{why}: set {name}, or {name}_FILE to a file that holds it")
    return value


def _read(name: str, file: Path) -> str:
    try:
        if file.stat().st_mode & _READ_BY_OTHERS:
            raise ConfigError(f"{name}_FILE: everybody on this machine may read {file}; chmod o= it")
        return file.read_text().strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "no text"
        raise ConfigError(
            f"{name}_FILE: {file} can't be read ({why}); see that its owner runs this"
        ) from error
