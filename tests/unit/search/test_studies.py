"""One study a machine type behind one searcher: order, resume, failures, the same sequence again."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState
from ray.tune.search import Searcher
from tests.unit.search.fake_trials import DIGEST, omega_of, plan, start_bundle, write_bundle

from oddsound.config import TrialConfig
from oddsound.recipes import RECIPES
from oddsound.search.space import read_space, spaces_folder
from oddsound.search.studies import MachinePlan, MachineStudies, feature_name
from oddsound.training.bundle import Stop


def suggested(studies: MachineStudies, trial_id: str) -> tuple[TrialConfig, dict[str, Any]]:
    handed = studies.suggest(trial_id)
    return TrialConfig.model_validate(handed["trial"]), handed


def complete(studies: MachineStudies, trial_id: str, omega: float) -> None:
    studies.on_trial_complete(trial_id, {"omega": omega, "training_iteration": 1})


def run_through(studies: MachineStudies, trials: Path, n: int) -> list[TrialConfig]:
    """The next `n` trials, one at a time, each finished on disk as a worker would."""
    configs = []
    for i in range(n):
        config, handed = suggested(studies, f"t{i}")
        write_bundle(trials, config, handed["number"], omega_of(config))
        complete(studies, f"t{i}", omega_of(config))
        configs.append(config)
    return configs


def states(studies: MachineStudies, machine: str) -> Counter[TrialState]:
    return Counter(trial.state for trial in studies.studies[machine].study.get_trials(deepcopy=False))


def test_the_papers_configuration_comes_first(tmp_path: Path) -> None:
    plans = [plan("fan", 3), plan("valve", 3)]
    studies = MachineStudies(plans, tmp_path)
    first = {config.machine: config for config in (suggested(studies, t)[0] for t in "ab")}
    assert first == {p.machine: p.space.trial(p.space.paper, 0) for p in plans}


def test_machine_types_take_turns_and_each_gets_its_trials(tmp_path: Path) -> None:
    studies = MachineStudies([plan("fan", 3), plan("valve", 3), plan("pump", 1)], tmp_path)
    machines = [suggested(studies, str(i))[0].machine for i in range(7)]
    assert Counter(machines) == {"fan": 3, "valve": 3, "pump": 1}
    assert set(machines[:3]) == {"fan", "valve", "pump"}
    assert studies.suggest("one too many") == Searcher.FINISHED


def test_a_machine_type_with_long_trials_takes_no_more_workers_than_others(tmp_path: Path) -> None:
    """Fans never end, valves end at once: of four workers no more than two are the fans'."""
    studies = MachineStudies([plan("fan", 9), plan("valve", 9)], tmp_path)
    running = {f"t{i}": suggested(studies, f"t{i}")[0].machine for i in range(4)}
    for i in range(4, 9):
        over = next(trial_id for trial_id, machine in running.items() if machine == "valve")
        complete(studies, over, 0.5)
        del running[over]
        running[f"t{i}"] = suggested(studies, f"t{i}")[0].machine
        assert Counter(running.values()) == {"fan": 2, "valve": 2}


def test_a_stopped_trial_counts_and_is_not_run_again(tmp_path: Path) -> None:
    studies = MachineStudies([plan("fan", 3)], tmp_path)
    config, handed = suggested(studies, "a")
    start_bundle(tmp_path, config).write_stop(Stop(handed["number"], epoch=30, rung=30, omega=0.4))
    again = MachineStudies([plan("fan", 3)], tmp_path)
    assert again.n_waiting == 2
    (known,) = [trial for trial in again.studies["fan"].study.trials if trial.state.is_finished()]
    assert (known.value, known.user_attrs["stopped"]) == (0.4, True)
    assert suggested(again, "b")[0] != config


