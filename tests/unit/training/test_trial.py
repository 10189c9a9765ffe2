"""One trial: its bundle, resuming bit for bit, repeating, and each way it can fail."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from oddsound.config import AugmentConfig, TrialConfig, overlay
from oddsound.errors import BundleError, ConfigError, DataError, TrialError, WeightsError
from oddsound.models.backbones import build_backbone
from oddsound.models.pretrained import backbone_bytes, first_block_sha256, sha256_of
from oddsound.recipes import Reading, recipe_settings
from oddsound.scoring.anomaly import score_from_probabilities
from oddsound.scoring.omega import cells, omega
from oddsound.training.bundle import Bundle
from oddsound.training.data import MachineData
from oddsound.training.trial import _metrics, build_model, run_trial


def silent(_metrics: dict[str, float]) -> None:
    pass


def changed(config: TrialConfig, **training: object) -> TrialConfig:
    return config.model_copy(update={"training": config.training.model_copy(update=training)})


def stop_after(epoch: int) -> Callable[[dict[str, float]], None]:
    def report(metrics: dict[str, float]) -> None:
        if metrics["epoch"] == epoch:
            raise KeyboardInterrupt

    return report


def same_bytes(a: Bundle, b: Bundle) -> bool:
    return (
        a.weights.read_bytes() == b.weights.read_bytes()
        and a.scores_path.read_bytes() == b.scores_path.read_bytes()
    )


def test_a_whole_bundle(machine_data: MachineData, small_config: TrialConfig, tmp_path: Path) -> None:
    reports: list[dict[str, float]] = []
    bundle = run_trial(small_config, machine_data, reports.append, trials=tmp_path, number=4)
    assert bundle.is_whole
    assert sorted(path.name for path in bundle.path.iterdir()) == [
        "config.json", "history.json", "result.json", "scores.npz", "weights.safetensors",
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
    np.testing.assert_allclose(table.score, score_from_probabilities(table.probabilities, target), rtol=1e-9)


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


def test_a_damaged_checkpoint_is_refused_by_name(
    machine_data: MachineData, small_config: TrialConfig, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_trial(small_config, machine_data, stop_after(1), trials=tmp_path)
    checkpoint = Bundle(tmp_path / "fan" / small_config.identity).checkpoint
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(BundleError, match=r"checkpoint\.pt: can't be read .*; remove it"):
        run_trial(small_config, machine_data, silent, trials=tmp_path)


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


def with_model(config: TrialConfig, **model: object) -> TrialConfig:
    return config.model_copy(update={"model": config.model.model_copy(update=model)})


def test_both_selections_are_reported(
    machine_data: MachineData, small_config: TrialConfig, tmp_path: Path
) -> None:
    last = run_trial(changed(small_config, epochs=5), machine_data, silent, trials=tmp_path)
    best_config = changed(small_config, epochs=5, selection="best_dev_omega")
    best = run_trial(best_config, machine_data, silent, trials=tmp_path)
    for bundle in (last, best):
        omegas = [entry["omega"] for entry in bundle.history()]
        metrics = bundle.result().metrics
        assert metrics["omega_last"] == pytest.approx(omegas[-1])
        assert metrics["omega_best_dev"] == pytest.approx(max(omegas))
        assert metrics["best_epoch"] == 1 + omegas.index(max(omegas))
    assert last.result().omega == last.result().metrics["omega_last"]
    assert best.result().omega == best.result().metrics["omega_best_dev"]


def test_the_best_epochs_weights_are_kept_over_a_resume(
    machine_data: MachineData, small_config: TrialConfig, tmp_path: Path
) -> None:
    """A trial that ends at its best epoch is that epoch's model, resumed or not."""
    config = changed(small_config, epochs=4, selection="best_dev_omega", seed=1)
    whole = run_trial(config, machine_data, silent, trials=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run_trial(config, machine_data, stop_after(3), trials=tmp_path / "cut")
    assert same_bytes(whole, run_trial(config, machine_data, silent, trials=tmp_path / "cut"))
    best = int(whole.result().metrics["best_epoch"])
    assert whole.result().omega == pytest.approx(whole.history()[best - 1]["omega"])
    assert whole.result().omega == omega(cells(whole.scores()))


def test_scores_are_the_mean_over_segments(
    machine_data: MachineData, small_config: TrialConfig, tmp_path: Path
) -> None:
    config = with_model(changed(small_config, epochs=1), segment_frames=12, segment_hop=6)
    table = run_trial(config, machine_data, silent, trials=tmp_path).scores()
    n = (machine_data.features.shape[2] - 12) // 6 + 1
    assert table.probabilities.shape == (len(table), n, 6)
    own = np.array([table.classes.index(section) for section in table.section])
    p = np.take_along_axis(table.probabilities, own[:, None, None], axis=2)[:, :, 0]
    np.testing.assert_allclose(table.score, np.log((1 - p) / p).mean(axis=1), rtol=1e-6)


def test_the_autoencoder_baseline_scores_by_its_error(
    machine_data: MachineData, small_config: TrialConfig, tmp_path: Path
) -> None:
    config = with_model(
        changed(small_config, epochs=1, batch_size=64, target_share=0.0),
        architecture="autoencoder",
        segment_frames=5,
        segment_hop=1,
        initialisation="keras",
    ).model_copy(update={"augment": AugmentConfig(time_mask_frames=0, time_shift=0)})
    bundle = run_trial(config, machine_data, silent, trials=tmp_path)
    table, result = bundle.scores(), bundle.result()
    assert (table.classes, table.probabilities.shape[1:], result.classes) == ((), (1, 0), [])
    assert {key for key in bundle.history()[0] if key.startswith("loss/")} == {
        "loss/total",
        "loss/reconstruction",
    }
    model = build_model(config, 0, 5).eval()
    model.load_state_dict(
        {name: torch.from_numpy(value) for name, value in load_file(bundle.weights).items()}
    )
    clip = np.asarray(machine_data.features[0], np.float32)
    vectors = np.stack([clip[:, i : i + 5].T.ravel() for i in range(clip.shape[1] - 4)])
    with torch.inference_mode():
        reconstruction = model.autoencoder.network(torch.from_numpy(vectors))[0].numpy()
    assert table.score[0] == pytest.approx(((reconstruction - vectors) ** 2).mean(), rel=1e-5)


def test_labels_can_be_attributes(
    machine_data: MachineData, small_config: TrialConfig, tmp_path: Path
) -> None:
    """One section, two attributes: what a classifier of sections refuses."""
    one = [i for i, clip in enumerate(machine_data.clips) if clip.section == "00"]
    clips = tuple(
        replace(
            machine_data.clips[i], attributes=f"vel_{n % 2}" if machine_data.clips[i].split == "train" else ""
        )
        for n, i in enumerate(one)
    )
    data = MachineData("fan", clips, machine_data.features[one], "one section")
    config = changed(small_config, epochs=1)
    with pytest.raises(DataError, match="training clips of 1 section"):
        run_trial(config, data, silent, trials=tmp_path)
    bundle = run_trial(changed(config, labels="attributes"), data, silent, trials=tmp_path)
    assert bundle.result().classes == ["00/vel_0", "00/vel_1"]
    table = bundle.scores()
    p = table.probabilities[:, 0]
    np.testing.assert_allclose(table.score, np.log((1 - p) / p).min(axis=1), rtol=1e-6)


def test_a_trial_begins_with_the_weights_that_it_names(
    machine_data: MachineData, small_config: TrialConfig, tmp_path: Path
) -> None:
    source = build_backbone(small_config.model)[0]
    file = tmp_path / "backbone.safetensors"
    file.write_bytes(backbone_bytes(source, small_config.model))
    one = changed(small_config, epochs=1)
    named = with_model(one, pretrained=str(file), pretrained_sha256=sha256_of(file))
    begun = run_trial(named, machine_data, silent, trials=tmp_path, weights=file).result()
    assert begun.initial_block_sha256 == first_block_sha256(source)
    other = run_trial(one, machine_data, silent, trials=tmp_path).result()
    assert other.initial_block_sha256 != begun.initial_block_sha256
    with pytest.raises(ConfigError, match="no file of these weights was given"):
        run_trial(changed(named, seed=1), machine_data, silent, trials=tmp_path)
    file.write_bytes(backbone_bytes(build_backbone(small_config.model)[0], small_config.model))
    with pytest.raises(WeightsError, match="is not the file of SHA-256"):
        run_trial(changed(named, seed=1), machine_data, silent, trials=tmp_path, weights=file)


def test_the_authors_reading_trains(
    machine_data: MachineData, small_config: TrialConfig, tmp_path: Path
) -> None:
    """NT-Xent, segments, an autoencoder of whole segments, the best epoch: all at once, but small."""
    authors = recipe_settings("effnet_median_mixup", Reading(profile="authors"))
    small = {
        "machine": "fan",
        "features": small_config.features.model_dump(),
        "model": {"width": 0.1, "depth": 0.3, "segment_frames": 12, "segment_hop": 6, "ae_hidden": 16},
        "training": {"epochs": 2, "batch_size": 16, "segments_per_clip": 2, "lr_backbone": 1e-3},
    }
    bundle = run_trial(
        TrialConfig.model_validate(overlay(authors, small)), machine_data, silent, trials=tmp_path
    )
    assert load_file(bundle.weights)["autoencoder.network.encoder.0.0.weight"].shape == (16, 12 * 128)
    assert all(entry["loss/contrastive"] > 0 for entry in bundle.history()), "NT-Xent is never negative"
    assert bundle.result().omega == bundle.result().metrics["omega_best_dev"]


def test_the_selections_agree_to_the_digit_where_the_last_epoch_is_the_best() -> None:
    """The final table is scored in other batches than an epoch's evaluation was."""
    history = [{"omega": 0.4}, {"omega": 0.6}]
    for n, entry in enumerate(history):
        entry["epoch"] = n + 1
    for selection in ("last", "best_dev_omega"):
        config = changed(TrialConfig(machine="fan"), selection=selection)
        metrics = _metrics(config, history, {"omega": 0.6000001})
        assert metrics["omega"] == metrics["omega_last"] == metrics["omega_best_dev"] == 0.6000001
    earlier = [{"omega": 0.7, "epoch": 1}, {"omega": 0.6, "epoch": 2}]
    by_label = _metrics(
        changed(TrialConfig(machine="fan"), selection="best_dev_omega"), earlier, {"omega": 0.7}
    )
    assert (by_label["omega"], by_label["omega_last"], by_label["best_epoch"]) == (0.7, 0.6, 1.0)
