"""The five best in the registry: in order, once, and moved when a longer search finds better ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from tests.unit.tracking.small_bundles import DIGEST, small_bundle

from oddsound.errors import BundleError, TrackingError
from oddsound.tracking.layout import Search
from oddsound.tracking.ranking import best_trials
from oddsound.tracking.reading import fetch_model, load_tracked
from oddsound.tracking.registry import register_best
from oddsound.tracking.store import Store
from oddsound.tracking.sync import sync
from oddsound.training.bundle import bundles

pytestmark = pytest.mark.long

OMEGAS = [0.61, 0.75, 0.58, 0.75, 0.70, 0.66, 0.64]


def send(store: Store, trials: Path, search: str = "s1") -> None:
    sync(store, Search(search, "demo"), {"fan": bundles(trials, "fan")})


@pytest.fixture
def seven(store: Store, tmp_path: Path) -> Path:
    """Seven trials in MLflow, two of which share the first place."""
    for number, omega in enumerate(OMEGAS):
        small_bundle(tmp_path / "trials", number, omega)
    send(store, tmp_path / "trials")
    return tmp_path / "trials"


def versions(store: Store) -> dict[str, ModelVersion]:
    """Every registered version by its trial's hash."""
    found = store.client.search_model_versions("name='demo.fan'")
    assert len({v.tags["oddsound.trial"] for v in found}) == len(found)
    return {v.tags["oddsound.trial"]: v for v in found}


def aliases(store: Store) -> dict[str, int]:
    return {k: int(v) for k, v in store.client.get_registered_model("demo.fan").aliases.items()}


def expected_aliases(order: list[int]) -> dict[str, int]:
    """Of versions, best first."""
    places = {f"top-{place}": version for place, version in enumerate(order, start=1)}
    return {"champion": order[0], "challenger": order[1]} | places


@pytest.mark.usefixtures("seven")
def test_the_best_come_first_and_equal_ones_by_their_hash(store: Store) -> None:
    best = best_trials(store, "demo", "fan")
    assert [trial.omega for trial in best] == [0.75, 0.75, 0.70, 0.66, 0.64]
    assert best[0].trial < best[1].trial
    assert {best[0].number, best[1].number} == {1, 3}
    assert len(best_trials(store, "demo", "fan", k=50)) == 7
    assert best_trials(store, "demo", "pump") == []


def test_a_trial_that_two_searches_recorded_counts_once(store: Store, seven: Path) -> None:
    once = [t.trial for t in best_trials(store, "demo", "fan")]
    send(store, seven, "s2")
    assert [t.trial for t in best_trials(store, "demo", "fan")] == once
    assert {t.search for t in best_trials(store, "demo", "fan", search="s2")} == {"s2"}
    assert best_trials(store, "demo", "fan", search="s3") == []
    assert best_trials(store, "demo", "fan", data_digest="another") == []
    both = best_trials(store, "demo", "fan", search=["s2", "s1"])
    assert [t.trial for t in both] == once
    assert best_trials(store, "demo", "fan", search=[]) == []


@pytest.mark.usefixtures("seven")
def test_five_versions_of_seven_trials(store: Store) -> None:
    places = register_best(store, "demo", "fan")
    best = best_trials(store, "demo", "fan")
    assert [(p.rank, p.trial.trial) for p in places] == [(n + 1, t.trial) for n, t in enumerate(best)]
    stored = versions(store)
    assert stored.keys() == {trial.trial for trial in best}
    assert aliases(store) == expected_aliases([p.version for p in places])
    first = stored[best[0].trial]
    assert first.run_id == best[0].run_id and first.source == f"{best[0].artifact_uri}/model"
    assert first.tags == {
        "oddsound.dataset": "demo",
        "oddsound.machine": "fan",
        "oddsound.trial": best[0].trial,
        "oddsound.number": str(best[0].number),
        "oddsound.omega": "0.75",
        "oddsound.rank": "1",
        "oddsound.recipe": best[0].params["recipe"],
        "oddsound.seed": str(best[0].number),
        "oddsound.search": "s1",
        "oddsound.code": "0.1.0+abcdef",
        "oddsound.n_parameters": "1234",
        "oddsound.weights_sha256": best[0].weights_sha256,
        "oddsound.model_sha256": best[0].model_sha256,
        "oddsound.data_digest": best[0].data_digest,
    }
    model = store.client.get_registered_model("demo.fan")
    assert model.tags["oddsound.top"] == ",".join(str(place.version) for place in places)
    assert "models:/demo.fan@champion" in model.description


