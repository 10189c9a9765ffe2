"""Every route of the MLflow that is installed, from the application that `mlflow server` runs with accounts.

As a program it prints them as JSON: MLflow's application wants a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_INI = """[mlflow]
default_permission = NO_PERMISSIONS
database_uri = sqlite:///{folder}/accounts.db
"""


def routes(folder: Path) -> set[tuple[str, str]]:
    """Method and path, with 1 for each of the path's parameters. `folder` gets a database of accounts."""
    (folder / "accounts.ini").write_text(_INI.format(folder=folder))
    environment = {
        "_MLFLOW_SGI_NAME": "uvicorn",
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "accounts.ini"),
        "MLFLOW_AUTH_ADMIN_USERNAME": "admin",
        "MLFLOW_AUTH_ADMIN_PASSWORD": "of-the-route-table",
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "cookies",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    said = subprocess.run(
        [sys.executable, "-W", "ignore", __file__],
        env=os.environ | environment,
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return {(method, path) for method, path in json.loads(said.stdout.splitlines()[-1])}


def _native(table: list[Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """FastAPI's own routes, those of the routers that it includes among them."""
    for route in table:
        if hasattr(route, "original_router"):
            yield from _native(route.original_router.routes, prefix + route.include_context.prefix)
        for method in getattr(route, "methods", None) or ():
            yield method, prefix + route.path


def _print() -> None:
    import re

    from mlflow.server import app as flask_app
    from mlflow.server.auth import create_app

    found = set(_native(create_app().routes))
    found |= {(method, rule.rule) for rule in flask_app.url_map.iter_rules() for method in rule.methods}
    print(json.dumps(sorted((method, re.sub(r"<[^>]*>|{[^}]*}", "1", path)) for method, path in found)))


if __name__ == "__main__":
    _print()