def test_an_earlier_searchs_best_come_after_the_papers_and_once(tmp_path: Path) -> None:
    of = plan("fan", 4)
    best = dict(of.space.paper, **{"loss.rho": 0.1})
    warm = replace(of, first=(best, dict(of.space.paper), best))
    configs = run_through(MachineStudies([warm], tmp_path), tmp_path, 4)
    assert configs[:2] == [of.space.trial(of.space.paper, 0), of.space.trial(best, 0)]
    assert best["loss.rho"] not in {c.loss.rho for c in configs[2:]}
    assert MachineStudies([replace(warm, n_trials=5)], tmp_path).n_waiting == 1


def test_what_was_begun_twice_with_other_seeds_is_finished_twice(tmp_path: Path) -> None:
    of = plan("fan", 3)
    begun = [of.space.trial(of.space.paper, seed) for seed in (0, 1)]
    for config in begun:
        start_bundle(tmp_path, config)
    configs = run_through(MachineStudies([of], tmp_path), tmp_path, 3)
    assert {c.identity for c in begun} <= {c.identity for c in configs}


def test_at_the_end_nothing_is_running(tmp_path: Path) -> None:
    studies = MachineStudies([plan("fan", 3)], tmp_path)
    for trial_id in "ab":
        studies.suggest(trial_id)
    complete(studies, "a", 0.5)
    studies.close()
    assert states(studies, "fan") == {TrialState.COMPLETE: 1, TrialState.FAIL: 1}


def test_a_failed_trial_is_failed_and_never_wins(tmp_path: Path) -> None:
    studies = MachineStudies([plan("fan", 4)], tmp_path)
    for trial_id in "abcd":
        studies.suggest(trial_id)
    studies.on_trial_result("a", {"omega": 0.99, "training_iteration": 1})
    studies.on_trial_complete("a", {"omega": 0.99, "training_iteration": 1}, error=True)
    complete(studies, "b", float("nan"))
    complete(studies, "c", float("inf"))
    complete(studies, "d", 0.5)
    assert states(studies, "fan") == {TrialState.FAIL: 3, TrialState.COMPLETE: 1}
    assert studies.studies["fan"].study.best_value == 0.5


def test_finished_trials_are_fed_and_not_run_again(tmp_path: Path) -> None:
    done = run_through(MachineStudies([plan("fan", 3)], tmp_path), tmp_path, 3)
    again = MachineStudies([plan("fan", 3)], tmp_path)
    assert again.n_waiting == 0
    assert again.suggest("x") == Searcher.FINISHED
    study = again.studies["fan"].study
    assert [trial.value for trial in study.trials] == [omega_of(config) for config in done]


def test_a_finished_search_is_extended(tmp_path: Path) -> None:
    done = run_through(MachineStudies([plan("fan", 3)], tmp_path), tmp_path, 3)
    longer = MachineStudies([plan("fan", 5)], tmp_path)
    config, handed = suggested(longer, "x")
    assert longer.n_waiting == 1
    assert config.identity not in {c.identity for c in done}
    assert handed["number"] == 3


@pytest.mark.parametrize("cut", [1, 5, 13])
def test_the_same_seed_gives_the_same_sequence_resumed_or_not(cut: int, tmp_path: Path) -> None:
    whole = run_through(MachineStudies([plan("fan", 14)], tmp_path / "whole"), tmp_path / "whole", 14)
    first = run_through(MachineStudies([plan("fan", 14)], tmp_path / "cut"), tmp_path / "cut", cut)
    rest = run_through(MachineStudies([plan("fan", 14)], tmp_path / "cut"), tmp_path / "cut", 14 - cut)
    assert [c.identity for c in first + rest] == [c.identity for c in whole]


def test_another_seed_gives_another_sequence(tmp_path: Path) -> None:
    a = run_through(MachineStudies([plan("fan", 3, seed=0)], tmp_path / "a"), tmp_path / "a", 3)
    b = run_through(MachineStudies([plan("fan", 3, seed=1)], tmp_path / "b"), tmp_path / "b", 3)
    assert [c.loss for c in a[1:]] != [c.loss for c in b[1:]]


