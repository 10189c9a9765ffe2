"""The documentation's site: it builds without a warning, and has every command, setting and page."""

from __future__ import annotations

import html
import subprocess
import sys
from pathlib import Path

import pytest

from oddsound.config import TrialConfig, flattened
from oddsound.tracking.metrics import METRICS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    line = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]
    built = subprocess.run(
        [*line, "docs", str(folder)], cwd=ROOT, capture_output=True, text=True, timeout=280
    )
    assert built.returncode == 0, built.stderr
    return folder


def text(page: Path) -> str:
    return html.unescape(page.read_text())


def test_every_page_is_on_it(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    assert {page for page in pages if page.parts[0] != "_site"} <= {
        path.relative_to(site) for path in site.rglob("*.html")
    }


def test_the_notebook_is_on_it_with_its_outputs(site: Path) -> None:
    page = text(site / "notebook" / "run_in_pandas.html")
    assert ">the paper, Ω [%]<" in page
    assert page.count("<img alt=") >= 2


def test_every_setting_is_described(site: Path) -> None:
    page = text(site / "reference" / "settings.html")
    for setting in flattened(TrialConfig(machine="fan").model_dump()):
        assert f">{setting}<" in page, setting


def test_every_metric_is_described(site: Path) -> None:
    page = text(site / "reference" / "metrics.html")
    for group in METRICS.values():
        for metric in group:
            assert metric.name in page, metric


def test_every_command_is_described(site: Path) -> None:
    page = text(site / "reference" / "commands.html")
    shown = subprocess.run(
        [sys.executable, "-c", "from reference import walked; from oddsound.cli.main import oddsound;"
         "print(*(path for path, _ in walked(oddsound)), sep='\\n')"],
        cwd=ROOT / "docs", capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert len(shown.splitlines()) > 20
    for path in shown.splitlines():
        assert f"Usage: {path} " in page, path


def test_nothing_is_asked_of_the_network(site: Path) -> None:
    for page in site.rglob("*.html"):
        for tag in (
            '<script src="http',
            '<link rel="stylesheet" type="text/css" href="http',
            '<img src="http',
        ):
            assert tag not in page.read_text(), page
