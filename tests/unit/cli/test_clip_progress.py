"""How far the features have come, where nobody looks and where somebody does."""

import io

import pytest

from oddsound.cli import clip_progress
from oddsound.cli.clip_progress import ClipProgress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(clip_progress.time, "monotonic", lambda: now[0])
    return now


def test_without_a_terminal_a_line_after_two_seconds_and_then_now_and_again(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with ClipProgress("features of fan") as told:
        for second in range(70):
            clock[0] = 100.0 + second
            told(10 * second, 1000)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"features of fan: {10 * second} of 1000 clips" for second in (3, 34, 65)]


def test_what_is_quick_says_nothing(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with ClipProgress("features of fan") as told:
        told(0, 10)
        clock[0] += 1.5
        told(10, 10)
    assert capsys.readouterr().err == ""


def test_a_pipe_that_nobody_reads_ends_no_work(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("sys.stderr", Gone())
    with ClipProgress("features of fan") as told:
        clock[0] += 60
        told(5, 10)
