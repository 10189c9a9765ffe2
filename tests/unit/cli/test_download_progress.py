"""How far a download has come, where nobody looks and where somebody does."""

import io

import pytest
from rich.console import Console

from oddsound.cli import download_progress
from oddsound.cli.download_progress import DownloadProgress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(download_progress.time, "monotonic", lambda: now[0])
    return now


def test_without_a_terminal_a_line_after_two_seconds_and_then_now_and_again(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with DownloadProgress() as told:
        for second in range(70):
            clock[0] = 100.0 + second
            told("fan.zip", second * 10**6, 10**9)
        told("checking fan.zip", 1, 10)  # quick
        told.say("fan.zip: 3 files")
    lines = capsys.readouterr().err.splitlines()
    assert lines == [*(f"fan.zip: {second} of 1000 MB" for second in (3, 34, 65)), "fan.zip: 3 files"]


def test_on_a_terminal_a_bar_with_events_above_it() -> None:
    screen = io.StringIO()
    with DownloadProgress(Console(file=screen, force_terminal=True, width=100)) as told:
        told("fan[/].zip", 5 * 10**8, 10**9)
        told.say("fan[/].zip: no answer in time; again in 1 s")
        told("fan[/].zip", 10**9, 10**9)
    shown = screen.getvalue()
    assert "0.5/1.0 GB" in shown
    assert "fan[/].zip: no answer in time; again in 1 s\n" in shown


def test_a_pipe_that_nobody_reads_ends_no_work(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("sys.stderr", Gone())
    with DownloadProgress() as told:
        told("fan.zip", 5, 10)
        clock[0] += 60
        told("fan.zip", 6, 10)
        told.say("an event")
