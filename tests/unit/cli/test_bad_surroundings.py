"""A disk that is full, an archive that came wrong: one line, the right exit code, nothing half-written."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.archive_server import archive_server
from tests.archives import year_2021

from oddsound.cli.main import main
from oddsound.recordings.synth import synthesise

pytestmark = pytest.mark.server


def told(capsys: pytest.CaptureFixture[str], *line: object) -> tuple[int, str]:
    """The exit code, and the last line."""
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in line])
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    return int(ended.value.code or 0), err.rstrip("\n").splitlines()[-1]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "recordings"
    counts = {"n_train_source": 20, "n_train_target": 1, "n_test": 1}
    synthesise(folder, seconds=1.0, machines=["fan"], evaluation=False, **counts)
    return folder


@pytest.fixture(params=["120k", "1300k"], ids=["for the database", "for the features"])
def small_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A real file system that a run doesn't fit on."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={request.param}", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root may mount a small disk here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk(recordings: Path, small_disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = small_disk / "run"
    code, line = told(capsys, "search", recordings, "--out", run, "--config", "smoke", "--trials", 1)
    assert code in (3, 4)
    assert line.startswith(f"oddsound: {run}/") and "make room" in line
    assert not (run / "run.json").exists() and not (run / "trials").exists()


def test_a_wrong_checksum(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with archive_server() as server:
        server.records = year_2021("fan")
        server.listed["dev_data_fan.zip"] = {"checksum": "sha256:" + "0" * 64}
        get = ("data", "get", "dcase2021", tmp_path / "data", "--parts", "dev", "--source", server.uri)
        code, line = told(capsys, *get)
    assert code == 3
    assert line.startswith(
        "oddsound: dev_data_fan.zip: not what the listing's sha256 says; nothing was kept: "
    )
    assert not list((tmp_path / "data").rglob("*.[wz]*"))
