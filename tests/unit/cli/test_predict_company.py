"""`oddsound predict` says the same of a clip, to the last byte, whatever is scored with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.models_of_every_kind import KINDS, MACHINE, package_every_kind

from oddsound.config import TrialConfig

pytestmark = pytest.mark.trained


@pytest.fixture(scope="module")
def models(
    small_data: Path, small_config: TrialConfig, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    return package_every_kind(small_data, small_config, tmp_path_factory.mktemp("models"))


@pytest.mark.parametrize("kind", KINDS)
def test_one_clip_ten_and_all_in_reverse_order_give_the_same_bytes(
    predict, models: dict[str, Path], small_data: Path, tmp_path: Path, kind: str
) -> None:
    clips = sorted((small_data / MACHINE).glob("*_test/*.wav"))
    assert len(clips) > 40

    def lines(*clips: Path, **options: int) -> dict[str, bytes]:
        """By file its line of the CSV."""
        out = tmp_path / "scores.csv"
        given = [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", value)]
        assert predict("--model", models[kind], "--out", out, *given, *clips).code == 0
        return {line.split(b",")[0].decode(): line for line in out.read_bytes().splitlines()[1:]}

    together = lines(*clips)
    assert len({line.split(b",")[3] for line in together.values()}) > 40, "no two clips have one score"
    assert lines(*clips[::-1]) == together
    assert lines(*clips[::-1], batch_size=1) == together
    ten = clips[5:15]
    assert lines(*ten) == {str(clip): together[str(clip)] for clip in ten}
    for clip in clips[:2]:
        assert lines(clip) == {str(clip): together[str(clip)]}
