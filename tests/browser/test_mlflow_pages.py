"""MLflow's pages as a colleague finds them: which model is best, why, from which data, how to use it.

A real server, a real browser; the store is filled by the tracking code from small bundles. Each page's
picture is left in the test's folder; docs/mlflow/ keeps those of a demo.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.browser import mlflow_pages
from tests.browser.mlflow_pages import Visit, browser_page, chromium
from tests.cluster.nodes import free_port
from tests.mlflow_server import mlflow_server
from tests.unit.tracking.small_bundles import small_bundle

from oddsound.tracking.layout import Search
from oddsound.tracking.registry import register_best
from oddsound.tracking.runs import close_search
from oddsound.tracking.store import open_store
from oddsound.tracking.sync import sync
from oddsound.training.bundle import bundles

MACHINES = ("ToyCar", "ToyTrain", "fan", "gearbox", "pump", "slider", "valve")
SEARCH = Search(
    "20260102-abcd1234",
    "dcase2021",
    command="oddsound search data/dcase2021 --out RUN --trials 6",
    facts={machine: {"seed": "0", "data digest": "d" * 64} for machine in MACHINES},
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def visit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visit]:
    if chromium() is None:
        reason = "no chromium on PATH, and CHROMIUM names none"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{reason}: .ci/run installs it")
        pytest.skip(f"{reason}: apt-get install chromium")
    folder = tmp_path_factory.mktemp("pages")
    fill(folder)
    with mlflow_server(folder / "store", free_port()) as server, browser_page() as page:
        yield Visit(page, server.uri, "dcase2021", "fan", folder)


def fill(folder: Path) -> None:
    """Six trials of each machine type, the best five registered."""
    store, draw = open_store(None, folder / "store"), random.Random(1)
    for machine in MACHINES:
        for number in range(6):
            small_bundle(folder / "trials", number, round(draw.uniform(0.5, 0.8), 4), machine)
        found = {machine: list(bundles(folder / "trials", machine))}
        sync(store, SEARCH, found, {machine: {"train/normal": 1000}})
        close_search(store, SEARCH, machine, found[machine], "FINISHED")
        register_best(store, "dcase2021", machine)


def omegas(visit: Visit) -> list[float]:
    """In percent, the best first."""
    return [100 * visit.client.get_run(run).data.metrics["omega"] for run in visit.trials()]


def names(visit: Visit) -> list[str]:
    return [str(visit.client.get_run(run).info.run_name) for run in visit.trials()]


def test_the_list_of_experiments_has_the_best_omega_of_each_machine_type(visit: Visit) -> None:
    page = mlflow_pages.experiments(visit)
    assert all(f"dcase2021/{machine}" in page for machine in MACHINES)
    assert page.count("best omega") == len(MACHINES)
    assert f"fan: best omega {omegas(visit)[0]:.2f} %" in page


def test_a_searchs_page_has_the_best_the_data_and_the_command(visit: Visit) -> None:
    page = mlflow_pages.search_page(visit)
    assert all(f"{omega:.2f}" in page for omega in omegas(visit)[:5])
    assert "d" * 64 in page and SEARCH.command in page
    assert "best_omega" in page


def test_trials_are_nested_below_their_search(visit: Visit) -> None:
    found = mlflow_pages.nested(visit)
    assert found[0] == SEARCH.id and sorted(found[1:]) == sorted(names(visit))


def test_the_searchs_page_leads_to_its_trials_sorted_by_omega(visit: Visit) -> None:
    assert mlflow_pages.by_omega(visit) == names(visit)


def test_two_trials_side_by_side(visit: Visit) -> None:
    page = mlflow_pages.comparison(visit)
    assert all(name in page for name in names(visit)[:2])


def test_a_trials_page_links_to_its_version(visit: Visit) -> None:
    page = mlflow_pages.trial(visit)
    assert "dcase2021.fan" in page and "pauc/section_01/target" in page


def test_the_seven_models_and_their_aliases(visit: Visit) -> None:
    page = mlflow_pages.models(visit)
    assert all(f"dcase2021.{machine}" in page for machine in MACHINES)
    assert page.count("@") >= len(MACHINES)


def test_the_champion_says_why_and_how_to_use_it(visit: Visit) -> None:
    page = mlflow_pages.version(visit)
    best = omegas(visit)
    assert f"Place 1 of fan: omega {best[0]:.2f} %" in page
    assert all(f"{omega:.2f}" in page for omega in best[:5]), "its place in the table"
    assert "champion" in page and "top-1" in page and "AUC target" in page
    assert "oddsound predict --model models:/dcase2021.fan@top-1" in page
