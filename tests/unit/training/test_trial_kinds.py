"""What a trial of each kind leaves: both selections, segments, the autoencoder alone, attributes as
classes, pretrained weights, the authors' reading."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from tests.unit.training.trials import changed, same_bytes, silent, stop_after

from oddsound.config import AugmentConfig, TrialConfig, overlay
from oddsound.errors import BundleError, ConfigError, DataError, WeightsError
from oddsound.models.backbones import build_backbone
from oddsound.models.pretrained import backbone_bytes, first_block_sha256, sha256_of
from oddsound.recipes import Reading, recipe_settings
from oddsound.scoring.omega import cells, omega
from oddsound.training.data import MachineData
from oddsound.training.epoch_scores import read_epoch_scores
from oddsound.training.trial import _metrics, build_model, run_trial

pytestmark = pytest.mark.trained


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
    assert read_epoch_scores(last, len(last.scores().labelled())) is None
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
    cut = run_trial(config, machine_data, silent, trials=tmp_path / "cut")
    assert same_bytes(whole, cut)
    best = int(whole.result().metrics["best_epoch"])
    assert whole.result().omega == pytest.approx(whole.history()[best - 1]["omega"])
    labelled = whole.scores().labelled()
    assert whole.result().omega == omega(cells(labelled))
    found, resumed = (read_epoch_scores(bundle, len(labelled)) for bundle in (whole, cut))
    assert found is not None and resumed is not None
    assert found.epoch.tolist() == [1, 2, 3, 4]
    assert np.array_equal(found.score, resumed.score)
    assert np.allclose(found.score[best - 1], labelled.score, atol=1e-5)
    with pytest.raises(BundleError, match=r"epochs\.npz: .* scores for 3 labelled clips"):
        read_epoch_scores(whole, 3)


def test_scores_are_the_mean_over_segments(
    machine_data: MachineData, small_config: TrialConfig, tmp_path: Path
) -> None:
    config = with_model(changed(small_config, epochs=1), segment_frames=12, segment_hop=6)
    table = run_trial(config, machine_data, silent, trials=tmp_path).scores()
    n = (machine_data.features.shape[2] - 12) // 6 + 1
    assert table.probabilities.shape == (len(table), n, 6)
    own = np.array([table.classes.index(section) for section in table.section])
    p = np.take_along_axis(table.probabilities, own[:, None, None], axis=2)[:, :, 0]
    np.testing.assert_allclose(table.score, np.log((1 - p) / p).mean(axis=1), rtol=1e-6, atol=1e-9)


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
    assert table.score[0] == pytest.approx(((reconstruction - vectors) ** 2).mean(), rel=1e-4)


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
    with pytest.raises(
        DataError, match=r"clips of 1 section; .*autoencoder.* or training\.labels=attributes"
    ):
        run_trial(config, data, silent, trials=tmp_path)
    bundle = run_trial(changed(config, labels="attributes"), data, silent, trials=tmp_path)
    assert bundle.result().classes == ["00/vel_0", "00/vel_1"]
    table = bundle.scores()
    p = table.probabilities[:, 0]
    np.testing.assert_allclose(table.score, np.log((1 - p) / p).min(axis=1), rtol=1e-6, atol=1e-9)


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
