"""A space that lists its trials: each is asked for once, with its own seed, and resumed as any other."""

from copy import deepcopy
from pathlib import Path

import pytest
import yaml
from tests.unit.search.fake_trials import DIGEST, omega_of, start_bundle, write_bundle

from oddsound.config import TrialConfig
from oddsound.errors import ConfigError
from oddsound.search.space import ListedSpace, read_space
from oddsound.search.studies import MachinePlan, MachineStudies, feature_name

LISTED = [
    {"loss": {"rho": 0.05}, "training": {"seed": 3}},
    {"features": {"median_frames": 31}, "augment": {"mixup_alpha": 1e-05}},
    {"features": {"median_frames": 31}, "augment": {"mixup_alpha": 1e-05}, "training": {"seed": 1}},
]
CONFIGS = [TrialConfig.model_validate({"machine": "fan", **each}) for each in LISTED]


def space(tmp_path: Path, overrides: tuple[dict[str, object], ...] = ()) -> ListedSpace:
    path = tmp_path / "fan.yaml"
    path.write_text(yaml.safe_dump({"configurations": [*LISTED, deepcopy(LISTED[0])]}))
    read = read_space("fan", path, overrides)
    assert isinstance(read, ListedSpace)
    return read


def studies(tmp_path: Path, listed: ListedSpace, seed: int = 0) -> MachineStudies:
    caches = {feature_name(config): "cache" for config in listed.variants()}
    return MachineStudies([MachinePlan(listed, DIGEST, caches, 1000, seed)], tmp_path / "trials")


def test_each_is_a_trial_once_with_its_own_seed(tmp_path: Path) -> None:
    listed = space(tmp_path)
    asked = studies(tmp_path, listed)
    assert asked.n_waiting == 3
    configs = [TrialConfig.model_validate(asked.suggest(name)["trial"]) for name in "abc"]
    assert {config.identity for config in configs} == {config.identity for config in CONFIGS}
    assert asked.suggest("d") == "FINISHED"
    assert [config.features.median_frames for config in listed.front_ends()] == [
        CONFIGS[0].features.median_frames,
        31,
    ]


def test_what_is_finished_isnt_asked_for_again(tmp_path: Path) -> None:
    write_bundle(tmp_path / "trials", CONFIGS[1], 0, omega_of(CONFIGS[1]))
    start_bundle(tmp_path / "trials", CONFIGS[0])
    asked = studies(tmp_path, space(tmp_path))
    assert asked.n_waiting == 2
    configs = [TrialConfig.model_validate(asked.suggest(name)["trial"]) for name in "ab"]
    assert {config.identity for config in configs} == {CONFIGS[0].identity, CONFIGS[2].identity}


def test_another_seed_makes_other_trials_alike(tmp_path: Path) -> None:
    listed = space(tmp_path)
    asked = studies(tmp_path, listed, seed=10)
    configs = [TrialConfig.model_validate(asked.suggest(name)["trial"]) for name in "abc"]
    assert sorted(config.training.seed for config in configs) == [10, 11, 13]
    assert all(listed.params(config) is not None for config in configs)
    assert listed.params(TrialConfig(machine="fan")) is None


def test_a_setting_is_laid_over_each(tmp_path: Path) -> None:
    listed = space(tmp_path, ({"training": {"epochs": 7}},))
    assert {config.training.epochs for config in listed.variants()} == {7}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("configurations: [{loss: {rho: -1}}]", r"fan\.yaml:1:26: loss\.rho: input should be"),
        ("configurations: [{los: {}}]", "los: unknown key; did you mean loss"),
        ("configurations: [{}]\nsampler: grid", "sampler: has no meaning beside configurations"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "fan.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_space("fan", tmp_path / "fan.yaml")
    (tmp_path / "fan.yaml").write_text("configurations: [{}]")
    with pytest.raises(ConfigError, match=r"lists whole configurations; training\.seed can't be set"):
        read_space("fan", tmp_path / "fan.yaml", [{"training": {"seed": 1}}])
