"""`oddsound predict` says the same of a clip, to the last byte, whatever is scored with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.models_of_every_kind import MACHINES, Models, package_every_kind

from oddsound.config import TrialConfig

pytestmark = pytest.mark.trained


@pytest.fixture(scope="module")
def models(small_config: TrialConfig, tmp_path_factory: pytest.TempPathFactory) -> Models:
    return package_every_kind(small_config, tmp_path_factory.mktemp("models"))


@pytest.mark.parametrize("kind", MACHINES)
def test_one_clip_ten_and_all_in_reverse_order_give_the_same_bytes(
    predict, models: Models, tmp_path: Path, kind: str
) -> None:
    clips = models.clips(kind)
    assert len(clips) == 24
    asked = ("--model", models.folders[kind], "--machine", MACHINES[kind], "--out", tmp_path / "scores.csv")

    def lines(*clips: Path, **options: int) -> dict[str, bytes]:
        """By file its line of the CSV."""
        given = [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", value)]
        assert predict(*asked, *given, *clips).code == 0
        written = (tmp_path / "scores.csv").read_bytes()
        return {line.split(b",")[0].decode(): line for line in written.splitlines()[1:]}

    together = lines(*clips)
    assert len({line.split(b",")[3] for line in together.values()}) == 24, "no two clips have one score"
    assert lines(*clips[::-1]) == together
    assert lines(*clips[::-1], batch_size=1) == together
    ten = clips[5:15]
    assert lines(*ten) == {str(clip): together[str(clip)] for clip in ten}
    for clip in clips[:2]:
        assert lines(clip) == {str(clip): together[str(clip)]}
