"""Ctrl-C in the middle of a command, to the real process: 130, a line that is true, nothing half-written."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from oddsound.cli.main import _how_to_go_on

pytestmark = pytest.mark.long

ODDSOUND = Path(sys.executable).parent / "oddsound"
GOES_ON = "oddsound: interrupted; the same command goes on from here"
ANEW = "oddsound: interrupted; nothing was kept, the same command begins anew"


def _interruptible() -> None:
    """Also where the tests run in the background, whose processes ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def interrupted(line: list[str], is_on: Callable[[int], bool]) -> list[str]:
    """What `line` says where it is interrupted once `is_on` is true of its process; it ends with 130."""
    with subprocess.Popen(
        [str(ODDSOUND), *line],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_interruptible,
        process_group=0,
    ) as process:
        while not is_on(process.pid):
            assert process.poll() is None
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        stderr = process.communicate(timeout=60)[1]
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    return [said for said in stderr.splitlines() if said]


def has_numpy(pid: int) -> bool:
    """The command itself has begun: `oddsound` alone doesn't need it."""
    return "_multiarray_umath" in Path(f"/proc/{pid}/maps").read_text()


def test_synth_goes_on(tmp_path: Path) -> None:
    line = ["data", "synth", str(tmp_path / "made"), "--seconds", "1", "--train", "30", "--machines", "fan"]
    said = interrupted(line, lambda _: any(tmp_path.glob("made/*/train/*.wav")))
    assert said[-1:] == [GOES_ON]
    assert not any(path.suffix != ".wav" for path in tmp_path.glob("made/*/*/*"))
    whole = {path: path.read_bytes() for path in tmp_path.glob("made/*/train/*.wav")}
    again = subprocess.run([str(ODDSOUND), *line], capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert {path: path.read_bytes() for path in whole} == whole


@pytest.mark.parametrize(
    "line",
    [
        ["data", "check", "{data}"],
        ["features", "{data}", "--cache", "{tmp}/cache"],
        ["data", "synth", "{tmp}/made"],
        ["plan", "{data}"],
    ],
    ids=" ".join,
)
def test_each_says_what_is_true(line: list[str], small_data: Path, tmp_path: Path) -> None:
    given = [word.format(data=small_data, tmp=tmp_path) for word in line]
    expected = ANEW if line[1] == "check" or line[0] == "plan" else GOES_ON
    assert interrupted(given, has_numpy) == [expected]


def test_every_command_goes_on_or_begins_anew() -> None:
    """Options of `oddsound` come before the command; what a command is given is no command."""
    assert _how_to_go_on(["--quiet", "run", "data", "--out", "x"]).endswith("goes on from here")
    assert _how_to_go_on(["data", "prepare", "own", "made"]).endswith("goes on from here")
    for anew in (["evaluate", "run"], ["data", "check", "get"], ["compare", "a", "b"], []):
        assert _how_to_go_on(anew).endswith("begins anew")
