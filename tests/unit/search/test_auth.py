"""Ray's token authentication: where a token is looked for, whom it may be shown to, what is refused."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from oddsound.errors import ConfigError
from oddsound.search.auth import prepare_authentication, refuse_open_cluster

pytestmark = pytest.mark.long

HEAD = "10.1.2.3:6379"
RAY = Path(sys.executable).parent / "ray"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without a token, and nothing of Ray's in the environment; os.environ is put back."""
    monkeypatch.setattr(os, "environ", dict(os.environ) | {"HOME": str(tmp_path)})
    for name in [name for name in os.environ if name.startswith(("RAY_AUTH", "RAY_ENABLE_K8S"))]:
        del os.environ[name]
    return tmp_path


def token_file(home: Path, mode: int = 0o600, token: str = "a" * 64) -> Path:
    file = home / ".ray" / "auth_token"
    file.parent.mkdir()
    file.write_text(token)
    file.chmod(mode)
    return file


def mode_of(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_a_local_cluster_gets_a_token_that_only_its_user_reads(home: Path) -> None:
    assert prepare_authentication("local", insecure=False) == ""
    file = home / ".ray" / "auth_token"
    assert mode_of(file) == 0o600
    assert len(bytes.fromhex(file.read_text())) == 32
    before = file.read_text()
    prepare_authentication("local", insecure=False)
    assert file.read_text() == before
    assert list(file.parent.iterdir()) == [file]
    assert "RAY_AUTH_MODE" not in os.environ


def test_a_token_that_everyone_reads_is_made_private_with_a_word(home: Path) -> None:
    file = token_file(home, 0o644)
    assert str(file) in prepare_authentication("local", insecure=False)
    assert mode_of(file) == 0o600
    assert prepare_authentication("local", insecure=False) == ""


def test_an_empty_token_is_none(home: Path) -> None:
    file = token_file(home, 0o644, token="\n")
    prepare_authentication("local", insecure=False)
    assert mode_of(file) == 0o600
    assert len(file.read_text()) == 64


@pytest.mark.parametrize("name", ["RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"])
def test_no_second_token_where_the_environment_has_one(home: Path, name: str) -> None:
    own = home / "token"
    own.write_text("mine")
    os.environ[name] = str(own)
    prepare_authentication("local", insecure=False)
    assert not (home / ".ray").exists()


def test_a_home_that_cannot_be_written_is_left_to_ray(home: Path) -> None:
    (home / ".ray").write_text("a file where a folder should be")
    assert prepare_authentication("local", insecure=False) == ""


def test_a_local_cluster_without_authentication_is_its_users_choice(home: Path) -> None:
    os.environ["RAY_AUTH_MODE"] = "disabled"
    assert prepare_authentication("local", insecure=False) == ""
    assert os.environ["RAY_AUTH_MODE"] == "disabled"
    assert not (home / ".ray").exists()


@pytest.mark.parametrize("address", [HEAD, "auto"])
def test_a_remote_cluster_is_sent_the_token(home: Path, address: str) -> None:
    token_file(home)
    assert prepare_authentication(address, insecure=False) == ""
    assert os.environ["RAY_AUTH_MODE"] == "token"


def test_a_token_in_the_environment_needs_no_file() -> None:
    os.environ["RAY_AUTH_TOKEN"] = "from a Kubernetes secret"
    prepare_authentication("auto", insecure=False)
    assert os.environ["RAY_AUTH_MODE"] == "token"


def test_kubernetes_own_tokens_need_none_of_ours() -> None:
    os.environ["RAY_ENABLE_K8S_TOKEN_AUTH"] = "true"
    prepare_authentication("auto", insecure=False)
    assert os.environ["RAY_AUTH_MODE"] == "token"


@pytest.mark.parametrize("token", [None, " \n"])
def test_no_token_is_refused_with_where_it_was_looked_for(home: Path, token: str | None) -> None:
    if token is not None:
        token_file(home, token=token)
    with pytest.raises(ConfigError, match=r"no token in .*\.ray/auth_token.*--insecure"):
        prepare_authentication(HEAD, insecure=False)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_token_that_others_read_is_refused(home: Path, mode: int) -> None:
    file = token_file(home, mode)
    with pytest.raises(ConfigError, match=f"chmod 600 {file}"):
        prepare_authentication(HEAD, insecure=False)
    assert mode_of(file) == mode


def test_the_mode_of_a_read_only_mount_is_not_its_users(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token_file(home, 0o644)
    monkeypatch.setattr(os, "statvfs", lambda file: SimpleNamespace(f_flag=os.ST_RDONLY))
    prepare_authentication("auto", insecure=False)


def test_a_named_file_without_a_token_is_refused_before_ray_aborts(home: Path) -> None:
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(home / "gone")
    for address in (HEAD, "local"):
        with pytest.raises(ConfigError, match="RAY_AUTH_TOKEN_PATH"):
            prepare_authentication(address, insecure=False)


@pytest.mark.parametrize("mode", ["disabled", "off"])
def test_authentication_turned_off_is_refused(home: Path, mode: str) -> None:
    token_file(home)
    os.environ["RAY_AUTH_MODE"] = mode
    with pytest.raises(ConfigError, match=f"RAY_AUTH_MODE={mode}"):
        prepare_authentication(HEAD, insecure=False)


def test_insecure_sends_no_token(home: Path) -> None:
    token_file(home, 0o644)
    assert prepare_authentication(HEAD, insecure=True) == ""
    assert os.environ["RAY_AUTH_MODE"] == "disabled"


def test_insecure_leaves_a_mode_that_was_set(home: Path) -> None:
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a pod's"}
    prepare_authentication("auto", insecure=True)
    assert os.environ["RAY_AUTH_MODE"] == "token"


def test_it_is_ready_before_ray_is_imported() -> None:
    code = "import sys, oddsound.search.auth; print(sorted({'ray', 'torch'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def start_head(folder: Path, mode: str) -> tuple[subprocess.Popen[str], str]:
    """A cluster of one node with the authentication of `mode`, and its address once it is up."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    line = [RAY, "start", "--head", "--block", "--num-cpus", "1", "--include-dashboard", "false"]
    line += ["--node-ip-address", "127.0.0.1", "--port", address.split(":")[1], "--temp-dir", folder]
    environment = os.environ | {"RAY_AUTH_MODE": mode, "RAY_AUTH_TOKEN": "its own", "PYTHONUNBUFFERED": "1"}
    command = [str(part) for part in [*line, "--disable-usage-stats"]]
    head = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert head.stdout is not None
    assert any("Ray runtime started" in said for said in head.stdout)
    return head, address


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["token", "disabled"])
def test_a_cluster_that_takes_any_token_is_refused(ray_folder: Path, mode: str) -> None:
    head, address = start_head(ray_folder, mode)
    try:
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "its own"}
        if mode == "token":
            refuse_open_cluster(address)
        else:
            with pytest.raises(ConfigError, match="takes any token"):
                refuse_open_cluster(address)
    finally:
        head.terminate()
        head.communicate()


def test_what_does_not_answer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oddsound.search.auth._PROBE_SECONDS", 0.5)
    with pytest.raises(ConfigError, match="does not say"):
        refuse_open_cluster("127.0.0.1:1")