def test_an_interrupted_configuration_is_asked_for_again(tmp_path: Path) -> None:
    studies = MachineStudies([plan("fan", 4)], tmp_path)
    run_through(studies, tmp_path, 1)
    interrupted, _ = suggested(studies, "cut")
    start_bundle(tmp_path, interrupted)
    again, handed = suggested(MachineStudies([plan("fan", 4)], tmp_path), "again")
    assert again == interrupted
    assert handed["number"] == 1


def test_a_second_trial_alike_gets_another_seed(tmp_path: Path) -> None:
    studies = MachineStudies([plan("fan", 2)], tmp_path)
    study = studies.studies["fan"]
    paper, _ = study.ask("a")
    study.study.enqueue_trial(dict(study.plan.space.paper))
    again, _ = study.ask("b")
    assert again.training.seed == paper.training.seed + 1
    assert again.model_copy(update={"training": paper.training}) == paper


def test_bundles_of_other_settings_are_left_out(tmp_path: Path) -> None:
    other = plan("fan", 1).space.trial(plan("fan", 1).space.paper, 0)
    other = other.model_copy(update={"training": other.training.model_copy(update={"epochs": 7})})
    write_bundle(tmp_path, other, 0, 0.99)
    studies = MachineStudies([plan("fan", 2)], tmp_path)
    assert studies.n_waiting == 2
    assert not studies.studies["fan"].study.trials[0].state.is_finished()


def grid_plan(n_trials: int = 99) -> MachinePlan:
    space = read_space("fan", spaces_folder() / "table1.yaml")
    return MachinePlan(
        space,
        DIGEST,
        {feature_name(c): "cache" for c in space.front_ends()},
        n_trials,
        0,
        {"imagenet": "w.pth"},
    )


def test_a_grid_is_asked_for_once_each_and_then_it_is_finished(tmp_path: Path) -> None:
    studies = MachineStudies([grid_plan()], tmp_path)
    assert studies.n_waiting == 8
    recipes = [config.recipe for config in run_through(studies, tmp_path, 8)]
    assert recipes == list(RECIPES)
    assert studies.suggest("x") == Searcher.FINISHED
    assert MachineStudies([grid_plan()], tmp_path).n_waiting == 0


def test_a_grid_that_was_cut_goes_on_with_what_is_missing(tmp_path: Path) -> None:
    done = run_through(MachineStudies([grid_plan()], tmp_path), tmp_path, 3)
    (tmp_path / "fan" / done[1].identity / "result.json").unlink()
    again = run_through(MachineStudies([grid_plan()], tmp_path), tmp_path, 6)
    assert [config.recipe for config in again] == [RECIPES[1], *RECIPES[3:]]


def test_a_trial_is_handed_the_weights_that_it_begins_with(tmp_path: Path) -> None:
    studies = MachineStudies([grid_plan()], tmp_path)
    for i, recipe in enumerate(RECIPES):
        handed = suggested(studies, str(i))[1]
        assert handed["weights"] == ("w.pth" if "pretrain" in recipe else None)


def test_a_search_without_dimensions_is_the_same_trial_by_other_seeds(tmp_path: Path) -> None:
    """`table1 --set recipe=effnet`, or every searched setting fixed: there is nothing for Optuna."""
    one = read_space("fan", spaces_folder() / "table1.yaml", [{"recipe": "effnet"}])
    assert not one.dimensions
    grid = MachineStudies([replace(grid_plan(), space=one)], tmp_path / "grid")
    assert [config.recipe for config in run_through(grid, tmp_path / "grid", 1)] == ["effnet"]
    assert grid.suggest("x") == Searcher.FINISHED
    tpe = MachineStudies([replace(grid_plan(3), space=replace(one, sampler="tpe"))], tmp_path / "tpe")
    configs = run_through(tpe, tmp_path / "tpe", 3)
    assert [config.training.seed for config in configs] == [0, 1, 2]
    assert (
        MachineStudies([replace(grid_plan(3), space=replace(one, sampler="tpe"))], tmp_path / "tpe").n_waiting
        == 0
    )
