"""Search spaces: the shipped ones, the grammar, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from oddsound.config import flattened
from oddsound.errors import ConfigError
from oddsound.recipes import RECIPES, recipe_settings
from oddsound.search.space import SearchSpace, load_space, read_space, spaces_folder
from oddsound.yaml_files import Placed, parse_yaml

MACHINES = ["fan", "gearbox", "pump", "slider", "valve", "ToyCar", "ToyTrain"]


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "space.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("machine", [*MACHINES, "ToyConveyor"])
def test_every_shipped_space_is_what_the_issue_asks(machine: str) -> None:
    space = load_space(machine)
    rho = space.dimensions["loss.rho"]
    assert isinstance(rho, FloatDistribution)
    assert rho.log
    assert rho.low < 0.07 < rho.high
    for path in ("augment.mixup_alpha", "features.median_frames"):
        choices = space.dimensions[path]
        assert isinstance(choices, CategoricalDistribution)
        assert 0 in choices.choices, f"{path} can be off"
    assert {
        "training.lr_backbone",
        "augment.time_mask_frames",
        "augment.time_shift",
        "model.pretrained",
    } <= space.dimensions.keys()


@pytest.mark.parametrize("machine", MACHINES)
def test_the_papers_own_configuration(machine: str) -> None:
    config = load_space(machine).trial(load_space(machine).paper, seed=0)
    assert config.loss.rho == 0.07
    assert (config.training.epochs, config.training.batch_size, config.training.halve_every) == (300, 32, 30)
    assert (config.model.width, config.model.ae_bottleneck, config.training.target_share) == (1.0, 32, 0.2)
    assert (config.features.median_frames == 0) == (machine == "valve"), "Table 1: Valve is better without"


def test_a_machine_type_with_no_file_has_the_default() -> None:
    assert not (spaces_folder() / "ToyConveyor.yaml").exists()
    assert load_space("ToyConveyor").machine == "ToyConveyor"


def test_params_are_read_back_from_a_trial() -> None:
    space = load_space("fan")
    params = {**space.paper, "loss.rho": 0.1, "features.median_frames": 7}
    assert space.params(space.trial(params, seed=3)) == params


def test_a_trial_of_other_settings_is_not_of_this_space() -> None:
    space = load_space("fan")
    other = load_space("fan", [{"training": {"epochs": 5}}])
    assert space.params(other.trial(other.paper, 0)) is None
    narrow = load_space("fan", [{"loss": {"rho": 0.1}}])
    assert narrow.params(space.trial(space.paper, 0)) is None


def test_an_override_takes_a_setting_out_of_the_search() -> None:
    space = load_space("fan", [{"loss": {"rho": 0.1}}, {"training": {"epochs": 2}}])
    assert "loss.rho" not in space.dimensions
    config = space.trial(space.paper, 0)
    assert (config.loss.rho, config.training.epochs) == (0.1, 2)


def test_integers_floats_and_choices(tmp_path: Path) -> None:
    text = """
space:
  loss.rho: {low: 1e-2, high: 0.2, log: true}
  training.epochs: {low: 2, high: 9}
  model.normalise: {choices: [none, projection]}
