"""Stores and servers that are real, and bundles that are small."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.unit.tracking.server_process import stop, wait_until_healthy

from oddsound.tracking.store import Store, open_store


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An sqlite store with nothing in it; migrating one takes a second, copying it none."""
    folder = tmp_path_factory.mktemp("template")
    open_store(None, folder)
    return folder / "mlflow.db"


@pytest.fixture
def store(tmp_path: Path, empty_database: Path) -> Store:
    folder = tmp_path / "store"
    folder.mkdir()
    shutil.copy(empty_database, folder / "mlflow.db")
    return open_store(None, folder)


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
def serve(
    tmp_path: Path, empty_database: Path, free_port: int
) -> Iterator[Callable[[], tuple[str, subprocess.Popen[bytes]]]]:
    """Starts the laptop's script on a free port of 127.0.0.1 and waits until it answers."""
    folder = tmp_path / "served"
    folder.mkdir()
    shutil.copy(empty_database, folder / "mlflow.db")
    started: list[subprocess.Popen[bytes]] = []
    log = (tmp_path / "server.log").open("wb")

    def start() -> tuple[str, subprocess.Popen[bytes]]:
        script = Path(__file__).parents[3] / "mlflow_server" / "laptop.sh"
        mlflow = Path(sys.executable).parent / "mlflow"
        environment = os.environ | {"MLFLOW": str(mlflow)}
        command = ["sh", str(script), str(folder), str(free_port)]
        server = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, cwd=tmp_path, start_new_session=True
        )
        started.append(server)
        wait_until_healthy(f"http://127.0.0.1:{free_port}", server)
        return f"http://127.0.0.1:{free_port}", server

    yield start
    for server in started:
        stop(server)
    log.close()
