"""What a trial takes, measured on small networks, and counted by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.unit.training.trials import changed, same_bytes, silent

from oddsound.config import TrainingConfig, TrialConfig
from oddsound.training import footprint as module
from oddsound.training.data import MachineData
from oddsound.training.footprint import Footprint, Workload, measure_footprint
from oddsound.training.segments import Segments
from oddsound.training.trial import run_trial

pytestmark = pytest.mark.trained


def test_seconds_of_an_epoch_and_of_a_trial_are_counted() -> None:
    """100 draws in batches of 8 of 2 s; 20 clips of 0.5 s an evaluation, 50 at the end."""
    found = Footprint(2.0, 0.5, 8, Workload(100, 20, 50), 0, 0)
    assert found.batches_per_epoch == 12.5
    assert found.seconds_per_epoch() == 25 + 10
    assert found.seconds_per_epoch(evaluate_every=4) == 25 + 2.5
    assert found.seconds_per_trial(TrainingConfig(epochs=10, evaluate_every=4)) == 250 + 3 * 10 + 25


def test_the_workload_is_the_trials(machine_data: MachineData, small_config: TrialConfig) -> None:
    clips = machine_data.clips
    whole = Segments.of("fan", machine_data.features.shape[2], small_config.model)
    assert Workload.of(small_config, clips, whole) == Workload(
        len(machine_data.train_rows), len(machine_data.labelled_rows), len(clips)
    )
    parts = replace(whole, n=5)
    assert Workload.of(small_config, clips, parts).n_draws == 5 * len(machine_data.train_rows)
    two = changed(small_config, segments_per_clip=2, holdout=0.5)
    assert Workload.of(two, clips, parts).n_draws == 2 * (len(machine_data.train_rows) // 2)


@pytest.mark.parametrize("batch_size", [8, 1000])
def test_a_small_network_is_measured(
    machine_data: MachineData, small_config: TrialConfig, batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    train = module.train_epoch

    def spy(model: object, optimiser: object, config: TrialConfig, *rest: object) -> object:
        sizes.append(config.training.batch_size)
        return train(model, optimiser, config, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "train_epoch", spy)
    found = measure_footprint(changed(small_config, batch_size=batch_size), machine_data)
    n_train = len(machine_data.train_rows)
    assert sizes == [found.batch_size] == [min(batch_size, n_train)]
    assert found.batches_per_epoch == n_train / found.batch_size
    assert 0 < found.seconds_per_batch < 5
    assert 0 < found.seconds_per_clip < 1
    assert 50 << 20 < found.host_bytes < 8 << 30
    assert found.gpu_bytes == 0 or torch.cuda.is_available()


def test_a_sample_stands_for_all_clips(machine_data: MachineData, small_config: TrialConfig) -> None:
    found = measure_footprint(small_config, machine_data, n_batches=1, work=Workload(3000, 600, 4000))
    assert found.batches_per_epoch == 3000 / 8
    assert found.seconds_scoring == 600 * found.seconds_per_clip


def test_memory_that_was_held_for_a_moment_is_counted(
    machine_data: MachineData, small_config: TrialConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """256 MiB in a step are in the peak, and not in the next measurement's."""
    alone = measure_footprint(small_config, machine_data, n_batches=1).host_bytes
    gather = Segments.gather
    monkeypatch.setattr(Segments, "gather", lambda *given: np.ones(32 << 20) is None or gather(*given))
    greedy = measure_footprint(small_config, machine_data, n_batches=1).host_bytes
    monkeypatch.setattr(Segments, "gather", gather)
    assert greedy > alone + (192 << 20)
    assert measure_footprint(small_config, machine_data, n_batches=1).host_bytes < greedy - (192 << 20)


def test_a_trial_afterwards_is_the_same_as_before(
    machine_data: MachineData, small_config: TrialConfig, tmp_path: Path
) -> None:
    before = run_trial(changed(small_config, epochs=1), machine_data, silent, trials=tmp_path / "before")
    measure_footprint(changed(small_config, epochs=1), machine_data)
    after = run_trial(changed(small_config, epochs=1), machine_data, silent, trials=tmp_path / "after")
    assert same_bytes(before, after)


def test_slow_steps_are_fewer(
    machine_data: MachineData, small_config: TrialConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PATIENCE_S", 0.0)
    steps = []
    gather = Segments.gather
    monkeypatch.setattr(Segments, "gather", lambda *given: steps.append(1) or gather(*given))
    measure_footprint(small_config, machine_data, n_batches=50)
    assert len(steps) == 2
