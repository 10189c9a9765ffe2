"""`oddsound serve ray` and what `oddsound doctor` says of it: a real head, its token, its end."""

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.tracking.waiting import until

from oddsound.cli.checks import services
from oddsound.cli.main import main
from oddsound.search.guard import MARK
from oddsound.search.head import Head, prepare_token

ODDSOUND = Path(sys.executable).parent / "oddsound"

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def home(ray_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without a token, and nothing of Ray's in the environment; os.environ is put back."""
    monkeypatch.setattr(os, "environ", dict(os.environ) | {"HOME": str(ray_folder)})
    for name in [name for name in os.environ if name.startswith(("RAY_AUTH", "RAY_ENABLE_K8S"))]:
        del os.environ[name]
    return ray_folder


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
def head(port: int) -> Iterator[subprocess.Popen[str]]:
    line = [ODDSOUND, "serve", "ray", "--port", str(port), "--cpus", "1"]
    child = subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == f"127.0.0.1:{port}\n"
        yield child
    finally:
        if child.poll() is None:
            child.kill()
        child.communicate()


def of_ray(home: Path) -> list[str]:
    """The processes of the head of `home`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environment = (entry / "environ").read_bytes().split(b"\0")
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        ours = any(each.startswith(f"{MARK}=".encode()) for each in environment)
        if ours and f"HOME={home}".encode() in environment:
            found.append(words)
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_head_asks_for_its_token_and_ends_with_all_that_it_began(
    head: subprocess.Popen[str], port: int, home: Path, number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    token = home / ".ray" / "auth_token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    (found,) = services.ray(f"127.0.0.1:{port}")
    assert (found.state, found.said) == ("ok", "answers, and takes this token")
    assert of_ray(home)
    os.environ["RAY_AUTH_TOKEN"] = "another"
    (found,) = services.ray(f"127.0.0.1:{port}")
    assert (found.state, found.facts["own_token"]) == ("failure", "refused")
    with pytest.raises(SystemExit) as ended:
        main(["search", "data", "--out", str(home / "run"), "--ray-address", f"127.0.0.1:{port}"])
    assert ended.value.code == 2
    line = f"oddsound: Ray at 127.0.0.1:{port}: refuses the token in RAY_AUTH_TOKEN; `ray get-auth-token` on "
    assert capsys.readouterr().err == f"{line}its head prints the right one\n"
    head.send_signal(number)
    assert head.wait(timeout=60) == 0
    assert of_ray(home) == []
    assert head.stderr is not None
    said = head.stderr.read()
    assert f"token       {token}; " in said
    assert f"--ray-address 127.0.0.1:{port}" in said


def test_a_killed_server_leaves_nothing(head: subprocess.Popen[str], home: Path) -> None:
    head.kill()
    head.wait()
    until(lambda: not of_ray(home))


def test_a_taken_port_is_one_line(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", port)), pytest.raises(SystemExit) as ended:
        main(["serve", "ray", "--port", str(port)])
    assert ended.value.code == 2
    assert f"port {port} of 127.0.0.1 is taken" in capsys.readouterr().err


def test_authentication_turned_off_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with pytest.raises(SystemExit) as ended:
        main(["serve", "ray"])
    assert ended.value.code == 2
    assert "turns authentication off; unset it" in capsys.readouterr().err


def test_the_command_says_no_more_than_it_is_told(home: Path) -> None:
    assert not [word for word in Head().command() if word.startswith(("--num-cpus", "--num-gpus"))]
    assert "--num-cpus=0" in Head(cpus=0).command()
    assert "--min-worker-port=20000" in Head(port=10002).command()
    assert "--max-worker-port=29997" in Head(port=19999).command()
    assert "--dashboard-host=127.0.0.1" in Head(dashboard=True).command()
    assert prepare_token()[0] == str(home / ".ray" / "auth_token")
