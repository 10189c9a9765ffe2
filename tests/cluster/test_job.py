"""The Ray job against a cluster that is running already, with Ray's token authentication."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from oddsound.training.bundle import finished

BIN = Path(sys.executable).parent
JOB = Path(__file__).resolve().parents[2] / "jobs" / "run.py"


@pytest.fixture
def cluster(ray_folder: Path) -> Iterator[str]:
    """The address of a cluster of one node, started as a user would; it ends with the test."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = [BIN / "ray", "start", "--head", "--block", "--num-cpus", "1", "--include-dashboard", "false"]
    line += ["--node-ip-address", "127.0.0.1", "--port", port, "--temp-dir", ray_folder]
    command = [str(part) for part in [*line, "--disable-usage-stats"]]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as head:
        assert head.stdout is not None
        assert any("Ray runtime started" in said for said in head.stdout)
        yield f"127.0.0.1:{port}"
        head.terminate()
        head.communicate()


@pytest.mark.slow
def test_a_job_runs_on_a_cluster_with_a_token_and_leaves_it_running(
    cluster: str, small_data: Path, tmp_path: Path
) -> None:
    line = [sys.executable, JOB, small_data, "--out", tmp_path / "out", "--machines", "fan", "--trials", "1"]
    line += ["--config", "smoke", "--set", "training.epochs=1"]
    environment = os.environ | {"RAY_ADDRESS": cluster}
    ended = subprocess.run(
        [str(part) for part in line], env=environment, capture_output=True, text=True, timeout=200
    )
    assert ended.returncode == 0, ended.stderr
    assert len(finished(tmp_path / "out" / "trials", "fan")) == 1
    status = [str(BIN / "ray"), "status", "--address", cluster]
    alive = subprocess.run(
        status, env=environment | {"RAY_AUTH_MODE": "token"}, capture_output=True, timeout=60
    )
    assert alive.returncode == 0, alive.stderr
