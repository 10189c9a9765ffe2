"""`oddsound serve mlflow` as a process that can be asked to end, or killed with all that it started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.unit.tracking.server_process import processes_below, stop, wait_until_healthy

from oddsound.tracking.hosting.secrets import NAMES
from oddsound.tracking.store import open_store

ADMIN_PASSWORD = "admin-of-the-tests"
ACCOUNTS = {
    "MLFLOW_AUTH_ADMIN_PASSWORD": ADMIN_PASSWORD,
    "MLFLOW_FLASK_SERVER_SECRET_KEY": "cookies-of-the-tests-only-0123456789",
}
_ODDSOUND = Path(sys.executable).parent / "oddsound"


@dataclass
class Server:
    uri: str
    process: subprocess.Popen[bytes]
    log: Path

    def kill(self) -> None:
        """SIGKILL it and all that it started."""
        for pid in [self.process.pid, *processes_below(self.process.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def mlflow_server(
    folder: Path,
    port: int,
    *,
    backend: str | None = None,
    accounts: str | bool = False,
    artifacts: str | None = None,
    options: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    in_files: bool = False,
) -> Iterator[Server]:
    """It serves, once it answers, until the block ends.

    What: `folder`'s sqlite store, or the PostgreSQL at `backend`. `accounts`: True for a database beside
    sqlite, or the address of one; the administrator is `admin` with ADMIN_PASSWORD. `artifacts`: as
    --artifacts. `environment` is laid over this process's, for instance an object store's keys. `in_files`:
    every secret in a file, as Docker and systemd give them.
    """
    if backend is None:
        open_store(None, folder)  # the command serves what is there
    secrets = {} if backend is None else {"MLFLOW_BACKEND_STORE_URI": backend}
    secrets |= ACCOUNTS if accounts else {}
    secrets |= {"ODDSOUND_ACCOUNTS_URI": accounts} if isinstance(accounts, str) else {}
    words = [str(_ODDSOUND), "serve", "mlflow", *([str(folder)] if backend is None else [])]
    words += ["--port", str(port), *(["--accounts"] if accounts else [])]
    words += [*(["--artifacts", artifacts] if artifacts else []), *options]
    variables = secrets | dict(environment or {})
    log_path = folder / "server.log"
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            words,
            env=os.environ | (_files(folder / "secrets", variables) if in_files else variables),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    server = Server(f"http://127.0.0.1:{port}", process, log_path)
    try:
        wait_until_healthy(server.uri, process, log_path)
        yield server
    finally:
        stop(process)


def _files(folder: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """NAME_FILE in place of each NAME that is a secret."""
    folder.mkdir(mode=0o700, exist_ok=True)
    given = dict(variables)
    for name in NAMES:
        if name in given:
            file = folder / name
            file.touch(mode=0o600)
            file.write_text(given.pop(name) + "\n")
            given[f"{name}_FILE"] = str(file)
    return given