@pytest.mark.usefixtures("seven")
def test_a_version_describes_itself(store: Store) -> None:
    register_best(store, "demo", "fan")
    about = store.client.get_model_version_by_alias("demo.fan", "champion").description
    assert about.startswith("**Place 1 of `fan`: omega 75.00 %**")
    assert "| section | AUC source | AUC target | pAUC source | pAUC target |" in about
    assert "| section_01 | 77.00 | 78.00 | 81.00 | 82.00 |" in about
    assert "| `loss.rho` | 0.1 |" in about and "lr_backbone" not in about


@pytest.mark.usefixtures("seven")
def test_registering_again_changes_nothing(store: Store) -> None:
    first, before = register_best(store, "demo", "fan"), versions(store)
    writing = ["create_model_version", "update_model_version", "set_model_version_tag"]
    writing += ["set_registered_model_alias", "delete_registered_model_alias", "create_registered_model"]
    with patch.multiple(MlflowClient, **dict.fromkeys(writing)):
        assert register_best(store, "demo", "fan") == first
    assert versions(store) == before


def test_a_better_trial_displaces_one_which_stays_as_history(store: Store, seven: Path) -> None:
    before = register_best(store, "demo", "fan")
    small_bundle(seven, 7, 0.9)
    send(store, seven)
    after = register_best(store, "demo", "fan")
    assert [p.trial.omega for p in after] == [0.9, 0.75, 0.75, 0.70, 0.66]
    assert after[0].version == 6 and [p.version for p in after[1:]] == [p.version for p in before[:4]]
    assert aliases(store) == expected_aliases([p.version for p in after])
    stored = versions(store)
    assert {t: v.tags.get("oddsound.rank") for t, v in stored.items()} == (
        {p.trial.trial: str(p.rank) for p in after} | {before[4].trial.trial: None}
    )
    gone = stored[before[4].trial.trial].description
    assert gone.startswith("**`fan`: omega 64.00 %.** No longer among the best") and "| section_01 |" in gone
    assert "models:/demo.fan/1 " in gone and "@top" not in gone and "| place |" not in gone
    assert gone.count("#### ") == 3
    assert stored[after[1].trial.trial].description.startswith("**Place 2 of `fan`")


@pytest.mark.usefixtures("seven")
def test_a_later_worse_search_takes_nobodys_place(store: Store, tmp_path: Path) -> None:
    before = [place.trial.trial for place in register_best(store, "demo", "fan", data_digest=DIGEST)]
    for number in range(20, 25):
        small_bundle(tmp_path / "later", number, 0.1)
    send(store, tmp_path / "later", "later")
    after = register_best(store, "demo", "fan", data_digest=DIGEST)
    assert [place.trial.trial for place in after] == before
    assert len(store.client.search_model_versions("name='demo.fan'")) == 5


