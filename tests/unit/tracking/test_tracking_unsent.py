"""What MLflow lacks, read from its database without mlflow, and asked of a server through its client."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.tracking.small_bundles import small_bundle, stopped_bundle

from oddsound.errors import TrackingError
from oddsound.tracking.layout import COMPLETE, TRIAL, Search
from oddsound.tracking.store import Store, open_store
from oddsound.tracking.sync import sync
from oddsound.tracking.unsent import unsent
from oddsound.training.bundle import Bundle, bundles

SEARCH = Search("s1", "data")


@pytest.fixture
def trials(tmp_path: Path) -> list[Bundle]:
    """Two finished, one stopped."""
    made = [small_bundle(tmp_path / "trials", number, 0.6) for number in range(2)]
    return [*made, stopped_bundle(tmp_path / "trials", 2, [0.5], 1)]


def lacking(store: Store, trials: list[Bundle], search: Search = SEARCH) -> set[str]:
    return unsent(store.uri, Path("nowhere"), search, {"fan": trials})["fan"]


def names(*trials: Bundle) -> set[str]:
    return {bundle.path.name for bundle in trials}


def sent(store: Store, trial: Bundle) -> str:
    """The id of its run."""
    experiment = store.find_experiment("data/fan")
    assert experiment is not None
    (run,) = store.client.search_runs([experiment], f"tags.`{TRIAL}` = '{trial.path.name}'")
    return str(run.info.run_id)


def test_a_store_that_has_some_of_them(store: Store, trials: list[Bundle]) -> None:
    assert lacking(store, trials) == names(*trials)
    sync(store, SEARCH, {"fan": trials[:1]})
    assert lacking(store, trials) == names(*trials[1:])
    sync(store, SEARCH, {"fan": trials})
    assert lacking(store, trials) == set()
    assert lacking(store, trials, Search("s2", "data")) == names(*trials), "those of another search"
    assert lacking(store, trials, Search("s1", "other")) == names(*trials), "of another dataset"


def test_what_mlflow_has_half_or_deleted_it_lacks(store: Store, trials: list[Bundle]) -> None:
    sync(store, SEARCH, {"fan": trials})
    store.client.delete_run(sent(store, trials[0]))
    assert lacking(store, trials) == names(trials[0])
    store.client.delete_tag(sent(store, trials[1]), COMPLETE)
    assert lacking(store, trials) == names(*trials[:2])


def test_an_experiment_that_was_deleted_is_said(store: Store, trials: list[Bundle]) -> None:
    sync(store, SEARCH, {"fan": trials})
    experiment = store.find_experiment("data/fan")
    assert experiment is not None
    store.client.delete_experiment(experiment)
    with pytest.raises(TrackingError, match=r"data/fan was deleted in MLflow; restore it"):
        lacking(store, trials)


def test_a_file_that_is_no_database(tmp_path: Path, trials: list[Bundle]) -> None:
    database = tmp_path / "mlflow.db"
    database.write_text("shopping list, much longer than a header of a database would be" * 9)
    with pytest.raises(TrackingError, match=r"mlflow\.db: can't be read as MLflow's database \(file is not"):
        unsent(None, tmp_path, SEARCH, {"fan": trials})
    assert "shopping" in database.read_text()


def test_a_server_says_what_its_database_says(
    serve: Callable[[], tuple[str, subprocess.Popen[bytes]]], tmp_path: Path, trials: list[Bundle]
) -> None:
    address, _ = serve()
    assert unsent(address, tmp_path, SEARCH, {"fan": trials, "valve": []}) == {
        "fan": names(*trials),
        "valve": set(),
    }
    sync(open_store(address, tmp_path), SEARCH, {"fan": trials[:2]})
    assert unsent(address, tmp_path, SEARCH, {"fan": trials}) == {"fan": names(trials[2])}
    assert unsent(None, tmp_path / "served", SEARCH, {"fan": trials}) == {"fan": names(trials[2])}


def test_a_file_is_read_without_mlflow(store: Store, trials: list[Bundle]) -> None:
    sync(store, SEARCH, {"fan": trials[:1]})
    folder = trials[0].path.parents[1]
    assert {bundle.path for bundle in bundles(folder, "fan")} == {bundle.path for bundle in trials}
    program = (
        "import sys; from pathlib import Path; from oddsound.tracking.layout import Search; "
        "from oddsound.tracking.unsent import unsent; from oddsound.training.bundle import bundles; "
        f"found = {{'fan': bundles(Path({str(folder)!r}), 'fan')}}; "
        f"print(len(unsent({store.uri!r}, Path(), Search('s1', 'data'), found)['fan'])); "
        "print(*sorted({'mlflow', 'torch', 'ray', 'optuna', 'pandas'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["2", ""]
