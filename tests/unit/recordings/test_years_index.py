"""Folders of 2022 and later: one test/, attributes_NN.csv, further sounds, and years that mix."""

from __future__ import annotations

import wave
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.unit.recordings.test_index import write

from oddsound.cli.data import data as data_command
from oddsound.errors import DataError
from oddsound.recordings.index import check_folder, index_folder
from oddsound.recordings.names import layout_of

PRINTER = [
    "train/section_00_source_train_normal_0000_.wav",
    "train/section_00_target_train_normal_0001_vel_9.wav",
    "test/section_00_source_test_normal_0000_.wav",
    "test/section_00_0001.wav",
]
TABLE = """file_name,d1p,d1v,d2p,d2v
3DPrinter/train/section_00_source_train_normal_0000_.wav,vel,8,mic,1
3DPrinter/train/section_00_target_train_normal_0001_vel_9.wav,vel,7,,
3DPrinter/test/section_00_0001.wav,noAttribute,,,
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write(tmp_path / "dev_data" / "3DPrinter", *PRINTER)
    (tmp_path / "dev_data" / "3DPrinter" / "attributes_00.csv").write_text(TABLE)
    return tmp_path


def test_the_table_says_what_the_name_does_not(data: Path) -> None:
    found = {clip.file: clip.attributes for clip in index_folder(data).of("3DPrinter")}
    assert found == {
        "section_00_source_train_normal_0000_.wav": "vel_8_mic_1",
        "section_00_target_train_normal_0001_vel_9.wav": "vel_9",
        "section_00_source_test_normal_0000_.wav": "",
        "section_00_0001.wav": "noAttribute",
    }
    assert layout_of(index_folder(data).clips) == "2022"


def test_attributes_are_part_of_the_digest_where_the_table_says_them(data: Path) -> None:
    def digest() -> str:
        return index_folder(data).digest("3DPrinter")

    table = data / "dev_data" / "3DPrinter" / "attributes_00.csv"
    before = digest()
    table.write_text(TABLE.replace("vel,8", "vel,3"))
    assert digest() != before
    table.write_text(TABLE.replace("vel,7", "vel,3"))  # of a name that says it itself
    assert digest() == before


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("name,d1p\nx,y\n", "attributes_00.csv: no column file_name"),
        (TABLE + "3DPrinter/train/x.wav,vel\n", "attributes_00.csv:5: 2 fields under 5 columns"),
        ("", "no column file_name"),
        ('file_name,d1p\n"x"y,z\n', "attributes_00.csv: can't be read as CSV"),
        ('file_name,d1p\nx,"a\nb"\n', "can't be printed"),
    ],
)
def test_a_bad_table_is_named(data: Path, table: str, says: str) -> None:
    (data / "dev_data" / "3DPrinter" / "attributes_00.csv").write_text(table)
    with pytest.raises(DataError, match=says):
        index_folder(data)


def test_further_sounds_are_left_alone(data: Path) -> None:
    write(data / "dev_data" / "3DPrinter", "supplemental/section_00_machine_0001_.wav")
    index, bad = check_folder(data)
    assert (len(index.clips), bad) == (4, [])


def test_two_channels_are_said(data: Path) -> None:
    path = data / "dev_data" / "3DPrinter" / PRINTER[0]
    with wave.open(str(path), "wb") as out:
        out.setparams((2, 2, 16_000, 0, "NONE", ""))
        out.writeframes(b"\1\0\2\0" * 1024)
    shown = CliRunner().invoke(data_command, ["check", str(data)])
    assert shown.exit_code == 0
    assert "1 recording has two channels; the first one is used\n" in shown.stderr


def test_years_are_kept_apart(data: Path) -> None:
    write(data / "eval_data" / "3DPrinter", "source_test/section_00_source_test_normal_0000.wav")
    with pytest.raises(DataError, match="beside source_test/ as in 2021; keep the years apart"):
        index_folder(data)


def test_the_same_clip_in_two_folders_is_still_named(data: Path) -> None:
    write(data / "eval_data" / "3DPrinter", PRINTER[0])
    with pytest.raises(DataError, match="the same name as"):
        index_folder(data)
