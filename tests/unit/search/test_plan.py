"""What a search would take: the sample, which machine types cost alike, and the arithmetic."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oddsound.config import TrialConfig
from oddsound.recordings.clip import Clip
from oddsound.recordings.index import DataIndex, index_folder
from oddsound.search import plan as module
from oddsound.search.plan import Cost, Job, Plan, plan_search, sample, sample_features
from oddsound.search.resources import Measured, Node, Resources
from oddsound.search.space import load_space
from oddsound.training.footprint import Footprint, Workload

TINY = {
    "model": {"pretrained": "none", "width": 0.1, "depth": 0.3, "ae_hidden": 16},
    "training": {"epochs": 2, "batch_size": 8},
}


@pytest.fixture
def index(small_data: Path) -> DataIndex:
    return index_folder(small_data)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[TrialConfig, Mapping[str, float]]]:
    """What was measured, on a cluster of two CPUs where every batch takes 2 s and nothing else any time."""
    asked = []

    def measure(config: TrialConfig, data: object, request: Mapping[str, float], *, work: Workload) -> Any:
        asked.append((config, request))
        batch = min(config.training.batch_size, work.n_draws)
        return Measured(Footprint(2.0, 0.0, batch, work, 1 << 30, 0), 0)

    monkeypatch.setattr(module, "measure", measure)
    monkeypatch.setattr(module, "node_types", lambda: [Node(2, 0, 1 << 30)])
    return asked


def job(index: DataIndex, machine: str, n_trials: int = 3, **settings: Any) -> Job:
    space = load_space(machine, [TINY, settings])
    return Job.of(space, index.of(machine), n_trials, seed=0)


def cost(machine: str, n_trials: int, seconds: float) -> Cost:
    """Trials of one epoch of one batch."""
    config = TrialConfig.model_validate({"machine": machine, "training": {"epochs": 1}})
    footprint = Footprint(seconds, 0.0, 8, Workload(8, 0, 0), 0, 0)
    return Cost(Job(config, (), n_trials), Measured(footprint, 0), machine)


@pytest.mark.parametrize(("n_workers", "seconds"), [(1, 42), (2, 23), (3, 16), (100, 10)])
def test_the_last_trial_decides_when_a_search_ends(n_workers: int, seconds: float) -> None:
    """fan's three trials of 10 s and valve's four of 3 s in turn: 10 3 10 3 10 3 3."""
    plan = Plan([cost("fan", 3, 10), cost("valve", 4, 3)], 1)
    assert plan.seconds_on(n_workers) == seconds


def test_machine_types_whose_trials_cost_alike_are_measured_once(
    index: DataIndex, asked: list[tuple[TrialConfig, Mapping[str, float]]]
) -> None:
    said: list[str] = []
    alike = {"augment": {"mixup_alpha": 0.0, "time_mask_frames": 4}}
    jobs = [job(index, "fan", **alike), job(index, "valve", 5, **alike)]
    plan = plan_search(jobs, Resources(), said.append)
    assert said == ["measuring a trial of fan"]
    assert [one.measured_on for one in plan.costs] == ["fan", "fan"]
    assert plan.n_workers == 2
    n_train = sum(clip.split == "train" for clip in index.of("valve"))
    valve = plan.costs[1]
    assert valve.seconds_per_epoch == pytest.approx(2 * n_train / 8)
    assert valve.seconds == pytest.approx(5 * 2 * 2 * n_train / 8)
    plan_search([job(index, "fan"), job(index, "valve")], Resources(), said.append)
    assert len(said) == 3, "valve's paper configuration has no mixup"


def test_the_request_is_the_trials_and_max_concurrent_counts(
    index: DataIndex, asked: list[tuple[TrialConfig, Mapping[str, float]]]
) -> None:
    plan = plan_search([job(index, "fan")], Resources(0.5, max_concurrent=3), lambda line: None)
    assert asked[0][1] == {"cpu": 0.5, "gpu": 0.0}
    assert plan.n_workers == 3


def test_trials_that_share_a_gpu_are_counted_as_one_after_another(
    index: DataIndex, asked: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "node_types", lambda: [Node(16, 2, 1 << 30)])
    assert plan_search([job(index, "fan")], Resources(1, 0.25), lambda line: None).n_workers == 2


def test_pretrained_weights_are_not_needed(index: DataIndex) -> None:
    model = job(index, "fan", model={"pretrained": "imagenet", "backbone": "tf_efficientnet_b0"}).config.model
    assert (model.pretrained, model.activation) == ("none", "relu6")


def test_a_grid_has_no_more_trials_than_combinations(index: DataIndex) -> None:
    space = replace(
        load_space("fan", [TINY, {"loss": {"rho": 0.1}}]), dimensions={}, paper={}, sampler="grid"
    )
    assert Job.of(space, index.of("fan"), 20, 0).n_trials == 1


def test_a_sample_has_every_class_and_kind_and_the_longest(tmp_path: Path) -> None:
    clips = [clip(tmp_path, n, split, label) for n in range(500) for split, label in KINDS]
    odd = [
        clip(tmp_path, 500, "train", "normal", section="01", attributes="rare"),
        clip(tmp_path, 500, "test", "normal", section="01"),
    ]
    longest = clips[301]
    longest.path.write_bytes(b"long")
    chosen = sample([*clips, *odd], "section")
    assert {*odd, longest} <= set(chosen)
    assert len(chosen) <= module.N_TRAIN + module.N_TEST + 8
    classes = [clip(tmp_path, n, "train", "normal", attributes=f"vel_{n}") for n in range(501, 601)]
    assert set(classes) <= set(sample([*clips, *classes], "attributes"))
    assert not set(classes) <= set(sample([*clips, *classes], "section"))


KINDS = (("train", "normal"), ("test", "normal"), ("test", "anomaly"), ("test", None))


def clip(
    folder: Path, number: int, split: Any, label: Any, section: str = "00", attributes: str = ""
) -> Clip:
    path = folder / f"{section}_{split}_{label}_{number}.wav"
    path.touch()
    return Clip(path, "fan", section, "source", split, label, attributes)


def test_the_samples_features_are_in_memory(index: DataIndex) -> None:
    data = sample_features(job(index, "fan"))
    assert data.features.base is None, "a copy, for the file is gone"
    assert len(data.features) == len(data.clips)
    tested = {clip for clip in index.of("fan") if clip.split == "test" and clip.label}
    assert tested <= set(data.clips), "so few are their own sample"
