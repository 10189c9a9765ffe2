"""Stores and servers that are real, and bundles that are small."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.mlflow_server import mlflow_server

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
    """Starts `oddsound serve mlflow` on a free port of 127.0.0.1 and waits until it answers."""
    folder = tmp_path / "served"
    folder.mkdir()
    shutil.copy(empty_database, folder / "mlflow.db")
    with contextlib.ExitStack() as started:

        def start() -> tuple[str, subprocess.Popen[bytes]]:
            server = started.enter_context(mlflow_server(folder, free_port))
            return server.uri, server.process

        yield start
