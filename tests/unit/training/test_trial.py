"""One trial: its bundle, resuming bit for bit, repeating, and each way it can fail."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from tests.unit.training.trials import changed, same_bytes, silent, stop_after

from oddsound.config import TrialConfig
from oddsound.errors import DataError, TrialError
from oddsound.scoring.anomaly import score_from_probabilities
from oddsound.scoring.omega import cells, omega
from oddsound.training.bundle import Bundle
from oddsound.training.data import MachineData
from oddsound.training.trial import run_trial

pytestmark = pytest.mark.trained


def test_a_whole_bundle(machine_data: MachineData, small_config: TrialConfig, tmp_path: Path) -> None:
    reports: list[dict[str, float]] = []
    bundle = run_trial(small_config, machine_data, reports.append, trials=tmp_path, number=4)
    assert bundle.is_whole
    assert sorted(path.name for path in bundle.path.iterdir()) == [
        "config.json", "data.json", "history.json", "result.json", "scores.npz", "weights.safetensors",
    ]  # fmt: skip
    assert bundle.config() == small_config
    result, table = bundle.result(), bundle.scores()
    assert (result.trial, result.number, result.data_digest) == (
        small_config.identity,
        4,
        machine_data.digest,
    )
    assert len(table) == len(machine_data.clips)
    assert table.classes == ("00", "01", "02", "03", "04", "05")
    assert result.omega == omega(cells(table))
    assert [entry["epoch"] for entry in bundle.history()] == [1, 2, 3]
    assert [r["epoch"] for r in reports] == [1, 2, 3]
    assert all(np.isfinite(r["omega"]) for r in reports)
    assert reports[-1]["omega"] == result.omega


def test_scores_are_eq3_of_the_probabilities(
    machine_data: MachineData, small_config: TrialConfig, tmp_path: Path
) -> None:
    table = run_trial(small_config, machine_data, silent, trials=tmp_path).scores()
    target = np.array([table.classes.index(section) for section in table.section])
    expected = score_from_probabilities(table.probabilities, target)
    np.testing.assert_allclose(table.score, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("stopped", [1, 2])
def test_resumed_training_gives_the_same_bytes(
    stopped: int, machine_data: MachineData, small_config: TrialConfig, tmp_path: Path
) -> None:
    whole = run_trial(small_config, machine_data, silent, trials=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run_trial(small_config, machine_data, stop_after(stopped), trials=tmp_path / "cut")
    cut = Bundle(tmp_path / "cut" / "fan" / small_config.identity)
    assert not cut.is_whole
    assert cut.checkpoint.is_file()
    resumed = run_trial(small_config, machine_data, silent, trials=tmp_path / "cut")
    assert same_bytes(whole, resumed)
    assert [e["loss/total"] for e in whole.history()] == [e["loss/total"] for e in resumed.history()]


def test_resume_does_not_repeat_finished_epochs(
    machine_data: MachineData, small_config: TrialConfig, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_trial(small_config, machine_data, stop_after(2), trials=tmp_path)
    reports: list[dict[str, float]] = []
    run_trial(small_config, machine_data, reports.append, trials=tmp_path)
    assert [r["epoch"] for r in reports] == [3]


def test_the_same_trial_twice_gives_the_same_scores(
    machine_data: MachineData, small_config: TrialConfig, tmp_path: Path
) -> None:
    a, b = (run_trial(small_config, machine_data, silent, trials=tmp_path / name) for name in "ab")
    assert same_bytes(a, b)


def test_another_seed_gives_another_model(
    machine_data: MachineData, small_config: TrialConfig, tmp_path: Path
) -> None:
    other = changed(small_config, seed=1, epochs=1)
    a = run_trial(changed(small_config, epochs=1), machine_data, silent, trials=tmp_path)
    b = run_trial(other, machine_data, silent, trials=tmp_path)
    assert a.path != b.path
    assert a.weights.read_bytes() != b.weights.read_bytes()


def test_a_whole_bundle_is_reported_and_left_alone(
    machine_data: MachineData, small_config: TrialConfig, tmp_path: Path
) -> None:
    first = run_trial(small_config, machine_data, silent, trials=tmp_path)
    before = first.weights.stat().st_mtime_ns
    reports: list[dict[str, float]] = []
    run_trial(small_config, machine_data, reports.append, trials=tmp_path)
    assert first.weights.stat().st_mtime_ns == before
    assert [r["omega"] for r in reports] == [first.result().omega]


def test_a_loss_that_is_not_finite_ends_the_trial_by_name(
    machine_data: MachineData, small_config: TrialConfig, tmp_path: Path
) -> None:
    wild = changed(small_config, lr_backbone=1e30, lr_autoencoder=1e30)
    with pytest.raises(TrialError, match=r"fan: loss \(\w+\) became (nan|inf|-inf) in epoch 1"):
        run_trial(wild, machine_data, silent, trials=tmp_path)
    bundle = Bundle(tmp_path / "fan" / wild.identity)
    assert not bundle.is_whole
    assert "TrialError: fan: loss" in bundle.failure()


def test_data_of_another_machine_is_refused(
    machine_data: MachineData, small_config: TrialConfig, tmp_path: Path
) -> None:
    pump = small_config.model_copy(update={"machine": "pump"})
    with pytest.raises(DataError, match="a trial of pump was handed the data of fan"):
        run_trial(pump, machine_data, silent, trials=tmp_path)


def test_a_bundle_of_other_recordings_is_refused(
    machine_data: MachineData, small_config: TrialConfig, tmp_path: Path
) -> None:
    run_trial(changed(small_config, epochs=1), machine_data, silent, trials=tmp_path)
    other = MachineData("fan", machine_data.clips, machine_data.features, "another digest")
    with pytest.raises(DataError, match="was made from other recordings"):
        run_trial(changed(small_config, epochs=1), other, silent, trials=tmp_path)


def test_a_damaged_checkpoint_is_set_aside_and_the_trial_begins_anew(
    machine_data: MachineData, small_config: TrialConfig, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_trial(small_config, machine_data, stop_after(1), trials=tmp_path / "cut")
    checkpoint = Bundle(tmp_path / "cut" / "fan" / small_config.identity).checkpoint
    damaged = checkpoint.read_bytes()[:1000]
    checkpoint.write_bytes(damaged)
    bundle = run_trial(small_config, machine_data, silent, trials=tmp_path / "cut")
    assert "checkpoint.pt is damaged: now checkpoint.damaged" in capfd.readouterr().err
    assert (bundle.path / "checkpoint.damaged").read_bytes() == damaged
    whole = run_trial(small_config, machine_data, silent, trials=tmp_path / "whole")
    assert bundle.weights.read_bytes() == whole.weights.read_bytes()


def test_it_gives_signs_of_life_and_keeps_its_history_while_it_trains(
    machine_data: MachineData, small_config: TrialConfig, tmp_path: Path
) -> None:
    signs: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        run_trial(
            small_config, machine_data, stop_after(2), trials=tmp_path, alive=lambda: signs.append(len(signs))
        )
    n_batches = len(machine_data.train_rows) // small_config.training.batch_size
    assert len(signs) >= 2 * n_batches
    assert [e["epoch"] for e in Bundle(tmp_path / "fan" / small_config.identity).history()] == [1, 2]


def test_a_checkpoint_of_other_recordings_is_refused(
    machine_data: MachineData, small_config: TrialConfig, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_trial(small_config, machine_data, stop_after(1), trials=tmp_path)
    other = MachineData("fan", machine_data.clips, machine_data.features, "another digest")
    with pytest.raises(DataError, match="was made from other recordings"):
        run_trial(small_config, other, silent, trials=tmp_path)


def test_what_a_death_left_half_written_is_cleared(
    machine_data: MachineData, small_config: TrialConfig, tmp_path: Path
) -> None:
    config = changed(small_config, epochs=1)
    left = tmp_path / "fan" / config.identity / "checkpoint.pt.123.partial"
    left.parent.mkdir(parents=True)
    left.touch()
    run_trial(config, machine_data, silent, trials=tmp_path)
    assert not left.exists()


def test_standardise_learns_from_the_training_clips_alone(
    machine_data: MachineData, small_config: TrialConfig, tmp_path: Path
) -> None:
    model = small_config.model.model_copy(update={"standardise": "per_machine"})
    config = changed(small_config, epochs=1).model_copy(update={"model": model})
    weights = load_file(run_trial(config, machine_data, silent, trials=tmp_path).weights)
    train = np.asarray(machine_data.features)[machine_data.train_rows]
    np.testing.assert_allclose(weights["standardise.mean"][:, 0], train.mean(axis=(0, 2)), rtol=1e-4)
    np.testing.assert_allclose(weights["standardise.std"][:, 0], train.std(axis=(0, 2)), rtol=1e-3)


def test_labels_are_never_trained_on(
    machine_data: MachineData, small_config: TrialConfig, tmp_path: Path
) -> None:
    """With every test clip's features replaced by noise the weights are the same."""
    config = changed(small_config, epochs=1)
    noisy = np.array(machine_data.features)
    test = [clip.split == "test" for clip in machine_data.clips]
    assert any(test)
    noisy[test] = np.random.default_rng(0).normal(size=noisy[test].shape)
    other = MachineData("fan", machine_data.clips, noisy, machine_data.digest)
    a = run_trial(config, machine_data, silent, trials=tmp_path / "a")
    b = run_trial(config, other, silent, trials=tmp_path / "b")
    assert a.weights.read_bytes() == b.weights.read_bytes()