@pytest.mark.usefixtures("seven")
def test_a_worse_search_on_other_recordings_leaves_the_champion(store: Store, tmp_path: Path) -> None:
    before = register_best(store, "demo", "fan", data_digest=DIGEST)
    other = [small_bundle(tmp_path / "other", number, 0.1 + number / 1000) for number in (30, 31)]
    for bundle in other:
        bundle.write_result(replace(bundle.result(), data_digest="e" * 64))
    send(store, tmp_path / "other", "other")
    after = register_best(store, "demo", "fan", data_digest="e" * 64)
    assert [place.trial.omega for place in after] == [0.131, 0.13]
    assert aliases(store) == expected_aliases([p.version for p in after]) | {"champion": before[0].version}
    champion = store.client.get_model_version_by_alias("demo.fan", "champion").description
    assert champion.startswith("**`fan`: omega 75.00 %.** Still `champion`")
    assert "models:/demo.fan@champion" in champion and "| place |" not in champion
    about = store.client.get_registered_model("demo.fan").description
    assert f"[version {before[0].version}](" in about and "omega 75.00 %" in about and "13.10" in about
    better = small_bundle(tmp_path / "other", 32, 0.8)
    better.write_result(replace(better.result(), data_digest="e" * 64))
    send(store, tmp_path / "other", "other")
    register_best(store, "demo", "fan", data_digest="e" * 64)
    assert aliases(store)["champion"] == 8


def versions_of(store: Store) -> dict[int, ModelVersion]:
    return {int(v.version): v for v in store.client.search_model_versions("name='demo.fan'")}


@pytest.mark.usefixtures("seven")
def test_the_same_trials_of_another_search_change_no_version(store: Store, tmp_path: Path) -> None:
    """Trained again with the same seed they have the same identities and other bytes."""
    register_best(store, "demo", "fan")
    before = versions_of(store)
    for number, omega in enumerate(OMEGAS):
        bundle = small_bundle(tmp_path / "again", number, omega)
        bundle.write_result(replace(bundle.result(), finished="2026-02-02T03:04:05+00:00"))
    send(store, tmp_path / "again", "again")
    register_best(store, "demo", "fan")
    assert {n: (v.tags, v.description, v.run_id) for n, v in versions_of(store).items()} == {
        n: (v.tags, v.description, v.run_id) for n, v in before.items()
    }
    for version in versions_of(store).values():
        tags = store.client.get_run(version.run_id).data.tags
        assert version.tags["oddsound.model_sha256"] == tags["oddsound.model_sha256"]


def test_a_version_whose_run_was_deleted_gives_way(store: Store, seven: Path) -> None:
    first = register_best(store, "demo", "fan")[0]
    store.client.delete_run(first.trial.run_id)
    store.forget()
    send(store, seven)
    again = register_best(store, "demo", "fan")[0]
    assert again.trial.trial == first.trial.trial and again.version == 6
    champion = store.client.get_model_version_by_alias("demo.fan", "champion")
    assert (int(champion.version), champion.run_id) == (6, again.trial.run_id)


def test_a_champion_moved_by_hand_stays(store: Store, seven: Path) -> None:
    places = register_best(store, "demo", "fan")
    store.client.set_registered_model_alias("demo.fan", "champion", str(places[2].version))
    small_bundle(seven, 7, 0.9)
    send(store, seven)
    register_best(store, "demo", "fan")
    assert aliases(store)["champion"] == places[2].version and aliases(store)["top-1"] == 6
    store.client.delete_registered_model_alias("demo.fan", "champion")
    register_best(store, "demo", "fan")
    assert aliases(store)["champion"] == 6, "without one it is the best again"


def test_a_promotion_cut_short_is_nobodys_choice(store: Store, seven: Path) -> None:
    register_best(store, "demo", "fan")
    small_bundle(seven, 7, 0.9)
    send(store, seven)
    for call in ("set_registered_model_alias", "update_registered_model"):
        with (
            patch.object(store.client, call, side_effect=KeyboardInterrupt),
            pytest.raises(KeyboardInterrupt),
        ):
            register_best(store, "demo", "fan")
    register_best(store, "demo", "fan")
    small_bundle(seven, 8, 0.95)
    send(store, seven)
    register_best(store, "demo", "fan")
    assert aliases(store)["champion"] == 7


