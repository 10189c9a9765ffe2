"""The laptop's MLflow server as a process that can be killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.unit.tracking.server_process import stop, wait_until_healthy

from oddsound.tracking.store import open_store

_SCRIPT = Path(__file__).parents[1] / "mlflow_server" / "laptop.sh"


@dataclass
class Server:
    uri: str
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        """SIGKILL it and all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def mlflow_server(folder: Path, port: int) -> Iterator[Server]:
    """It serves `folder`, once it answers, until the block ends."""
    open_store(None, folder)  # the script serves what is there
    environment = os.environ | {"MLFLOW": str(Path(sys.executable).parent / "mlflow")}
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(
            ["sh", str(_SCRIPT), str(folder), str(port)],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    uri = f"http://127.0.0.1:{port}"
    try:
        wait_until_healthy(uri, process)
        yield Server(uri, process)
    finally:
        stop(process)
