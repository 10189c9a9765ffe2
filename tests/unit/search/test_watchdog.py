"""A trial's log and the watchdog over it, in processes of their own: some of them have to die."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from oddsound.search.watchdog import last_words

HEAD = """
import ctypes, faulthandler, os, resource, sys, time
from contextlib import suppress
from pathlib import Path
from oddsound.search.watchdog import watched
log = Path(sys.argv[1])
"""
HANGS = """
def holds_the_lock():
    ctypes.PyDLL(None).sleep(1000)
with watched(log, 1.0) as alive:
    alive()
    holds_the_lock()
"""
CRASHES = """
def crashes():
    faulthandler._sigsegv()
with watched(log, 100.0):
    print("the last straw", file=sys.stderr)
    crashes()
"""
WORKS = """
print("before", file=sys.stderr)
with suppress(ZeroDivisionError), watched(log, 0.5) as alive:
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        alive()
        time.sleep(0.01)
    print("within", file=sys.stderr)
    os.write(2, b"from C\\n")
    1 / 0
until = time.monotonic() + 1.0
while time.monotonic() < until:
    time.sleep(0.01)
print("after", file=sys.stderr)
"""
FULL = """
sys.stderr = open(2, "w", buffering=1, closefd=False)  # as Ray's workers have it: it keeps what fails
for attempt in range(2):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with watched(log, 100.0):
        resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size, before[1]))
        with suppress(OSError):
            print("no room", file=sys.stderr)
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    print(f"after {attempt}", file=sys.stderr)
"""


def ended(code: str, log: Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-c", HEAD + code, str(log)]
    return subprocess.run(line, capture_output=True, text=True, timeout=60)


def test_a_hang_that_holds_the_interpreters_lock_ends_with_its_stack(tmp_path: Path) -> None:
    log = tmp_path / "trial" / "trial.log"
    assert ended(HANGS, log).returncode == 1
    assert "in holds_the_lock" in log.read_text()
    assert last_words(log, 1.0) == f"hung: no step for 1 s; its stack is in {log}"


def test_a_crash_leaves_its_stack(tmp_path: Path) -> None:
    log = tmp_path / "trial.log"
    crashed = ended(CRASHES, log)
    assert crashed.returncode == -signal.SIGSEGV
    assert "Fatal Python error: Segmentation fault" in log.read_text()
    assert "in crashes" in log.read_text()
    assert "the last straw" in log.read_text()


def test_the_log_is_of_the_block_alone_and_so_is_the_watch(tmp_path: Path) -> None:
    """What shows that it lives isn't ended, nor what comes after the block."""
    log = tmp_path / "trial.log"
    worked = ended(WORKS, log)
    assert (worked.returncode, worked.stderr) == (0, "before\nafter\n")
    first, *rest = log.read_text().splitlines()
    assert " attempt on " in first
    assert rest == ["within", "from C"]


def test_a_full_disk_takes_the_log_and_nothing_else(tmp_path: Path) -> None:
    log = tmp_path / "trial.log"
    worked = ended(FULL, log)
    assert worked.returncode == 0
    assert [line for line in worked.stderr.splitlines() if line != "no room"] == ["after 0", "after 1"]
    assert log.read_text().count(" attempt on ") == 2


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("", ""),
        ("no attempt at all\n", ""),
        ("T attempt on a, process 1\nTimeout (0:00:01)!\nT attempt on a, process 2\n", ""),
        ("T attempt on a, process 1\nold\nT attempt on a, process 2\n\n 1\n2\n3\n 4 \n", "2 | 3 | 4"),
        ("T attempt on a, process 1\nwell\nTimeout (0:00:09)!\n  File x\n", "hung: no step for 9 s"),
    ],
)
def test_the_last_words_are_of_the_last_attempt(said: str, words: str, tmp_path: Path) -> None:
    log = tmp_path / "trial.log"
    log.write_text(said)
    assert last_words(log, 9.0).split("; its stack")[0] == words


def test_no_log_says_nothing(tmp_path: Path) -> None:
    assert last_words(tmp_path / "trial.log", 9.0) == ""
