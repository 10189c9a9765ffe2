"""Names of metrics: places are filled, and what a run of each kind logs is described."""

from __future__ import annotations

from pathlib import Path

import pytest

from oddsound.config import TrialConfig
from oddsound.tracking.metrics import METRICS, RAW_OMEGA, is_described
from oddsound.training.bundle import finished


def test_places_are_filled() -> None:
    assert RAW_OMEGA.named("fan") == "omega_raw/fan"
    assert RAW_OMEGA.is_of("omega_raw/fan")
    assert not RAW_OMEGA.is_of("omega_raw/fan/more")


@pytest.mark.parametrize(
    "name", ["auc/section_00/source", "pauc/section_00", "omega/S1", "omega/fan", "loss/total"]
)
def test_a_name_is_described(name: str) -> None:
    assert is_described(name)


@pytest.mark.parametrize("name", ["", "omeg", "loss/other", "auc", "asha/other"])
def test_another_is_not(name: str) -> None:
    assert not is_described(name)


def test_what_a_trial_measures_is_described(trained: Path, small_config: TrialConfig) -> None:
    for bundle in finished(trained, small_config.machine):
        epochs = {name for epoch in bundle.history() for name in epoch} - {"epoch"}
        assert not {name for name in epochs | set(bundle.result().metrics) if not is_described(name)}


def test_no_kind_of_run_has_a_name_twice() -> None:
    for group in METRICS.values():
        names = [metric.name for metric in group]
        assert len(names) == len(set(names))
