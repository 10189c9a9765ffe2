"""Accounts on a server of ours: who may see everything, and who may add to it.

MLflow gives whoever makes an experiment or a registered model every right on it, and nobody else any.
A group wants more: two roles say what on everything that is there or will be.
"""

from __future__ import annotations

from typing import Any

import requests
from mlflow.exceptions import MlflowException
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request

from oddsound.errors import ConfigError, TrackingError
from oddsound.tracking.server import access_error, cause
from oddsound.tracking.store import shown

RIGHTS = {"read": "READ", "write": "EDIT"}
"""What an account may, and MLflow's name of it."""
MIN_LENGTH = 12
_KINDS = ("experiment", "registered_model")
_WORKSPACE = "default"


def has_account(uri: str, name: str) -> bool:
    """Whether the server knows `name`. Raises as `admit` does."""
    return _ask(uri, "GET", "2.0/mlflow/users/get", {"username": name}, is_there=True) is not None


def admit(uri: str, name: str, password: str | None, right: str) -> None:
    """Give the account `name` the `right` on everything, and no other; with a `password` make it first.

    The caller is an administrator by MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD. Raises
    ConfigError for a password that is too short, AccessError and TrackingError where the server doesn't
    let us.
    """
    if password is not None:
        if len(password) < MIN_LENGTH:
            raise ConfigError(f"the new account {name} needs a password of {MIN_LENGTH} characters or more")
        _ask(uri, "POST", "2.0/mlflow/users/create", {"username": name, "password": password})
    wanted = _role(uri, right)
    held = {
        role["id"] for role in _ask(uri, "GET", "3.0/mlflow/users/roles/list", {"username": name})["roles"]
    }
    for other in RIGHTS:
        number = _role(uri, other)
        if number in held and number != wanted:
            _ask(uri, "DELETE", "3.0/mlflow/roles/unassign", {"username": name, "role_id": number})
    if wanted not in held:
        _ask(uri, "POST", "3.0/mlflow/roles/assign", {"username": name, "role_id": wanted})


def _role(uri: str, right: str) -> int:
    """The number of the role of that right, made where there is none."""
    name = f"oddsound-{right}"
    for role in _ask(uri, "GET", "3.0/mlflow/roles/list", {"workspace": _WORKSPACE})["roles"]:
        if role["name"] == name:
            return int(role["id"])
    made = _ask(uri, "POST", "3.0/mlflow/roles/create", {"workspace": _WORKSPACE, "name": name})["role"]
    for kind in _KINDS:
        grant = {"resource_type": kind, "resource_pattern": "*", "permission": RIGHTS[right]}
        _ask(uri, "POST", "3.0/mlflow/roles/permissions/add", {"role_id": made["id"]} | grant)
    return int(made["id"])


def _ask(uri: str, method: str, path: str, content: dict[str, Any], is_there: bool = False) -> Any:
    """The answer's JSON; None where there is no such thing and `is_there` asks just that."""
    try:
        answer = http_request(  # type: ignore[no-untyped-call]
            get_default_host_creds(uri),  # type: ignore[no-untyped-call]
            f"/api/{path}",
            method,
            max_retries=0,
            raise_on_status=False,
            **{"params" if method == "GET" else "json": content},
        )
    except (MlflowException, requests.RequestException) as error:
        raise TrackingError(f"no MLflow server answers at {shown(uri)} ({cause(error)})") from error
    if is_there and answer.status_code == 404:
        return None
    if answer.status_code in (401, 403):
        raise access_error(shown(uri), f"{answer.status_code}: only an administrator makes accounts")
    if answer.status_code != 200:
        why = answer.text.strip().splitlines()[:1]
        raise TrackingError(
            f"MLflow at {shown(uri)} refused {path} ({answer.status_code}: {''.join(why)[:200]})"
        )
    return answer.json()
