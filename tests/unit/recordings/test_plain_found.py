"""Plain folders of one's own recordings: what is found, what isn't read, what is bad."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.own_machines import RATE, machine, record

from oddsound.errors import DataError, RecordingError
from oddsound.recordings.plain import Preparing, find_plain, is_plain, prepare
from oddsound.recordings.plain.check import check_plain

ONE_SECOND = Preparing(clip_seconds=1.0)


def test_folders_of_normal_and_anomalous_recordings(tmp_path: Path) -> None:
    (one,) = find_plain(machine(tmp_path))
    assert (one.name, len(one.normal), len(one.anomalous)) == ("press", 6, 2)


def test_loose_recordings_are_normal_also_of_the_folder_itself(tmp_path: Path) -> None:
    record(tmp_path / "mill" / "a.wav", 1)
    record(tmp_path / "mill" / ".b.wav", 1)
    assert is_plain(tmp_path) and is_plain(tmp_path / "mill")
    for root in (tmp_path, tmp_path / "mill"):
        (one,) = find_plain(root)
        assert (one.name, len(one.normal), one.anomalous) == ("mill", 1, ())


@pytest.mark.parametrize("word", ["abnormal", "anomalous", "anomalies", "Anomaly"])
def test_other_words_for_anomaly(tmp_path: Path, word: str) -> None:
    record(machine(tmp_path, n_anomalous=0) / "press" / word / "a.wav", 1)
    (one,) = find_plain(tmp_path)
    assert (len(one.anomalous), one.unread) == (1, ())


@pytest.mark.parametrize("place", ["fan/train", "fan/source_test", "dev_data/fan/train"])
def test_a_layout_of_the_challenge_is_not_plain(tmp_path: Path, place: str) -> None:
    record(tmp_path / place / "a.wav", 1)
    record(tmp_path / "supplemental" / "a.wav", 1)
    record(tmp_path / "a.wav", 1)
    assert not is_plain(tmp_path)
    assert not is_plain((tmp_path / place).parent)


@pytest.mark.parametrize("place", ["fan", "dev_data"])
def test_plain_folders_beside_a_layout_are_not_left_out_without_a_word(tmp_path: Path, place: str) -> None:
    (machine(tmp_path) / place / ("fan/train" if place == "dev_data" else "train")).mkdir(parents=True)
    says = f"press in plain folders beside {place} in a layout of the challenge; move the plain ones"
    for asked in (None, ["fan", "press"]):
        with pytest.raises(DataError, match=says):
            is_plain(tmp_path, asked)
    assert is_plain(tmp_path, ["press"]) and not is_plain(tmp_path, ["fan"])
    assert [one.name for one in find_plain(tmp_path, ["press"])] == ["press"]


def test_a_machine_that_is_asked_for_is_found_whatever_lies_beside_it(tmp_path: Path) -> None:
    machine(tmp_path)
    record(tmp_path / "bad name" / "a.wav", 1)
    (tmp_path / "empty" / "normal").mkdir(parents=True)
    assert [one.name for one in find_plain(tmp_path, ["press"])] == ["press"]
    with pytest.raises(DataError, match="bad name: no name for a machine"):
        find_plain(tmp_path)


def test_a_recording_beside_the_folders_of_machines_is_no_machine(tmp_path: Path) -> None:
    record(machine(tmp_path) / "stray.wav", 1)
    with pytest.raises(DataError, match=r"stray.wav: lies beside the folders of machines \(press\); move it"):
        is_plain(tmp_path)


def test_a_link_is_called_as_it_is_named(tmp_path: Path) -> None:
    """Two links to folders of one name are two machines."""
    for place in ("a", "b"):
        machine(tmp_path / "disk" / place)
        (tmp_path / "own").mkdir(exist_ok=True)
        (tmp_path / "own" / f"press_{place}").symlink_to(tmp_path / "disk" / place / "press")
    assert [one.name for one in find_plain(tmp_path / "own")] == ["press_a", "press_b"]


def test_linked_folders_are_read_once_and_links_to_nowhere_are_named(tmp_path: Path) -> None:
    own = machine(tmp_path / "own")
    record(tmp_path / "disk" / "a.wav", 1)
    for name in ("march", "the same"):
        (own / "press" / "normal" / name).symlink_to(tmp_path / "disk")
    (own / "press" / "normal" / "round").symlink_to(own / "press")
    (one,) = find_plain(own)
    assert [path.name for path in one.normal].count("a.wav") == 1
    assert len(one.normal) == 7 and one.unread == ()
    (own / "press" / "normal" / "gone.wav").symlink_to(tmp_path / "nowhere")
    with pytest.raises(RecordingError, match=r"gone.wav: can't be read \(No such file"):
        prepare(own, tmp_path / "out")


def test_what_is_not_read_is_said(tmp_path: Path) -> None:
    own = machine(tmp_path / "own")
    record(own / "press" / "faults" / "deep" / "a.wav", 1)
    for number in range(2):
        (own / "press" / "normal" / f"{number}.FLAC").touch()
    record(own / "mill" / "march" / "a.wav", 1)
    record(own / "mill" / ".hidden" / "a.wav", 1)
    record(own / "runs" / "first" / "recordings" / "a.wav", 1)
    (own / "runs" / "first" / "run.json").touch()
    expected = [
        f"{own}/press/faults: 1 recording not used; move what is to be used into {own}/press/normal or "
        f"{own}/press/anomaly",
        f"{own}/press/normal: 2 .flac files not read; convert what is to be used: ffmpeg -i OLD.flac NEW.wav",
        f"{own}/mill/march: 1 recording not used; move what is to be used into {own}/mill/normal or "
        f"{own}/mill/anomaly",
    ]
    made = prepare(own, tmp_path / "out", ONE_SECOND)
    assert list(made.notes[-3:]) == expected
    assert prepare(own, tmp_path / "one", ONE_SECOND, ["press"]).notes[-2:] == tuple(expected[:2])
    assert check_plain(own, ONE_SECOND).notes == expected


def test_other_formats_alone_are_named(tmp_path: Path) -> None:
    (tmp_path / "press" / "normal").mkdir(parents=True)
    (tmp_path / "press" / "normal" / "a.flac").touch()
    with pytest.raises(DataError, match=r"no normal recording; .*normal: 1 \.flac file not read; convert"):
        find_plain(tmp_path)


def test_nothing_and_no_folder_are_not_plain(tmp_path: Path) -> None:
    assert not is_plain(tmp_path) and not is_plain(tmp_path / "none")


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (["my press/a.wav"], "rename the folder"),
        (["press/normal/a.wav", "press/b.wav"], "b.wav: lies beside normal/ or anomaly/"),
        (["press/anomaly/a.wav"], "no normal recording"),
    ],
)
def test_what_can_not_be_a_machine(tmp_path: Path, made: list[str], says: str) -> None:
    for each in made:
        record(tmp_path / each, 1)
    with pytest.raises(DataError, match=says):
        find_plain(tmp_path)


def test_an_unknown_machine_is_told_the_near_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no machine 'Pres'; did you mean press"):
        find_plain(machine(tmp_path), ["Pres"])


def test_check_counts_the_good_and_names_the_bad(tmp_path: Path) -> None:
    own = machine(tmp_path)
    record(own / "press" / "normal" / "fast.wav", 1, 44_100)
    (own / "press" / "anomaly" / "page.wav").write_text("<html>")
    checked = check_plain(own, ONE_SECOND)
    assert [(c.label, c.n_recordings, c.n_clips) for c in checked.counts] == [
        ("normal", 6, 12),
        ("anomaly", 2, 2),
    ]
    assert [path.name for path, _ in checked.bad] == ["page.wav", "fast.wav"]


def test_check_goes_on_after_a_bad_machine(tmp_path: Path) -> None:
    machine(tmp_path)
    record(tmp_path / "bad name" / "a.wav", 1)
    (tmp_path / "empty" / "normal").mkdir(parents=True)
    record(tmp_path / "short" / "a.wav", 1)
    checked = check_plain(tmp_path, ONE_SECOND)
    assert [(c.machine, c.n_recordings) for c in checked.counts] == [("press", 6), ("press", 2), ("short", 1)]
    reasons = [reason.partition(": ")[2] for _, reason in checked.bad]
    assert [reason.partition(";")[0] for reason in reasons] == [
        "no name for a machine", "no normal recording", "1 normal clip"
    ]  # fmt: skip


def test_recordings_without_any_sound_are_named(tmp_path: Path) -> None:
    machine(tmp_path)
    for name, value in (("dead", 0.0), ("dc", 0.25)):
        soundfile.write(tmp_path / "press" / "normal" / f"{name}.wav", np.full(RATE, value), RATE)
    checked = check_plain(tmp_path, ONE_SECOND)
    (note,) = checked.notes
    assert note.startswith("press: no sound in 2 recordings (") and "/dc.wav, " in note and not checked.bad