paper: {loss.rho: 0.07, training.epochs: 3, model.normalise: none}
"""
    dimensions = read_space("fan", written(tmp_path, text)).dimensions
    assert dimensions == {
        "loss.rho": FloatDistribution(0.01, 0.2, log=True),
        "training.epochs": IntDistribution(2, 9),
        "model.normalise": CategoricalDistribution(["none", "projection"]),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "space: {loss.roh: {low: 1, high: 2}}",
            r"loss\.roh: no such setting; did you mean loss\.rho",
        ),
        ("spaces: {}", "spaces: unknown key; did you mean space"),
        ("space: {loss.rho: {lo: 1, high: 2}}", r"space\.loss\.rho\.lo: unknown key"),
        ("space: {loss.rho: {low: 1}}", "give either choices, or low and high"),
        ("space: {loss.rho: {low: 2.0, high: 1.0}}", r"space\.loss\.rho: .*low"),
        ("space: {loss.rho: {low: 0.01, high: 0.2}}", r"paper: lacks loss\.rho"),
        (
            "space: {loss.rho: {low: 0.01, high: 0.2}}\npaper: {loss.rho: 0.3}",
            "paper: lies outside of the space",
        ),
        ("base: {loss: {rho: -1}}", r"loss\.rho: input should be greater than 0, got -1"),
        ("base: {loss: {rho: 1}, loss: {rho: 2}}", r"space\.yaml:1:24: key 'loss' twice"),
        ("base: [1, 2]", "base: input should be a valid dictionary"),
        ("- 1", "expected a mapping"),
        ("base: &a {loss: {rho: 1}}\nspace: *a", "aliases are not taken"),
        ("a: [", "space.yaml:"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        read_space("fan", written(tmp_path, text))
    assert "\n" not in str(refused.value)
    assert "space.yaml" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("base:\n  training: {epochs: 3}\n  loss:\n    roh: 1\n", ":4:5: loss.roh: unknown key"),
        ("space:\n  loss.roh: {low: 1, high: 2}\n", ":2:3: space.loss.roh: no such setting"),
        ("space:\n  loss.rho: {lo: 1, high: 2}\n", ":2:14: space.loss.rho.lo: unknown key"),
        (
            "space:\n  training.batch_size: {choices: [8, 4.0]}\npaper: {training.batch_size: 8}\n",
            ":2:38: space.training.batch_size: input should be a valid integer, got 4.0",
        ),
        (
            "space:\n  model.ae_hidden: {low: 64.0, high: 128}\npaper: {model.ae_hidden: 64}\n",
            ":2:21: space.model.ae_hidden: input should be a valid integer, got 64.0",
        ),
        (
            "space:\n  loss.contrastive: {choices: [eq4, nt_xnt]}\npaper: {loss.contrastive: eq4}\n",
            ":2:37: space.loss.contrastive: input should be 'eq4' or 'nt_xent', got 'nt_xnt'",
        ),
        ("space:\n  loss.rho: {low: '0.1', high: 1}\n", ":2:14: space.loss.rho.low"),
        ("space:\n  loss.rho: {low: 0.1, high: 1, log: 'yes'}\n", ":2:33: space.loss.rho.log: input should"),
        (
            "space:\n  training.batch_size: {choices: [8, 4]}\npaper:\n  training.batch_size: 8.0\n",
            ":4:3: paper.training.batch_size: input should be a valid integer, got 8.0",
        ),
        (
            "space: {loss.rho: {low: -0.1, high: 1}}\npaper: {loss.rho: 1}\n",
            ":1:20: space.loss.rho: input should be greater than 0, got -0.1",
        ),
        ("sampler: tpe\nspaces: {}\n", ":2:1: spaces: unknown key; did you mean space?"),
        ("base: {training: {seed: 3}}\n", ":1:19: training.seed: is given by --seed"),
        ("base: {}\nrecipes: {profile: mine}\n", ":2:11: recipes.profile: input should be"),
        ("configurations:\n- {loss: {rho: 1}}\n- {loss: {roh: 1}}\n", ":3:11: loss.roh: unknown key"),
    ],
)
def test_what_is_wrong_is_shown_by_line_and_column(text: str, at: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        read_space("fan", written(tmp_path, text))
    assert f"space.yaml{at}" in str(refused.value)


def test_an_override_that_is_wrong_is_shown_where_it_stands(tmp_path: Path) -> None:
    over = parse_yaml("model:\n  depth: 1\nloss:\n  rho: -1\n", "mine.yaml")
    with pytest.raises(ConfigError, match=r"^mine\.yaml:4:3: loss\.rho: input should be greater"):
        load_space("fan", [over, Placed({"training": {"epochs": 2}}, "--set training.epochs")])
    with pytest.raises(ConfigError, match=r"^--set loss\.rho: loss\.rho: input should be greater"):
        load_space("fan", [Placed({"loss": {"rho": 0}}, "--set loss.rho")])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: can't be read"):
        read_space("fan", tmp_path / "nowhere.yaml")


def test_front_ends_are_every_window_once() -> None:
    windows = [config.features.median_frames for config in load_space("fan").front_ends()]
    assert windows == [0, 7, 15, 30]


def test_a_front_end_searched_by_a_range_is_refused(tmp_path: Path) -> None:
    text = "space: {features.median_frames: {low: 0, high: 9}}\npaper: {features.median_frames: 0}"
    with pytest.raises(ConfigError, match=r"features\.median_frames: give choices"):
        read_space("fan", written(tmp_path, text)).front_ends()


def table1(*overrides: dict[str, object]) -> SearchSpace:
    return read_space("fan", spaces_folder() / "table1.yaml", overrides)


def test_table1_is_a_grid_of_the_eight_recipes() -> None:
    space = table1()
    assert [point["recipe"] for point in space.grid()] == list(RECIPES)
    trials = [space.trial(point, 0) for point in space.grid()]
    assert [trial.recipe for trial in trials] == list(RECIPES)
    assert [trial.training.epochs for trial in trials] == [100, 20] + [300] * 6
    assert [space.params(trial) for trial in trials] == space.grid()
    assert len(space.front_ends()) == 3, "the baselines', the paper's, the paper's with the median filter"


def test_a_setting_of_the_users_is_laid_over_every_recipe() -> None:
    trials = [s.trial(p, 0) for s in [table1({"training": {"epochs": 2}})] for p in s.grid()]
    assert {trial.training.epochs for trial in trials} == {2}
    assert {trial.training.batch_size for trial in trials} == {32, 512}


def test_recipes_can_be_read_as_the_authors_do() -> None:
    space = table1({"recipes": {"profile": "authors", "pretrained": "audioset"}})
    trial = space.trial({"recipe": "effnet_pretrain"}, 0)
    assert (trial.loss.contrastive, trial.model.pretrained) == ("nt_xent", "audioset")
    with pytest.raises(
        ConfigError,
        match=r"recipes of fan .*: profile: input should be 'paper' or 'authors'",
    ):
        table1({"recipes": {"profile": "mine"}})


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_that_is_fixed_takes_what_it_sets_out_of_the_search(recipe: str) -> None:
    """A trial that bears a recipe's name is that recipe, whatever the space searches."""
    space = load_space("fan", [{"recipe": recipe}])
    trial = space.trial(space.paper, 0)
    by_recipe = flattened(recipe_settings(recipe))
    assert {
        key: value for key, value in flattened(trial.model_dump()).items() if key in by_recipe
    } == by_recipe
    assert not space.dimensions.keys() & by_recipe.keys()
    assert "loss.rho" in space.dimensions


