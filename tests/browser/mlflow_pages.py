"""MLflow's own pages of a store that oddsound filled, each opened in a browser and taken a picture of.

    python -m tests.browser.mlflow_pages URI DATASET MACHINE FOLDER

takes those of a server that runs; the test takes them of one that it starts.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

from mlflow import MlflowClient
from playwright.sync_api import Page, sync_playwright

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# What a visitor clicks away on the first visit, and that the models are of sounds, not of language.
_BEEN_HERE = """
if (location.protocol !== "about:") for (const [key, value] of [
    ["mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "true"],
    ["mlflow.assistant.panelOpen_v1", "false"],
    ["mlflow.workflowType_v1", '"machine_learning"'],
]) localStorage.setItem(key, value);
"""


@contextmanager
def browser_page() -> Iterator[Page]:
    """A page of headless Chromium that has been to MLflow before; it fails at the first script error."""
    errors: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        context = browser.new_context(viewport={"width": 1500, "height": 950}, timezone_id="UTC")
        context.add_init_script(_BEEN_HERE)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        try:
            yield page
        finally:
            browser.close()
    assert not errors, errors


def chromium() -> str | None:
    """The path of Debian's Chromium, or None."""
    return shutil.which("chromium") or os.environ.get("CHROMIUM")


@dataclass(frozen=True)
class Visit:
    """One server's pages of one machine type."""

    page: Page
    uri: str
    dataset: str
    machine: str
    folder: Path

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(self.uri, self.uri)

    @property
    def experiment(self) -> str:
        return str(self.client.get_experiment_by_name(f"{self.dataset}/{self.machine}").experiment_id)

    @property
    def model(self) -> str:
        return f"{self.dataset}.{self.machine}"

    def trials(self) -> list[str]:
        """Their run ids, the best first."""
        found = self.client.search_runs(
            [self.experiment], "tags.`oddsound.kind` = 'trial'", order_by=["metrics.omega DESC"]
        )
        return [run.info.run_id for run in found]

    def search(self) -> str:
        """The run id of the newest search."""
        (newest, *_) = self.client.search_runs([self.experiment], "tags.`oddsound.kind` = 'search'")
        return str(newest.info.run_id)

    def open(self, place: str, awaited: str) -> None:
        """Go there, from nothing, and wait until the page says `awaited`."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.uri}/#/{place}")
        self.page.get_by_text(awaited).first.wait_for()

    def picture(self, name: str) -> None:
        self.page.screenshot(path=self.folder / f"{name}.png")


def experiments(visit: Visit) -> str:
    """What the page of all experiments says."""
    visit.open("experiments", f"{visit.dataset}/{visit.machine}")
    visit.page.get_by_text("best omega").first.wait_for()
    visit.picture("experiments")
    return visit.page.inner_text("body")


def search_page(visit: Visit) -> str:
    """What the search's own page says once its description is opened."""
    visit.open(f"experiments/{visit.experiment}/runs/{visit.search()}", "Its best")
    more = visit.page.get_by_text("Show more")
    if more.count():
        more.first.click()
    visit.page.get_by_text("How to do it again").wait_for()
    visit.picture("search")
    return visit.page.inner_text("body")


def nested(visit: Visit) -> list[str]:
    """The names of the runs, the search's own first, once it is unfolded."""
    visit.open(f"experiments/{visit.experiment}/runs", visit.client.get_run(visit.search()).info.run_name)
    fold = visit.page.locator("[col-id='attributes.`Run Name`'] button")
    fold.first.wait_for()
    fold.first.click()
    visit.page.get_by_text(f"{visit.machine}-000").first.wait_for()
    visit.picture("nested")
    return run_names(visit.page)


def by_omega(visit: Visit) -> list[str]:
    """The names of the search's trials in the order of the page that its note links to."""
    search_page(visit)
    link = visit.page.get_by_role("link", name="All its trials, the best first")
    visit.open(str(link.evaluate("a => a.href")).partition("#/")[2], "Sort: omega")  # it opens a new tab
    best = visit.client.get_run(visit.trials()[0]).info.run_name
    visit.page.get_by_role("link", name=best).first.wait_for()
    _show_column(visit.page, "omega")
    visit.picture("trials")
    return run_names(visit.page)


def _show_column(page: Page, metric: str) -> None:
    page.get_by_role("button", name="Columns").click()
    page.get_by_placeholder("Search columns").fill(metric)
    tree = page.locator("[data-testid=column-selector-tree]")
    node = tree.locator("[class*=tree-node-content-wrapper]")
    node.filter(has_text=re.compile(f"^{metric}$")).click()
    page.locator(f"[role=columnheader][col-id*='metrics.`{metric}`']").wait_for()
    page.mouse.click(700, 30)
    tree.wait_for(state="hidden")


def run_names(page: Page) -> list[str]:
    """Of the table of runs, in the order in which they stand."""
    cells = page.locator("[role=row] a[href*='/runs/']").all()
    placed = [(cell.bounding_box() or {"y": 0.0}, cell.inner_text()) for cell in cells]
    return [name for _, name in sorted(placed, key=lambda each: each[0]["y"])]


def comparison(visit: Visit) -> str:
    """What the view of the two best trials side by side says."""
    runs = visit.trials()[:2]
    query = urlencode(
        {"runs": json.dumps(runs), "experiments": json.dumps([visit.experiment])}, quote_via=quote
    )
    visit.open(f"compare-runs?{query}", "Comparing 2 Runs")
    visit.page.get_by_text("Parallel Coordinates Plot").wait_for()
    visit.page.get_by_text("loss.rho").first.wait_for()
    visit.picture("comparison")
    return visit.page.inner_text("body")


def models(visit: Visit) -> str:
    """What the page of all registered models says."""
    visit.open("models", visit.model)
    news = visit.page.get_by_role("button", name="Try it now")
    news.wait_for()
    news.click()
    visit.page.locator("[role=dialog]").wait_for(state="hidden")
    visit.picture("models")
    return visit.page.inner_text("body")


def version(visit: Visit) -> str:
    """What the champion's page says."""
    champion = visit.client.get_model_version_by_alias(visit.model, "champion")
    visit.open(f"models/{visit.model}/versions/{champion.version}", "How to use it")
    visit.picture("version")
    return visit.page.inner_text("body")


def trial(visit: Visit) -> str:
    """What the best trial's page says."""
    visit.open(f"experiments/{visit.experiment}/runs/{visit.trials()[0]}", "auc/section_00/source")
    visit.picture("trial")
    return visit.page.inner_text("body")


PAGES: tuple[Callable[[Visit], object], ...] = (
    experiments,
    search_page,
    nested,
    by_omega,
    trial,
    comparison,
    models,
    version,
)


def main(uri: str, dataset: str, machine: str, folder: str) -> None:
    with browser_page() as page:
        visit = Visit(page, uri, dataset, machine, Path(folder))
        for each in PAGES:
            each(visit)


if __name__ == "__main__":
    main(*sys.argv[1:])
