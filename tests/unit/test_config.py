"""Settings: identity, overlays, and errors that name what was near."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oddsound.config import IDENTITY_FORMAT, TrialConfig, flattened, nested, overlay, validated
from oddsound.errors import ConfigError
from oddsound.yaml_files import parse_yaml


def test_identity_is_of_the_settings_alone() -> None:
    a = TrialConfig(machine="fan")
    assert a.identity == TrialConfig.model_validate({"machine": "fan", "loss": {"rho": 0.07}}).identity
    assert a.identity != TrialConfig.model_validate({"machine": "fan", "loss": {"rho": 0.08}}).identity
    assert a.identity != TrialConfig(machine="pump").identity
    assert len(a.identity) == 16


@given(st.floats(1e-6, 10))
def test_identity_survives_json(rho: float) -> None:
    config = TrialConfig.model_validate({"machine": "fan", "loss": {"rho": rho}})
    assert TrialConfig.model_validate_json(config.model_dump_json()).identity == config.identity


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"machine": "fan", "los": {}}, "here: los: unknown key; did you mean loss?"),
        ({"machine": "fan", "loss": {"roh": 1}}, "here: loss.roh: unknown key; did you mean rho?"),
        ({"machine": "fan", "loss": {"zzz": 1}}, "known are contrastive, rho, reconstruction_weight"),
        ({"machine": "../fan"}, "machine: string should match pattern"),
        ({"machine": "fan", "training": {"epochs": 0}}, "training.epochs: input should be greater than or"),
        ({"machine": "fan", "loss": {"rho": float("nan")}}, "loss.rho"),
        ({"machine": "fan", "augment": {"mixup_alpha": float("inf")}}, "augment.mixup_alpha"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        validated(TrialConfig, settings, "here")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_overlays_merge_key_by_key() -> None:
    base = {"a": {"b": 1, "c": 2}, "d": 3}
    assert overlay(base, {"a": {"c": 5}}, nested({"a.e": 6, "d": 7})) == {
        "a": {"b": 1, "c": 5, "e": 6},
        "d": 7,
    }
    assert base == {"a": {"b": 1, "c": 2}, "d": 3}


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3", 1e-3), ("1E5", 1e5), ("-2e-4", -2e-4), ("1.5e3", 1500.0), ("e3", "e3"), ("1e-3x", "1e-3x")],
)
def test_exponents_are_numbers(text: str, value: object) -> None:
    assert parse_yaml(text, "here") == value


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_in_our_own_words(text: str) -> None:
    try:
        parse_yaml(text, "here")
    except ConfigError as error:
        assert "\n" not in str(error)


def test_an_identity_is_of_what_is_not_a_default() -> None:
    """A setting that a later version adds must leave these as they are. They change with
    IDENTITY_FORMAT alone, which goes up when a default does."""
    assert IDENTITY_FORMAT == 3
    assert TrialConfig(machine="fan").identity == "678a25b791079b09"
    spelt_out = TrialConfig.model_validate(TrialConfig(machine="fan").model_dump())
    assert spelt_out.identity == "678a25b791079b09"
    rho = TrialConfig.model_validate({"machine": "fan", "loss": {"rho": 0.1}})
    assert rho.identity == "598d02620dba5533"


def test_no_default_changed_unnoticed() -> None:
    """Identities leave defaults out: a new setting is added to defaults.json; one whose default changes
    means other trials under old names, so IDENTITY_FORMAT goes up with it."""
    golden = json.loads((Path(__file__).parent / "defaults.json").read_text())
    assert golden["format"] == IDENTITY_FORMAT
    assert flattened(TrialConfig(machine="fan").model_dump()) == golden["defaults"]