def test_the_users_word_beats_a_recipes() -> None:
    space = load_space("fan", [{"recipe": "effnet_median"}, {"features": {"median_frames": 7}}])
    assert space.trial(space.paper, 0).recipe == "effnet_median"
    assert space.trial(space.paper, 0).features.median_frames == 7


def test_how_recipes_are_read_is_a_mapping() -> None:
    for wrong in ("authors", None, 1):
        with pytest.raises(ConfigError, match=r"recipes: expected settings such as recipes\.profile=authors"):
            table1({"recipes": wrong})


def test_what_is_made_ready_has_every_variant(tmp_path: Path) -> None:
    text = """
space:
  model.architecture: {choices: [joint, autoencoder]}
  training.labels: {choices: [section, attributes]}
  model.backbone: {choices: [efficientnet_b0, tf_efficientnet_b0]}
paper: {model.architecture: joint, training.labels: section, model.backbone: efficientnet_b0}
"""
    variants = read_space("fan", written(tmp_path, text)).variants()
    assert len({(v.model.architecture, v.training.labels, v.model.backbone) for v in variants}) == 8


def test_a_search_is_another_with_other_weights_recipes_or_rows() -> None:
    space = table1()
    others = [
        replace(space, weights={"imagenet": "a" * 64}),
        table1({"recipes": {"profile": "authors"}}),
        table1({"training": {"epochs": 3}}),
        replace(space, sampler="tpe"),
    ]
    kinds = [json.dumps(s.settings(), sort_keys=True) for s in (space, *others)]
    assert len(set(kinds)) == 5
    assert [row["recipe"] for row in space.settings()["rows"]] == list(RECIPES)


def test_an_unknown_recipe_is_refused() -> None:
    with pytest.raises(ConfigError, match="recipe: input should be '', 'ae_baseline'"):
        table1({"recipe": "resnet"})


def test_weights_enter_the_trials_that_begin_with_them() -> None:
    digest = "a" * 64
    space = replace(table1(), weights={"imagenet": digest})
    hashes = {p["recipe"]: space.trial(p, 0).model.pretrained_sha256 for p in space.grid()}
    assert {recipe for recipe, found in hashes.items() if found} == {r for r in RECIPES if "pretrain" in r}
    assert set(hashes.values()) == {"", digest}
    other = replace(space, weights={"imagenet": "b" * 64})
    point = {"recipe": "effnet_pretrain"}
    assert space.trial(point, 0).identity != other.trial(point, 0).identity
    assert other.params(space.trial(point, 0)) is None


def test_a_grid_has_no_ranges(tmp_path: Path) -> None:
    text = "sampler: grid\nspace: {loss.rho: {low: 0.01, high: 0.2}}\npaper: {loss.rho: 0.07}"
    with pytest.raises(ConfigError, match=r"loss\.rho: give choices; a grid has no ranges"):
        read_space("fan", written(tmp_path, text))
