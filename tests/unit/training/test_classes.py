"""What a network tells apart, and recordings from which it can't learn that."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from oddsound.config import TrialConfig
from oddsound.errors import DataError
from oddsound.recordings.clip import Clip
from oddsound.training.classes import classes_of, refuse_unlearnable
from oddsound.training.data import MachineData

SECTIONS = TrialConfig(machine="fan")
ATTRIBUTES = TrialConfig.model_validate({"machine": "fan", "training": {"labels": "attributes"}})
AUTOENCODER = TrialConfig.model_validate({"machine": "fan", "model": {"architecture": "autoencoder"}})


def clip(section: str, split: str, attributes: str = "") -> Clip:
    return Clip(
        Path(f"{section}{split}{attributes}.wav"), "fan", section, "source", split, "normal", attributes
    )  # type: ignore[arg-type]


ONE_SECTION = [clip("00", "train", "vel_2"), clip("00", "train", "vel_1"), clip("00", "test")]


def test_sections_are_the_classes() -> None:
    clips = [clip("01", "train", "a"), clip("00", "train", "b"), clip("01", "test", "c")]
    classes = classes_of(clips, "section")
    assert classes.names == ("00", "01")
    assert classes.target.tolist() == [1, 0, -1]
    assert classes.candidates.tolist() == [[False, True], [True, False], [False, True]]


def test_attributes_make_classes_within_a_section() -> None:
    """2023's layout: one section, whose clips differ by attributes; a test clip hides its own."""
    classes = classes_of([*ONE_SECTION, clip("01", "train")], "attributes")
    assert classes.names == ("00/vel_1", "00/vel_2", "01/")
    assert classes.target.tolist() == [1, 0, -1, 2]
    assert classes.candidates[2].tolist() == [True, True, False]


def test_good_recordings_pass(machine_data: MachineData) -> None:
    for config in (SECTIONS, AUTOENCODER):
        refuse_unlearnable("fan", machine_data.clips, config)


def test_one_section_can_not_be_told_apart_but_its_attributes_can() -> None:
    with pytest.raises(DataError, match=r"fan: training clips of 1 section; .*training.labels=attributes"):
        refuse_unlearnable("fan", ONE_SECTION, SECTIONS)
    refuse_unlearnable("fan", ONE_SECTION, ATTRIBUTES)
    refuse_unlearnable("fan", ONE_SECTION, AUTOENCODER)
    alike = [replace(c, attributes="") for c in ONE_SECTION]
    with pytest.raises(DataError, match="1 combination"):
        refuse_unlearnable("fan", alike, ATTRIBUTES)


def test_a_tested_section_must_be_trained(machine_data: MachineData) -> None:
    clips = [clip for clip in machine_data.clips if (clip.section, clip.split) != ("03", "train")]
    with pytest.raises(DataError, match=r"section\(s\) 03 have test clips and no training clips"):
        refuse_unlearnable("fan", clips, SECTIONS)


def test_nothing_to_train_on_is_refused() -> None:
    with pytest.raises(DataError, match="no training clips"):
        refuse_unlearnable("fan", [clip("00", "test")], AUTOENCODER)


def test_targets_of_the_training_clips_are_their_sections(machine_data: MachineData) -> None:
    classes = classes_of(machine_data.clips, "section")
    for row in machine_data.train_rows:
        assert classes.names[classes.target[row]] == machine_data.clips[row].section
    assert np.all(classes.candidates.sum(axis=1) == 1)
