"""A real PostgreSQL on loopback, with as many fresh databases as the tests ask for."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

_NUMBERS = count(1)


@dataclass(frozen=True)
class Postgres:
    """One server; `uri` and `fresh` give addresses with user and password as SQLAlchemy wants them."""

    port: int
    user: str
    password: str
    binaries: Path

    def uri(self, database: str) -> str:
        return f"postgresql://{self.user}:{self.password}@127.0.0.1:{self.port}/{database}"

    def fresh(self) -> str:
        """The address of a new, empty database."""
        name = f"fresh_{next(_NUMBERS)}"
        self.run(f"CREATE DATABASE {name}")
        return self.uri(name)

    def run(self, statement: str, database: str = "postgres") -> str:
        """What `statement` returns, as psql prints it without headings."""
        command = [
            self.binaries / "psql",
            "-qtAX",
            "-v",
            "ON_ERROR_STOP=1",
            self.uri(database),
            "-c",
            statement,
        ]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@contextlib.contextmanager
def postgres_server() -> Iterator[Postgres]:
    """It answers until the block ends. Without PostgreSQL the test skips and says so; CI fails."""
    binaries = _binaries()
    user = _unprivileged()
    with TemporaryDirectory(prefix="pg", dir="/tmp") as name:
        folder = Path(name)
        if user:
            shutil.chown(folder, user)
        server = Postgres(_free_port(), "lab", "of-the-tests-only", binaries)
        _initialise(folder, server, user)
        with (folder / "log").open("wb") as log:
            process = _start(folder, server, user, log.fileno())
        try:
            _wait_until_ready(server, process, folder / "log")
            yield server
        finally:
            process.send_signal(signal.SIGQUIT)
            process.wait(20)


def _binaries() -> Path:
    """The folder with initdb and its kin, of the newest PostgreSQL that is there."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    on_path = shutil.which("initdb")
    if on_path:
        folders.insert(0, Path(on_path).resolve().parent)
    for folder in reversed(folders):
        if all((folder / tool).exists() for tool in ("initdb", "postgres", "psql", "pg_dump", "pg_restore")):
            return folder
    reason = "PostgreSQL isn't installed (initdb is neither on PATH nor in /usr/lib/postgresql/*/bin)"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}: .ci/run installs it")
    pytest.skip(f"{reason}: apt-get install postgresql")


def _unprivileged() -> str | None:
    """Whom to run it as: postgres refuses root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def _initialise(folder: Path, server: Postgres, user: str | None) -> None:
    secret = folder / "password"
    secret.write_text(server.password)
    if user:
        shutil.chown(secret, user)
    options = ["--auth=scram-sha-256", f"--username={server.user}", f"--pwfile={secret}", "--encoding=UTF8"]
    subprocess.run(
        [server.binaries / "initdb", "-D", folder / "data", "--no-sync", "--no-locale", *options],
        **_as(user),
        check=True,
        capture_output=True,
    )


def _start(folder: Path, server: Postgres, user: str | None, log: int) -> subprocess.Popen[bytes]:
    settings = [
        f"port={server.port}",
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "fsync=off",
        "max_connections=60",
    ]
    options = [word for setting in settings for word in ("-c", setting)]
    return subprocess.Popen(
        [server.binaries / "postgres", "-D", folder / "data", *options], **_as(user), stdout=log, stderr=log
    )


def _as(user: str | None) -> dict[str, object]:
    if user is None:
        return {"cwd": "/"}
    return {"cwd": "/", "user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def _wait_until_ready(server: Postgres, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(subprocess.CalledProcessError):
            server.run("SELECT 1")
            return
        time.sleep(0.05)
    raise AssertionError(f"PostgreSQL did not come up:\n{log.read_text()}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