def test_a_reader_never_sees_half_a_promotion(store: Store, seven: Path) -> None:
    """Between any two calls of it the tag has a whole order, and the champion is whole and described."""
    register_best(store, "demo", "fan")
    small_bundle(seven, 7, 0.9)
    send(store, seven)
    seen = []

    def look(call: Callable[..., Any]) -> Callable[..., Any]:
        def looking(*args: Any, **kwargs: Any) -> Any:
            seen.append(state(store))
            done = call(*args, **kwargs)
            seen.append(state(store))
            return done

        return looking

    writing = ["create_model_version", "update_model_version", "set_model_version_tag"]
    writing += ["set_registered_model_alias", "set_registered_model_tag", "delete_model_version_tag"]
    with patch.multiple(store.client, **{name: look(getattr(store.client, name)) for name in writing}):
        register_best(store, "demo", "fan")
    orders = list(dict.fromkeys(order for order, _ in seen))
    champions = list(dict.fromkeys(champion for _, champion in seen))
    assert len(orders) == 2 and orders[1].startswith("6,"), "the old order, then the new one"
    assert [omega for omega, _ in champions] == ["0.75", "0.9"]
    assert all(about.startswith("**Place 1 of `fan`") for _, about in champions)


def state(store: Store) -> tuple[str, tuple[str, str]]:
    """What a reader finds: the order, and the champion's omega and description."""
    model = store.client.get_registered_model("demo.fan")
    champion = store.client.get_model_version_by_alias("demo.fan", "champion")
    assert Path(champion.source).is_dir()
    return model.tags["oddsound.top"], (champion.tags["oddsound.omega"], champion.description.split("\n")[0])


@pytest.mark.usefixtures("seven")
def test_an_interrupted_registration_is_completed(store: Store) -> None:
    with (
        patch.object(MlflowClient, "set_registered_model_alias", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        register_best(store, "demo", "fan")
    places = register_best(store, "demo", "fan")
    assert len(versions(store)) == 5
    assert aliases(store)["champion"] == places[0].version


@pytest.mark.usefixtures("seven")
def test_fewer_places_leave_no_stale_alias(store: Store) -> None:
    register_best(store, "demo", "fan")
    register_best(store, "demo", "fan", k=2)
    assert aliases(store).keys() == {"champion", "challenger", "top-1", "top-2"}
    register_best(store, "demo", "fan", k=1)
    assert aliases(store).keys() == {"champion", "top-1"}


def test_nothing_to_register_is_a_named_error(store: Store) -> None:
    with pytest.raises(TrackingError, match="no complete trial of demo/fan"):
        register_best(store, "demo", "fan")


def test_what_is_loaded_is_what_the_trial_wrote(store: Store, seven: Path) -> None:
    local = {b.path.name: b for b in bundles(seven, "fan")}
    for tracked in best_trials(store, "demo", "fan", k=2):
        config, result, scores = load_tracked(store, tracked)
        bundle = local[tracked.trial]
        assert (config, result) == (bundle.config(), bundle.result())
        np.testing.assert_array_equal(scores.score, bundle.scores().score)


def test_the_model_is_fetched_and_checked(store: Store, seven: Path, tmp_path: Path) -> None:
    (tracked,) = best_trials(store, "demo", "fan", k=1)
    fetched = fetch_model(store, tracked, tmp_path / "model")
    local = next(b for b in bundles(seven, "fan") if b.path.name == tracked.trial)
    assert fetched.weights.read_bytes() == local.weights.read_bytes()
    assert fetched.config() == local.config()
    assert sorted(p.name for p in fetched.path.iterdir()) == ["config.json", "weights.safetensors"]

    Path(tracked.artifact_uri, "model", "weights.safetensors").write_bytes(b"replaced")
    with pytest.raises(BundleError, match="SHA-256"):
        fetch_model(store, tracked, tmp_path / "model")


@pytest.mark.usefixtures("seven")
def test_artifacts_of_another_trial_are_refused(store: Store) -> None:
    first, second = best_trials(store, "demo", "fan", k=2)
    other = Path(second.artifact_uri, "result.json").read_text()
    Path(first.artifact_uri, "result.json").write_text(other)
    with pytest.raises(BundleError, match="its artifacts are of fan/"):
        load_tracked(store, first)
    Path(first.artifact_uri, "result.json").unlink()
    with pytest.raises(TrackingError, match=r"fetching result\.json"):
        load_tracked(store, first)
