"""`oddsound table1` without its training: which trials fuse, what the notes say, what is refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from oddsound.cli.choosing import is_alike
from oddsound.cli.main import main
from oddsound.cli.table1 import _note_of_systems
from oddsound.config import TrialConfig, overlay
from oddsound.recipes import RECIPES, Reading, recipe_settings


@dataclass
class Tracked:
    params: dict[str, str] = field(default_factory=dict)


def tracked(architecture: str = "joint", labels: str = "section", score: str = "eq3") -> Any:
    keys = ("model.architecture", "training.labels", "training.anomaly_score")
    return Tracked(dict(zip(keys, (architecture, labels, score), strict=True)))


def test_like_is_fused_with_like() -> None:
    first = tracked()
    for other, alike in [
        (tracked("classifier"), True),
        (tracked("autoencoder"), False),
        (tracked(labels="attributes"), False),
        (tracked(score="baseline_code"), False),
    ]:
        assert is_alike([first], lambda trial: True, other) is alike
        assert is_alike([other], lambda trial: True, first) is alike
    assert not is_alike([first], lambda trial: False, tracked())


def trials(profile: str, *names: str) -> list[TrialConfig]:
    reading = Reading.model_validate({"profile": profile})
    return [
        TrialConfig.model_validate(overlay({"machine": "fan"}, recipe_settings(name, reading)))
        for name in names
    ]


def test_the_note_says_how_many_were_fused_and_of_which_epoch() -> None:
    assert "of the five best EfficientNets" in _note_of_systems(trials("paper", *RECIPES))[0]
    assert "weights of the last epoch" in _note_of_systems(trials("paper", *RECIPES))[0]
    assert "best by the labels" in _note_of_systems(trials("authors", *RECIPES))[0]
    assert "five or fewer (at least 1)" in _note_of_systems(trials("paper", "effnet"))[0]
    assert _note_of_systems(trials("paper", "ae_baseline")) == []


@pytest.mark.parametrize(
    "setting", ["features.median_frames=7", "model.pretrained=none", "augment.mixup_alpha=0.5"]
)
def test_what_tells_rows_apart_can_not_be_laid_over_them(
    setting: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["table1", "nowhere", "--set", setting])
    assert ended.value.code == 2
    said = capsys.readouterr().err.strip()
    assert setting.partition("=")[0] in said and "tells the rows of Table 1 apart" in said
    assert "\n" not in said


def test_a_config_file_is_looked_at_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["table1", "nowhere", "--config", "smoke"])
    assert ended.value.code == 2
    assert "model.pretrained" in capsys.readouterr().err
