"""What a local cluster leaves behind ends with its driver, however that ends, and nothing else does."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

DRIVER = """
import subprocess, sys
from oddsound.search.guard import guarded
SLEEPER = ["sleep", "600"]
CHILD = '''
import subprocess
child = subprocess.Popen(["sleep", "600"], start_new_session=True)
print(child.pid, flush=True)
child.wait()
'''
others = subprocess.Popen(SLEEPER)
with guarded():
    child = subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE, text=True)
    print(others.pid, child.pid, child.stdout.readline().strip(), flush=True)
    sys.stdin.read()
child.wait()
child.stdout.close()
print("over", flush=True)
others.kill()
others.wait()
"""

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="marks are read from /proc")


@contextmanager
def driver() -> Iterator[tuple[subprocess.Popen[str], int, list[int]]]:
    """A driver, a child of it from before its block, and a child and its child from within."""
    line = [sys.executable, "-c", DRIVER]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        before, *within = map(int, process.stdout.readline().split())
        try:
            yield process, before, within
        finally:
            process.kill()
            for pid in (before, *within):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def runs(pid: int) -> bool:
    """Whether there is such a process, which isn't dead and waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def all_gone(pids: list[int]) -> bool:
    until = time.monotonic() + 30
    while any(map(runs, pids)) and time.monotonic() < until:
        time.sleep(0.02)
    return not any(map(runs, pids))


def test_what_is_marked_dies_with_a_killed_driver_and_nothing_else() -> None:
    with driver() as (killed, before, within), driver() as (_, others_before, others_within):
        assert all(map(runs, [before, *within, others_before, *others_within]))
        killed.kill()
        killed.wait()
        assert all_gone(within)
        assert runs(before)
        assert all(map(runs, [others_before, *others_within])), "another driver's"


def test_what_is_left_ends_with_the_block() -> None:
    with driver() as (process, before, within):
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        assert process.stdout.readline() == "over\n"
        assert all_gone(within)
        assert process.wait(30) == 0
        assert all_gone([before])
