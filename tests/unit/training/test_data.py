"""Recordings that no trial could use are refused by name, before any trial."""

from dataclasses import replace

import pytest

from oddsound.errors import DataError
from oddsound.training.data import MachineData, refuse_unmeasurable


def test_good_recordings_pass(machine_data: MachineData) -> None:
    refuse_unmeasurable("fan", machine_data.clips)


def test_every_labelled_cell_needs_both_classes(machine_data: MachineData) -> None:
    clips = [c for c in machine_data.clips if (c.section, c.domain, c.label) != ("01", "target", "anomaly")]
    with pytest.raises(DataError, match="normal and anomalous test clips in section 01 target, so omega"):
        refuse_unmeasurable("fan", clips)
    hidden = [replace(clip, label=None) for clip in machine_data.clips if clip.split == "test"]
    with pytest.raises(DataError, match="test clips at all"):
        refuse_unmeasurable("fan", hidden)
