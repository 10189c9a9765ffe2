"""What one epoch feeds the network: drawn, augmented, mixed, at the epoch's learning rate."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from torch import Tensor

from oddsound.config import LossConfig, TrialConfig
from oddsound.features.augment import Mix, augment
from oddsound.models.joint import JointModel, JointOutput
from oddsound.training import epoch as module
from oddsound.training.checkpoint import seed_epoch
from oddsound.training.classes import classes_of
from oddsound.training.data import MachineData
from oddsound.training.epoch import Lesson, train_epoch
from oddsound.training.losses import Losses, losses
from oddsound.training.sampler import batches, draw_epoch
from oddsound.training.schedule import build_optimiser
from oddsound.training.segments import Segments
from oddsound.training.trial import build_model

pytestmark = pytest.mark.trained


@dataclass
class Seen:
    """What the network and the losses were given, batch by batch."""

    x: list[Tensor] = field(default_factory=list)
    target: list[Tensor] = field(default_factory=list)
    mix: list[Mix | None] = field(default_factory=list)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    recorded = Seen()
    forward = JointModel.forward

    def watched(model: JointModel, x: Tensor) -> JointOutput:
        recorded.x.append(x.clone())
        return forward(model, x)

    def weighed(output: JointOutput, target: Tensor, mix: Mix | None, config: LossConfig) -> Losses:
        recorded.target.append(target.clone())
        recorded.mix.append(mix)
        return losses(output, target, mix, config)

    monkeypatch.setattr(JointModel, "forward", watched)
    monkeypatch.setattr(module, "losses", weighed)
    return recorded


def trained(config: TrialConfig, data: MachineData, number: int) -> torch.optim.Adam:
    torch.manual_seed(0)
    lesson = lesson_of(config, data)
    model = build_model(config, len(lesson.classes.names), lesson.segments.frames).train()
    optimiser = build_optimiser(model, config.training)
    train_epoch(model, optimiser, config, lesson, number)
    return optimiser


def lesson_of(config: TrialConfig, data: MachineData) -> Lesson:
    segments = Segments.of(data.machine, data.features.shape[2], config.model)
    return Lesson(data, classes_of(data.clips, config.training.labels), segments)


def test_batches_are_drawn_augmented_and_mixed(
    machine_data: MachineData, small_config: TrialConfig, seen: Seen
) -> None:
    trained(small_config, machine_data, 5)
    rng = seed_epoch(small_config.identity, 5)
    train = machine_data.train_rows
    drawn = train[draw_epoch(machine_data.is_target_domain[train], 0.2, rng)[0]]
    expected = [drawn[batch] for batch in batches(len(drawn), small_config.training.batch_size)]
    targets = lesson_of(small_config, machine_data).classes.target
    assert len(seen.x) == len(expected) > 1
    for x, target, mix, rows in zip(seen.x, seen.target, seen.mix, expected, strict=True):
        plain = torch.from_numpy(np.asarray(machine_data.features[rows]))
        augmented, its_mix = augment(plain, small_config.augment, rng)
        assert not torch.equal(augmented, plain)
        assert torch.equal(x, augmented)
        assert target.tolist() == targets[rows].tolist()
        assert mix is not None and its_mix is not None
        assert (mix.weight, mix.partner.tolist()) == (its_mix.weight, its_mix.partner.tolist())


def test_only_training_clips_are_fed(
    machine_data: MachineData, small_config: TrialConfig, seen: Seen
) -> None:
    plain = {"augment": {"mixup_alpha": 0, "time_mask_frames": 0, "time_shift": 0}}
    config = TrialConfig.model_validate(small_config.model_dump() | plain)
    for number in range(1, 4):
        trained(config, machine_data, number)
    clips = {row.tobytes(): clip for row, clip in zip(machine_data.features, machine_data.clips, strict=True)}
    fed = [clips[row.numpy().tobytes()] for x in seen.x for row in x]
    assert {clip.split for clip in fed} == {"train"}
    share = np.mean([clip.domain == "target" for clip in fed])
    assert share < 0.33, "a third of the clips are of the target domain; a fifth of the draws should be"


def test_two_epochs_differ(machine_data: MachineData, small_config: TrialConfig, seen: Seen) -> None:
    trained(small_config, machine_data, 1)
    first = seen.x.copy()
    seen.x.clear()
    trained(small_config, machine_data, 2)
    assert not any(torch.equal(a, b) for a, b in zip(first, seen.x, strict=True))


def test_the_rates_are_those_of_the_epoch(machine_data: MachineData, small_config: TrialConfig) -> None:
    for number, factor in ((1, 1.0), (31, 0.5), (61, 0.25)):
        rates = [group["lr"] for group in trained(small_config, machine_data, number).param_groups]
        own = small_config.training
        assert rates == [own.lr_autoencoder * factor, own.lr_backbone * factor]


def test_segments_are_cut_from_the_drawn_clips(
    machine_data: MachineData, small_config: TrialConfig, seen: Seen
) -> None:
    settings = {
        "augment": {"mixup_alpha": 0, "time_mask_frames": 0, "time_shift": 0},
        "model": {"width": 0.1, "depth": 0.3, "segment_frames": 20, "segment_hop": 4},
        "training": {"batch_size": 8, "segments_per_clip": 2},
    }
    config = TrialConfig.model_validate(small_config.model_dump() | settings)
    trained(config, machine_data, 1)
    x = torch.cat(seen.x)
    assert x.shape[1:] == (128, 20)
    assert len(x) in (2 * len(machine_data.train_rows), 2 * len(machine_data.train_rows) - 1)
    trains = np.asarray(machine_data.features[machine_data.train_rows])
    starts = range(0, trains.shape[2] - 19, 4)
    cuts = {trains[i, :, s : s + 20].tobytes() for i in range(len(trains)) for s in starts}
    assert all(row.numpy().tobytes() in cuts for row in x)


def test_the_held_out_clips_are_the_last_and_never_seen(
    machine_data: MachineData, small_config: TrialConfig, seen: Seen
) -> None:
    settings = {
        "augment": {"mixup_alpha": 0, "time_mask_frames": 0, "time_shift": 0},
        "training": {"batch_size": 8, "holdout": 0.25, "target_share": 0.0},
    }
    config = TrialConfig.model_validate(small_config.model_dump() | settings)
    trained(config, machine_data, 1)
    rows = machine_data.train_rows
    kept = {np.asarray(machine_data.features[row]).tobytes() for row in rows[: int(0.75 * len(rows))]}
    assert {row.numpy().tobytes() for x in seen.x for row in x} <= kept


@pytest.mark.parametrize("hard_fraction", [1.0, 0.5])
def test_no_step_waits_for_its_own_result(
    machine_data: MachineData,
    small_config: TrialConfig,
    monkeypatch: pytest.MonkeyPatch,
    hard_fraction: float,
) -> None:
    """Reading a value makes a GPU's host wait: an epoch does so once for each term of the loss."""
    reads: list[str] = []
    for name in ("item", "tolist", "cpu", "__bool__", "__float__", "__int__", "__index__"):
        real = getattr(Tensor, name)

        def reading(
            tensor: Tensor, *args: object, _name: str = name, _real: Callable[..., object] = real
        ) -> object:
            reads.append(_name)
            return _real(tensor, *args)

        monkeypatch.setattr(Tensor, name, reading)
    config = TrialConfig.model_validate(
        small_config.model_dump() | {"loss": {"hard_fraction": hard_fraction}}
    )
    trained(config, machine_data, 1)
    assert reads == ["item"] * 4
