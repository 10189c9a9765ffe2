"""`oddsound serve optuna` as a visitor sees it: every page drawn by what the server itself has."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect
from tests.browser.mlflow_pages import browser_page, chromium
from tests.unit.search.fake_trials import plan, write_bundle

from oddsound.search.journal import write_journal

pytestmark = pytest.mark.slow


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Fan's search of six trials; the best has an omega of 55 %."""
    fan = plan("fan", 6)
    for number in range(6):
        point = dict(fan.space.paper) | {"loss.rho": 0.1 + number / 50}
        write_bundle(tmp_path / "trials", fan.space.trial(point, 0), number, 0.5 + number / 100)
    write_journal([fan], tmp_path / "trials", tmp_path / "studies.journal", print)
    return tmp_path


@pytest.fixture
def address(run: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    code = "from oddsound.cli.main import main; main()"
    line = [sys.executable, "-c", code, "serve", "optuna", str(run), "--port", str(port)]
    child = subprocess.Popen(line, stderr=subprocess.PIPE, text=True)
    try:
        assert child.stderr is not None
        assert f":{port}" in child.stderr.readline()
        yield f"http://127.0.0.1:{port}"
    finally:
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=30)


def test_its_pages_draw_a_search(address: str) -> None:
    if chromium() is None:
        reason = "no chromium on PATH, and CHROMIUM names none"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{reason}: .ci/run installs it")
        pytest.skip(f"{reason}: apt-get install chromium")
    wrong: list[str] = []
    asked: set[str] = set()
    with browser_page() as page:
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        page.on("response", lambda answer: wrong.append(answer.url) if answer.status >= 400 else None)
        page.on("request", lambda request: asked.add(request.url))
        page.goto(f"{address}/dashboard")
        page.get_by_text("fan").first.click()
        expect(page.get_by_text("Hyperparameter Importance").first).to_be_visible()
        expect(page.locator(".js-plotly-plot .trace.scatter").first).to_be_visible()
        expect(page.get_by_text("omega").first).to_be_visible()
        expect(page.get_by_text("0.55").first).to_be_visible()
        page.goto(f"{page.url}/trials")
        expect(page.get_by_text("loss.rho").first).to_be_visible()
    assert wrong == []
    assert {url for url in asked if not url.startswith((address, "data:", "blob:"))} == set()
