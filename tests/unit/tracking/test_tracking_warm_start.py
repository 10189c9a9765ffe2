"""What an earlier search found, read back from a real store as configurations."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.tracking.small_bundles import small_bundle

from oddsound.config import TrialConfig
from oddsound.errors import ConfigError
from oddsound.tracking.entries import trial_params
from oddsound.tracking.layout import Search
from oddsound.tracking.ranking import TrackedTrial
from oddsound.tracking.store import Store
from oddsound.tracking.sync import sync
from oddsound.tracking.warm_start import best_of_search, config_of, find_search
from oddsound.training.bundle import Bundle, bundles

pytestmark = pytest.mark.long


def send(store: Store, trials: Path, search: str, dataset: str, *machines: str) -> None:
    sync(store, Search(search, dataset), {m: bundles(trials, m) for m in machines})


@pytest.fixture
def two_searches(store: Store, tmp_path: Path) -> dict[str, Bundle]:
    """Two searches on two data sets, and one on both; the bundles by name."""
    a, b = tmp_path / "a", tmp_path / "b"
    made = {
        "a low": small_bundle(a, 0, 0.5, rho=0.05),
        "a high": small_bundle(a, 1, 0.9, rho=0.2),
        "a middle": small_bundle(a, 2, 0.7),
        "a pump": small_bundle(a, 0, 0.99, "pump"),
        "b only": small_bundle(b, 3, 0.8),
    }
    send(store, a, "20260101-aaaa", "first", "fan", "pump")
    send(store, b, "20260202-bbbb", "second", "fan")
    send(store, a, "both", "first", "fan")
    send(store, b, "both", "second", "fan")
    send(store, a, "both", "second", "fan")
    return made


def test_the_best_come_first_whatever_the_recordings(store: Store, two_searches: dict[str, Bundle]) -> None:
    def expected(*names: str) -> list[TrialConfig]:
        return [two_searches[name].config() for name in names]

    assert best_of_search(store, "20260101-aaaa", "fan") == expected("a high", "a middle", "a low")
    assert best_of_search(store, "20260101-aaaa", "fan", k=1) == expected("a high")
    assert best_of_search(store, "20260101-aaaa", "pump") == expected("a pump")
    assert best_of_search(store, "20260202-bbbb", "fan") == expected("b only")
    assert best_of_search(store, "both", "fan", k=3) == expected("a high", "b only", "a middle")
    assert len(best_of_search(store, "both", "fan")) == 4


@pytest.mark.usefixtures("two_searches")
def test_a_machine_type_that_it_has_not_is_no_mistake(store: Store) -> None:
    assert best_of_search(store, "20260202-bbbb", "pump") == []
    assert best_of_search(store, "20260101-aaaa", "valve") == []
    assert find_search(store, "20260101-aaaa") == {"fan": ["first"], "pump": ["first"]}
    assert find_search(store, "both") == {"fan": ["first", "second"]}


@pytest.mark.usefixtures("two_searches")
@pytest.mark.parametrize(
    ("search", "hint"),
    [
        ("20260101-aaab", "did you mean 20260101-aaaa"),
        ("it's", "its latest are both, "),
        ("", "its latest are both, "),
    ],
)
def test_a_search_that_is_not_there_names_those_that_are(store: Store, search: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=f"no search .* in MLflow at sqlite.*; {hint}"):
        best_of_search(store, search, "fan")


def test_an_empty_store_says_where_to_look(store: Store) -> None:
    with pytest.raises(ConfigError, match="it has none; give the --tracking-uri"):
        find_search(store, "20260101-aaaa")


def tracked(params: dict[str, str], machine: str = "fan") -> TrackedTrial:
    return TrackedTrial("r", "t", 0.5, "demo", machine, 0, "s", 1, "d", "w", "m", "uri", "e", "c", {}, params)


configs = st.builds(
    lambda top_db, center, rate, channels, rho, pretrained, sha, seed: TrialConfig.model_validate(
        {
            "machine": "fan",
            "recipe": "effnet",
            "features": {"top_db": top_db, "center": center},
            "model": {"input_channels": channels, "pretrained": pretrained, "pretrained_sha256": sha},
            "training": {"lr_backbone": rate, "seed": seed},
            "loss": {"rho": rho},
        }
    ),
    st.none() | st.floats(1e-6, 1e6),
    st.booleans(),
    st.floats(1e-12, 1),
    st.sampled_from([1, 3]),
    st.floats(1e-9, 1e9) | st.integers(1, 9),
    st.sampled_from(["none", "None", "7", "1e-3", "True", "models:/x/1", "a folder/w.pth"]),
    st.sampled_from(["", "0" * 64]),
    st.integers(0, 2**31 - 1),
)


@given(configs)
def test_parameters_are_the_configuration_exactly(config: TrialConfig) -> None:
    back = config_of(tracked({param.key: param.value for param in trial_params(config)}))
    assert (back, back.identity) == (config, config.identity)


def test_settings_of_other_versions() -> None:
    assert config_of(tracked({"machine": "fan", "loss.rho": "0.5"})).loss.rho == 0.5
    with pytest.raises(ConfigError, match=r"MLflow run r of fan: loss\.roh: unknown key; did you mean rho"):
        config_of(tracked({"machine": "fan", "loss.roh": "0.5"}))
    with pytest.raises(ConfigError, match=r"training\.epochs: .* got 'many'"):
        config_of(tracked({"machine": "fan", "training.epochs": "many"}))
