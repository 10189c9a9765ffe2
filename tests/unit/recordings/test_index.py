"""The index of a data folder: layouts, merging, digests, counts, and what it refuses."""

from __future__ import annotations

import shutil
import wave
from pathlib import Path

import pytest

from oddsound.errors import DataError
from oddsound.recordings.index import CountRow, check_folder, index_folder

FAN = [
    "train/section_00_source_train_normal_0000.wav",
    "train/section_00_target_train_normal_0000_w_1.wav",
    "source_test/section_00_source_test_normal_0000.wav",
    "source_test/section_00_source_test_anomaly_0000.wav",
    "target_test/section_00_target_test_normal_0000.wav",
]
FAN_EVALUATION = [
    "train/section_03_source_train_normal_0000.wav",
    "source_test/section_03_source_test_0000.wav",
    "source_test/section_03_source_test_0001.wav",
]
SLIDER = ["train/normal_id_00_00000000.wav", "test/anomaly_id_00_00000000.wav", "test/id_01_00000007.wav"]


def write(root: Path, *files: str, samples: bytes = b"\1\0" * 1024) -> None:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        with wave.open(str(root / file), "wb") as out:
            out.setparams((1, 2, 16_000, 0, "NONE", ""))
            out.writeframes(samples)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    write(root / "dev_data" / "fan", *FAN)
    write(root / "eval_data" / "fan", *FAN_EVALUATION)
    write(root / "slider", *SLIDER)
    (root / "ground_truth").mkdir()
    (root / "ground_truth" / "a.csv").touch()
    (root / "slider" / "train" / ".hidden.wav").touch()
    (root / "slider" / "train" / "attributes.csv").touch()
    (root / ".cache" / "train").mkdir(parents=True)
    return root


def test_machines_at_both_depths_are_found_and_merged(data: Path) -> None:
    index = index_folder(data)
    assert index.root == data
    assert index.machines == ("fan", "slider")
    assert [c.path.relative_to(data).as_posix() for c in index.of("slider")] == [
        "slider/test/anomaly_id_00_00000000.wav",
        "slider/test/id_01_00000007.wav",
        "slider/train/normal_id_00_00000000.wav",
    ]
    assert {c.section for c in index.of("fan")} == {"00", "03"}
    assert index.clips == index.of("fan") + index.of("slider")


def test_counts_have_a_row_for_each_section_domain_split_and_label(data: Path) -> None:
    rows = index_folder(data, ["fan"]).counts()
    assert rows == (
        CountRow("fan", "00", "source", "test", "anomaly", 1),
        CountRow("fan", "00", "source", "test", "normal", 1),
        CountRow("fan", "00", "source", "train", "normal", 1),
        CountRow("fan", "00", "target", "test", "normal", 1),
        CountRow("fan", "00", "target", "train", "normal", 1),
        CountRow("fan", "03", "source", "test", None, 2),
        CountRow("fan", "03", "source", "train", "normal", 1),
    )


def test_only_the_asked_machines_are_looked_at(data: Path) -> None:
    (data / "slider" / "train" / "odd.wav").touch()
    assert index_folder(data, ["fan"]).machines == ("fan",)


def test_the_digest_changes_with_one_byte_and_with_a_name_not_with_moving(data: Path, tmp_path: Path) -> None:
    before = index_folder(data)
    fan, slider = before.digest("fan"), before.digest("slider")
    assert fan == before.digest("fan")
    moved = tmp_path / "moved"
    shutil.move(data, moved)
    # dev and eval merged by hand are the same machine, too
    shutil.copytree(moved / "dev_data" / "fan", moved / "fan")
    shutil.copytree(moved / "eval_data" / "fan", moved / "fan", dirs_exist_ok=True)
    shutil.rmtree(moved / "dev_data")
    shutil.rmtree(moved / "eval_data")
    assert index_folder(moved).digest("fan") == fan

    clip = moved / "fan" / FAN[0]
    content = bytearray(clip.read_bytes())
    content[-1] ^= 1
    clip.write_bytes(bytes(content))
    after = index_folder(moved)
    assert after.digest("fan") != fan
    assert after.digest("slider") == slider

    test = moved / "slider" / "test"
    (test / "id_01_00000007.wav").rename(test / "id_01_00000008.wav")
    assert index_folder(moved).digest("slider") != slider


def test_a_recording_that_went_away_is_a_data_error(data: Path) -> None:
    index = index_folder(data)
    index.clips[0].path.unlink()
    with pytest.raises(DataError, match="can't be read"):
        index.digest("fan")


def test_an_unknown_machine_names_the_near_and_the_known_ones(data: Path) -> None:
    with pytest.raises(DataError, match=r"no machine type 'Fan'; did you mean fan\? there are: fan, slider"):
        index_folder(data, ["Fan"])
    with pytest.raises(DataError, match=r"'pump'; there are: fan, slider"):
        index_folder(data).of("pump")
    with pytest.raises(DataError, match="no machine type is asked for"):
        index_folder(data, [])


def test_folders_that_hold_no_machine_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        index_folder(tmp_path / "absent")
    with pytest.raises(DataError, match="no machine type in it"):
        index_folder(data / "ground_truth")
    with pytest.raises(DataError, match="folder of one machine type; give the one above it"):
        index_folder(data / "slider")


def test_bad_names_are_counted_the_first_named_and_all_listed_by_the_check(data: Path) -> None:
    for name in ("a.wav", "b.wav", "c.wav", "d.WAV", "normal_id_00_00000001.wav"):
        (data / "dev_data" / "fan" / "train" / name).write_bytes(b"")
    with pytest.raises(DataError) as caught:
        index_folder(data)
    message = str(caught.value)
    assert "4 bad" in message
    assert "a.wav" in message
    assert "and 1 more" in message
    assert f"oddsound data check {data}" in message
    assert message.isprintable()

    index, bad = check_folder(data)
    assert [path.name for path, _ in bad] == [
        "a.wav", "b.wav", "c.wav", "d.WAV", "normal_id_00_00000001.wav",
    ]  # fmt: skip
    assert "empty" in bad[-1][1]
    assert len(index.clips) == len(FAN) + len(FAN_EVALUATION) + len(SLIDER)


def test_the_same_name_in_development_and_evaluation_is_an_error(data: Path) -> None:
    write(data / "eval_data" / "fan", FAN[0])
    with pytest.raises(DataError, match=r"the same name as .*dev_data"):
        index_folder(data)
    assert len(check_folder(data)[1]) == 1


def test_a_machine_folder_without_recordings_is_an_error(data: Path) -> None:
    (data / "pump" / "train").mkdir(parents=True)
    with pytest.raises(DataError, match=r"pump: no \.wav in it"):
        index_folder(data)


def test_the_check_opens_each_recording(data: Path) -> None:
    clip = data / "slider" / SLIDER[0]
    clip.write_bytes(clip.read_bytes()[:-1])
    (data / "slider" / "test" / "id_01_00000009.wav").mkdir()
    index_folder(data)
    index, bad = check_folder(data)
    assert [reason.split(": ")[1].split(";")[0] for _, reason in bad] == [
        "not a file",
        "truncated",
    ]
    assert len(index.of("slider")) == 2


def test_a_recording_that_no_layout_claims_is_named(data: Path) -> None:
    machine = index_folder(data).clips[0].path.parents[1]
    stray = machine / "deep" / "train" / "section_00_source_train_normal_0000.wav"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"")
    bad = dict(check_folder(data)[1])
    assert "in no folder that a layout has" in bad[stray]
