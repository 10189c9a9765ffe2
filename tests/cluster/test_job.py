"""`ray job submit` to a real cluster with a token: from a checkout, and from a wheel on the nodes.

The nodes' Python has oddsound as a user's would, from the wheel; the editable one isn't visible there.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from oddsound.training.bundle import finished

BIN = Path(sys.executable).parent
ROOT = Path(__file__).resolve().parents[2]
SUBMIT = ROOT / "jobs" / "submit.py"
TINY = ["--config", "smoke", "--set", "training.epochs=1", "--machines", "fan", "--trials", "1"]


@dataclass(frozen=True)
class Cluster:
    url: str
    token: str
    installed: Path
    """The package as the nodes have it."""

    def call(self, *line: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command that knows the cluster's address and token, as on a user's own machine."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        environment |= {"RAY_API_SERVER_ADDRESS": self.url, "RAY_AUTH_TOKEN": self.token}
        command = [str(part) for part in line]
        if command[0].endswith("/ray"):
            environment["RAY_AUTH_MODE"] = "token"
        return subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, timeout=200)


def free_ports(n: int) -> list[str]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(n)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [str(each.getsockname()[1]) for each in sockets]


def install_wheel(folder: Path) -> Path:
    """A Python with the wheel, and this environment's other packages. Returns its site-packages."""
    build = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    built = subprocess.check_output([sys.executable, "-c", build, folder], cwd=ROOT, text=True).split()[-1]
    venv.create(folder / "node", symlinks=True)
    pip = [sys.executable, "-m", "pip", "--python", folder / "node" / "bin" / "python", "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", "--no-index", folder / built], check=True)
    [site] = (folder / "node" / "lib").glob("python*/site-packages")
    [ours] = [path for path in sys.path if path.endswith("site-packages")]
    (site / "others.pth").write_text(f"{ours}\n")  # .pth files in there, the editable one's too, aren't read
    return site


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of one node, started as a user would; it ends with the tests of this file."""
    folder = tmp_path_factory.mktemp("node")
    site = install_wheel(folder)
    token = secrets.token_hex(32)
    gcs, dashboard, agent, client = free_ports(4)
    with TemporaryDirectory(prefix="or", dir="/tmp") as session:
        line = [folder / "node" / "bin" / "python", "-m", "ray.scripts.scripts", "start", "--head", "--block"]
        line += ["--num-cpus", "1", "--node-ip-address", "127.0.0.1", "--port", gcs, "--temp-dir", session]
        line += ["--dashboard-host", "127.0.0.1", "--dashboard-port", dashboard, "--disable-usage-stats"]
        line += ["--dashboard-agent-listen-port", agent, "--ray-client-server-port", client]
        path = f"{folder / 'node' / 'bin'}:{os.environ['PATH']}"
        environment = os.environ | {"PATH": path, "PYTHONUNBUFFERED": "1", "VIRTUAL_ENV": ""}
        environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}
        command = [str(part) for part in line]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd="/") as head:
            assert head.stdout is not None
            assert any("Ray runtime started" in said for said in head.stdout)
            yield Cluster(f"http://127.0.0.1:{dashboard}", token, site / "oddsound")
            head.terminate()
            head.communicate()


@pytest.mark.slow
def test_the_job_server_wants_the_token(cluster: Cluster) -> None:
    with pytest.raises(urllib.error.HTTPError, match="401") as refused:
        urllib.request.urlopen(f"{cluster.url}/api/jobs/", timeout=30)
    refused.value.close()


@pytest.mark.slow
def test_a_job_of_the_nodes_own_wheel(cluster: Cluster, small_data: Path, tmp_path: Path) -> None:
    line = [BIN / "ray", "job", "submit", "--", "oddsound", "search", small_data, "--out", tmp_path / "out"]
    ended = cluster.call(*line, *TINY, "--ray-address", "auto")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert len(finished(tmp_path / "out" / "trials", "fan")) == 1


@pytest.mark.slow
def test_a_checkouts_job_is_of_its_own_code(cluster: Cluster, small_data: Path, tmp_path: Path) -> None:
    """Driver and workers do with a node whose own oddsound can't even be imported."""
    aside = cluster.installed.with_name("aside")
    cluster.installed.rename(aside)
    cluster.installed.mkdir()
    (cluster.installed / "__init__.py").write_text("raise ImportError('the node has one of its own')\n")
    try:
        line = [sys.executable, SUBMIT, "--each-machine", "search", small_data, "--out", tmp_path / "out"]
        submitted = cluster.call(*line, *TINY)
        assert submitted.returncode == 0, submitted.stderr
        job_id, run = submitted.stdout.split()
        assert run == str(tmp_path / "out" / "fan")
        said = cluster.call(BIN / "ray", "job", "logs", "--follow", job_id)
        assert len(finished(Path(run) / "trials", "fan")) == 1, said.stdout + said.stderr
    finally:
        shutil.rmtree(cluster.installed)
        aside.rename(cluster.installed)


@pytest.mark.slow
def test_submit_ends_as_its_job_did(cluster: Cluster, tmp_path: Path) -> None:
    ended = cluster.call(sys.executable, SUBMIT, "ensemble", tmp_path)
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert f"{tmp_path}: no run.json here" in ended.stdout
