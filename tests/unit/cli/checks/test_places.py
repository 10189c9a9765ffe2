"""What `oddsound doctor` finds of packages, disks, ports, Ray's token and MLflow."""

import os
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from oddsound.cli.checks import disks, packages, services
from oddsound.cli.checks._base import Finding, ok, survey
from oddsound.errors import ConfigError, DataError, TrackingError


def test_one_that_fails_keeps_no_other_from_looking() -> None:
    def breaks() -> Iterator[Finding]:
        yield ok("half", "done")
        raise RuntimeError("two\nlines")

    def refuses() -> Iterator[Finding]:
        raise TrackingError("no server answers; start it; trials are safe")
        yield

    found = survey([("torch", breaks), ("MLflow", refuses), ("last", lambda: [ok("last", "looked")])])
    assert [(f.about, f.state) for f in found] == [
        ("half", "ok"),
        ("torch", "failure"),
        ("MLflow", "failure"),
        ("last", "ok"),
    ]
    assert found[1].said == "can't be looked at: RuntimeError: two"
    assert (found[2].said, found[2].remedy) == ("no server answers", "start it; trials are safe")
    assert found[2].error is TrackingError


def test_what_is_required_is_there() -> None:
    assert [f.state for f in packages.python()] == ["ok"]
    (found,) = packages.required()
    assert found.state == "ok"
    assert found.facts["versions"]["torch"]


@pytest.mark.parametrize(
    ("requirement", "lack"),
    [
        ("click>=8.2", ""),
        ("ray[tune]>=2", ""),
        ("click>=99", "needed is >=99"),
        ("no-such-package", "is not installed"),
    ],
)
def test_what_a_package_lacks(requirement: str, lack: str) -> None:
    found = packages._lack(Requirement(requirement))
    assert lack in found if lack else not found


def test_other_versions_than_the_tested_are_named(tmp_path: Path) -> None:
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("# exact\nclick==1.0\nPyYAML==2.0 # with a word\nunknown==3\n")
    (found,) = packages.tested(constraints)
    assert found.state == "warning"
    assert [other.split(" for ")[1] for other in found.facts["others"]] == ["1.0", "2.0"]
    assert list(packages.tested(tmp_path / "nothing")) == []


def test_a_folder_that_cannot_be_is_a_failure_of_the_data() -> None:
    (found,) = disks.run_folder(Path("/dev/null/runs/first"))
    assert (found.state, found.error) == ("failure", DataError)
    assert "/dev/null can't be written" in found.said


def test_a_run_to_come_is_looked_at_where_it_will_lie(tmp_path: Path) -> None:
    (found,) = disks.run_folder(tmp_path / "not" / "yet")
    assert found.facts["free_bytes"] > 0
    assert not (tmp_path / "not").exists()


def test_sqlite_is_warned_of_on_a_shared_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disks, "file_system", lambda folder: "nfs4")
    assert [f.state for f in disks.run_folder(tmp_path)][1:] == ["warning"]
    assert [f.state for f in disks.run_folder(tmp_path, tracked_elsewhere=True)][1:] == []


def test_the_file_system_is_that_of_the_longest_mount(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"a / ext4 rw 0 0\nb {tmp_path} nfs4 rw 0 0\nc {tmp_path}x tmpfs rw 0 0\n")
    assert disks.file_system(tmp_path / "runs", mounts) == "nfs4"
    assert disks.file_system(Path("/"), mounts) == "ext4"
    assert disks.file_system(Path("/"), tmp_path / "none") == ""


def test_little_shared_memory_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [f.state for f in disks.shared_memory(tmp_path)] == ["ok"]
    monkeypatch.setattr(disks, "SHM_BYTES", 1 << 60)
    (found,) = disks.shared_memory(tmp_path)
    assert "--shm-size" in found.remedy
    assert [f.state for f in disks.shared_memory(tmp_path / "none")] == ["warning"]


def test_recordings_are_counted_and_their_features_need_room(
    small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (found,) = disks.recordings(small_data, tmp_path)
    assert found.facts["machines"] == ["fan", "valve"]
    monkeypatch.setattr(disks, "_CLIP_BYTES", 1 << 60)
    assert [f.state for f in disks.recordings(small_data, tmp_path)] == ["ok", "warning"]


def test_a_taken_port_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr(services, "PORTS", (("serve mlflow", port),))
        (found,) = services.ports()
        assert (found.about, found.state) == (f"port {port}", "warning")
    (found,) = services.ports()
    assert found.facts == {"port": port, "free": True}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without a token, and nothing of Ray's in the environment; os.environ is put back."""
    monkeypatch.setattr(os, "environ", dict(os.environ) | {"HOME": str(tmp_path)})
    for name in [name for name in os.environ if name.startswith(("RAY_AUTH", "RAY_ENABLE_K8S"))]:
        del os.environ[name]
    return tmp_path


def state_of_token(address: str) -> tuple[str, str]:
    (found,) = services.token(address)
    return found.state, found.remedy


def test_rays_token(home: Path) -> None:
    assert state_of_token("local")[0] == "ok"
    assert state_of_token("head:6379")[0] == "failure"
    assert not (home / ".ray").exists(), "nothing is written"
    file = home / ".ray" / "auth_token"
    file.parent.mkdir()
    file.write_text("a" * 64)
    file.chmod(0o644)
    assert state_of_token("local") == ("warning", f"chmod 600 {file}")
    assert state_of_token("head:6379") == ("failure", f"chmod 600 {file}")
    file.chmod(0o600)
    assert state_of_token("head:6379") == ("ok", "")
    os.environ["RAY_AUTH_MODE"] = "disabled"
    assert state_of_token("local")[0] == "warning"


def test_no_ray_answers(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    with pytest.raises(ConfigError, match="nobody answers there"):
        list(services.ray("127.0.0.1:9"))
    assert [f.state for f in services.ray("auto")] == ["warning"]
    monkeypatch.setattr(services, "_PATIENCE_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        (found,) = services.ray(f"127.0.0.1:{server.getsockname()[1]}")
    assert found.state == "failure"
    assert "no answer in 0.5 s" in found.said


def test_mlflow_is_asked_and_never_made(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    uri = f"sqlite:///{file}"
    assert [f.facts for f in services.mlflow(uri)] == [{"exists": False}]
    assert not file.exists()
    (found,) = services.mlflow(f"sqlite:///{tmp_path}/new/mlflow.db")
    assert (found.state, found.said) == ("ok", f"no file yet, the first search makes {tmp_path}/new and it")
    (found,) = services.mlflow("sqlite:////dev/null/new/mlflow.db")
    assert (found.state, found.said, found.error) == ("failure", "/dev/null can't be written", TrackingError)
    with pytest.raises(TrackingError, match="no MLflow server answers"):
        list(services.mlflow("http://127.0.0.1:9"))
    with pytest.raises(ConfigError, match="not in the address"):
        list(services.mlflow("http://me:secret@127.0.0.1:9"))
    assert [f.state for f in services.mlflow("ftp://x")] == ["failure"]


def test_a_locked_database_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mlflow.db"
    monkeypatch.setattr(services, "_LOCK_S", 0.1)
    with closing(sqlite3.connect(file)) as holder:
        holder.execute("CREATE TABLE t (x)")
        assert [f.state for f in services.mlflow(f"sqlite:///{file}")] == ["ok"]
        holder.execute("BEGIN EXCLUSIVE")
        (found,) = services.mlflow(f"sqlite:///{file}")
    assert (found.state, found.error) == ("failure", TrackingError)
