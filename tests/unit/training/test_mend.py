"""What a death left behind is set aside, what is whole stays, and nothing is deleted."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.search.fake_trials import DIGEST, plan, start_bundle, write_bundle

from oddsound.training.bundle import Bundle, Stop
from oddsound.training.mend import mend


def cut(name: str) -> Callable[[Bundle], None]:
    def damage(bundle: Bundle) -> None:
        path = bundle.path / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return damage


def missing(name: str) -> Callable[[Bundle], None]:
    return lambda bundle: (bundle.path / name).unlink()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (cut("result.json"), "result.json"),
        (cut("history.json"), "history.json"),
        (cut("weights.safetensors"), "weights.safetensors is missing or damaged"),
        (missing("weights.safetensors"), "weights.safetensors is missing or damaged"),
        (cut("scores.npz"), "scores.npz is missing or damaged"),
    ],
)
def test_a_half_written_bundle_is_set_aside_and_its_configuration_stays(
    damage: Callable[[Bundle], None], said: str, tmp_path: Path
) -> None:
    of = plan("fan", 2)
    config = of.space.trial(of.space.paper, 0)
    bundle = write_bundle(tmp_path / "trials", config, 0, 0.5)
    kept = write_bundle(tmp_path / "trials", of.space.trial(of.space.paper, 1), 1, 0.6)
    damage(bundle)
    before = {p.name: p.read_bytes() for p in bundle.path.iterdir() if p.name != "config.json"}
    (line,) = mend(tmp_path / "trials", "fan", DIGEST, tmp_path / "aside")
    assert said in line
    assert [p.name for p in bundle.path.iterdir()] == ["config.json"]
    aside = tmp_path / "aside" / "fan" / config.identity / "0"
    assert {p.name: p.read_bytes() for p in aside.iterdir()} == before, "nothing is lost"
    assert kept.is_whole
    assert mend(tmp_path / "trials", "fan", DIGEST, tmp_path / "aside") == []


def test_an_unreadable_configuration_is_set_aside_with_all_it_has(tmp_path: Path) -> None:
    of = plan("fan", 2)
    bundle = write_bundle(tmp_path / "trials", of.space.trial(of.space.paper, 0), 0, 0.5)
    cut("config.json")(bundle)
    (line,) = mend(tmp_path / "trials", "fan", DIGEST, tmp_path / "aside")
    assert "config.json is damaged" in line
    assert list(bundle.path.iterdir()) == []


def test_a_truncated_checkpoint_is_set_aside_alone(tmp_path: Path) -> None:
    of = plan("fan", 2)
    bundle = start_bundle(tmp_path / "trials", of.space.trial(of.space.paper, 0))
    bundle.checkpoint.write_bytes(b"PK half a checkpoint")
    (line,) = mend(tmp_path / "trials", "fan", DIGEST, tmp_path / "aside")
    assert "checkpoint.pt is damaged" in line
    assert not bundle.checkpoint.exists()


def test_trials_of_other_recordings_are_set_aside(tmp_path: Path) -> None:
    of = plan("fan", 2)
    write_bundle(tmp_path / "trials", of.space.trial(of.space.paper, 0), 0, 0.5)
    (line,) = mend(tmp_path / "trials", "fan", "another digest", tmp_path / "aside")
    assert "other recordings" in line


@pytest.mark.parametrize("ended", [True, False])
def test_what_was_begun_with_other_recordings_begins_anew(ended: bool, tmp_path: Path) -> None:
    """An interrupted trial's checkpoint and a stopped one's omega are of what they saw."""
    of = plan("fan", 2)
    bundle = start_bundle(tmp_path / "trials", of.space.trial(of.space.paper, 0))
    bundle.write_seen(DIGEST)
    bundle.write("history.json", [{"epoch": 1, "omega": 0.9}])
    if ended:
        bundle.write_stop(Stop(0, 30, 30, 0.9))
    assert mend(tmp_path / "trials", "fan", DIGEST, tmp_path / "aside") == []
    (line,) = mend(tmp_path / "trials", "fan", "another digest", tmp_path / "aside")
    assert "begun with other recordings" in line
    assert [p.name for p in bundle.path.iterdir()] == ["config.json"]


@pytest.mark.parametrize("history", ["[1, 2]", "null", '[{"epoch"'])
def test_a_damaged_history_of_what_was_interrupted_is_set_aside(history: str, tmp_path: Path) -> None:
    of = plan("fan", 2)
    bundle = start_bundle(tmp_path / "trials", of.space.trial(of.space.paper, 0))
    (bundle.path / "history.json").write_text(history)
    (line,) = mend(tmp_path / "trials", "fan", DIGEST, tmp_path / "aside")
    assert "history.json is damaged" in line


def test_a_stop_that_can_not_be_read_is_taken_back(tmp_path: Path) -> None:
    of = plan("fan", 2)
    bundle = start_bundle(tmp_path / "trials", of.space.trial(of.space.paper, 0))
    bundle.write("history.json", [])
    bundle.write_stop(Stop(0, 30, 30, 0.5))
    assert mend(tmp_path / "trials", "fan", DIGEST, tmp_path / "aside") == []
    cut("stopped.json")(bundle)
    (line,) = mend(tmp_path / "trials", "fan", DIGEST, tmp_path / "aside")
    assert "stopped.json" in line
    assert not bundle.is_stopped


def test_nothing_there_is_nothing_to_mend(tmp_path: Path) -> None:
    assert mend(tmp_path / "trials", "fan", DIGEST, tmp_path / "aside") == []
    (tmp_path / "trials" / "fan" / "empty").mkdir(parents=True)
    assert mend(tmp_path / "trials", "fan", DIGEST, tmp_path / "aside") == []
