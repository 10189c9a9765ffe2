"""What comes out of a zip, and what must not."""

from __future__ import annotations

import io
import stat
import zipfile
from pathlib import Path

import pytest
from tests.archives import TABLE, dev_2021, labels_2021, packed, wav

from oddsound.errors import ArchiveError, DataError
from oddsound.recordings.archives import members
from oddsound.recordings.archives.listing import Archive, machine_in
from oddsound.recordings.archives.records import Part
from oddsound.recordings.archives.unpack import Unpacked, unpack
from oddsound.recordings.index import index_folder

CLIP = "train/section_00_source_train_normal_0000.wav"


def bring(tmp_path: Path, content: bytes, key: str = "dev_data_fan.zip", part: Part = "dev") -> Unpacked:
    """Unpack into tmp_path/data by way of tmp_path/scratch, which is left as it was."""
    path = tmp_path / key
    path.write_bytes(content)
    machine = "" if part == "labels" else machine_in(path.stem)
    archive = Archive(key, part, machine, len(content), "md5", "0" * 32, "")
    return unpack(path, archive, tmp_path / "data", tmp_path / "scratch", lambda *_: None)


def there(tmp_path: Path) -> list[str]:
    data = tmp_path / "data"
    return sorted(str(path.relative_to(data)) for path in data.rglob("*") if path.is_file())


@pytest.mark.parametrize("lead", ["", "dev_data_fan/", "dev_data/raw/"])
def test_recordings_come_to_their_machine_type(tmp_path: Path, lead: str) -> None:
    unpacked = bring(tmp_path, dev_2021("fan", lead=lead))
    assert there(tmp_path) == [
        "fan/source_test/section_00_source_test_normal_0000.wav",
        "fan/target_test/section_00_target_test_normal_0000.wav",
        "fan/train/section_00_source_train_normal_0000_speed_1.wav",
        "fan/train/section_00_source_train_normal_0001_speed_1.wav",
    ]
    assert (sorted(unpacked.files), unpacked.n_new, unpacked.n_left) == (there(tmp_path), 4, 1)
    assert set(unpacked.files.values()) == {len(wav(0))}
    assert (tmp_path / "data/fan/train/section_00_source_train_normal_0001_speed_1.wav").read_bytes() == wav(
        1
    )
    assert len(index_folder(tmp_path / "data").clips) == 4


@pytest.mark.parametrize("lead", ["", "dev_data_fan/"])
def test_a_zip_that_begins_with_the_folders_is_of_its_names_machine_type(tmp_path: Path, lead: str) -> None:
    bring(tmp_path, packed({f"{lead}{CLIP}": wav(0), f"{lead}attributes_00.csv": b"file_name\n"}))
    assert there(tmp_path) == ["fan/attributes_00.csv", f"fan/{CLIP}"]


def test_everything_else_is_left_out(tmp_path: Path) -> None:
    others = ("README.md", "fan/LICENSE", "fan/supplemental/section_00_0000.wav", "__MACOSX/fan/train/x.wav")
    hidden = ("fan/train/._x.wav", "fan/train/.DS_Store", "fan/train/notes.txt", "fan/x.wav")
    found = bring(tmp_path, packed({f"fan/{CLIP}": wav(0)} | dict.fromkeys((*others, *hidden), b"x")))
    assert (there(tmp_path), found.n_left) == ([f"fan/{CLIP}"], 8)


def test_labels_come_to_ground_truth(tmp_path: Path) -> None:
    bring(tmp_path, labels_2021("fan"), "labels.zip", "labels")
    names = [f"ground_truth/ground_truth_fan_section_03_{d}_test.csv" for d in ("source", "target")]
    assert there(tmp_path) == names
    inner = {f"x/ground_truth_{k}/ground_truth_fan_section_00_test.csv": b"0" for k in ("data", "domain")}
    bring(tmp_path / "b", packed(inner), "labels.zip", "labels") if (tmp_path / "b").mkdir() is None else None
    assert there(tmp_path / "b") == [f"ground_truth/{name[2:]}" for name in sorted(inner)]


def test_a_table_of_labels_needs_no_packing(tmp_path: Path) -> None:
    assert bring(tmp_path, b"fan\n", "eval_data_list.csv", "labels").n_new == 1
    assert bring(tmp_path, b"fan\n", "eval_data_list.csv", "labels").n_new == 0
    assert bring(tmp_path, b"fan\n", "readme.csv", "labels").files == {}
    assert there(tmp_path) == ["ground_truth/eval_data_list.csv"]


def test_the_same_again_changes_nothing(tmp_path: Path) -> None:
    bring(tmp_path, dev_2021("fan"))
    (tmp_path / "data" / "fan" / "target_test" / "section_00_target_test_normal_0000.wav").unlink()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*.wav")}
    again = bring(tmp_path, dev_2021("fan"))
    assert (len(again.files), again.n_new) == (4, 1)
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())


def test_a_file_with_other_content_is_not_overwritten(tmp_path: Path) -> None:
    mine = tmp_path / "data" / "fan" / "target_test" / "section_00_target_test_normal_0000.wav"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    with pytest.raises(
        DataError, match=f"{mine}: is there with other content than in dev_data_fan.zip; move"
    ):
        bring(tmp_path, dev_2021("fan"))
    assert (there(tmp_path), mine.read_bytes()) == ([str(mine.relative_to(tmp_path / "data"))], b"mine")


def test_a_link_in_the_way_is_not_followed(tmp_path: Path) -> None:
    mine = tmp_path / "data" / "fan" / "target_test" / "section_00_target_test_normal_0000.wav"
    mine.parent.mkdir(parents=True)
    mine.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="is there with other content"):
        bring(tmp_path, dev_2021("fan"))
    assert not (tmp_path / "elsewhere").exists()


def test_tables_of_two_archives_stand_side_by_side(tmp_path: Path) -> None:
    table, clip = TABLE.format(machine="fan"), "test/section_00_0000.wav"
    train = packed(
        {
            "fan/train/section_00_source_train_normal_0000_.wav": wav(0),
            "fan/attributes_00.csv": table.encode(),
        }
    )
    test = packed(
        {f"fan/{clip}": wav(1), "fan/attributes_00.csv": f"file_name,d1p,d1v\nfan/{clip},car,2\n".encode()}
    )
    for _ in range(2):
        bring(tmp_path, train, "eval_data_fan_train.zip", "train")
        bring(tmp_path, test, "eval_data_fan_test.zip", "test")
        tables = [name for name in there(tmp_path) if name.endswith(".csv")]
        assert tables == ["fan/attributes_00.csv", "fan/attributes_00_eval_data_fan_test.csv"]
    assert {clip.attributes for clip in index_folder(tmp_path / "data").clips} == {"vel_1", "car_2"}


@pytest.mark.parametrize(
    ("name", "flaw"),
    [
        ("../fan/train/x.wav", "a name that leads elsewhere"),
        ("fan/../../x.wav", "a name that leads elsewhere"),
        ("fan/./train/x.wav", "a name that leads elsewhere"),
        ("fan//train/x.wav", "a name that leads elsewhere"),
        ("/fan/train/x.wav", "an absolute name"),
        ("//host/share/fan/train/x.wav", "an absolute name"),
        ("C:/fan/train/x.wav", "an absolute name"),
        ("fan\\train\\x.wav", "a name with odd characters"),
        ("..\\x.wav", "a name with odd characters"),
        ("fan/train/x\n.wav", "a name with odd characters"),
        ("fan/train/\x1b[2Jx.wav", "a name with odd characters"),
        ("../README", "a name that leads elsewhere"),
        ("../", "a name that leads elsewhere"),
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str, flaw: str) -> None:
    with pytest.raises(
        ArchiveError,
        match=f"dev_data_fan.zip: .*: {flaw}; nothing of it was unpacked: --parts and --machines leave",
    ) as said:
        bring(tmp_path, packed({f"fan/{CLIP}": wav(0), name: b"x"}))
    assert "\n" not in str(said.value)
    assert there(tmp_path) == []


def test_a_name_cut_by_a_nul_is_refused(tmp_path: Path) -> None:
    content = packed({f"fan/{CLIP}": wav(0), "fan/train/x_.wav": b"x"}).replace(b"x_.wav", b"x\0.wav")
    with pytest.raises(ArchiveError, match="odd characters"):
        bring(tmp_path, content)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFDIR])
def test_links_and_devices_are_refused(tmp_path: Path, kind: int) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as out:
        info = zipfile.ZipInfo(f"fan/{CLIP}")
        info.external_attr = (kind | 0o777) << 16
        out.writestr(info, "/etc/passwd")
    with pytest.raises(ArchiveError, match="a link or a device"):
        bring(tmp_path, stream.getvalue())
    assert there(tmp_path) == []


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("second", [f"fan/{CLIP}", f"fan/{CLIP.upper()}", f"fan/{CLIP}/"])
def test_a_name_twice_is_refused(tmp_path: Path, second: str) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as out:
        out.writestr(f"fan/{CLIP}", wav(0))
        out.writestr(second, b"")
    with pytest.raises(ArchiveError, match="a name that is there twice"):
        bring(tmp_path, stream.getvalue())


def test_two_members_for_one_place_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=f"b/fan/{CLIP}: would be fan/{CLIP} a second time"):
        bring(tmp_path, packed({f"a/fan/{CLIP}": wav(0), f"b/fan/{CLIP}": wav(0)}))


def test_another_machine_types_recordings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="of valve, the archive's name says fan"):
        bring(tmp_path, packed({f"fan/{CLIP}": wav(0), f"valve/{CLIP}": wav(0)}))


@pytest.mark.parametrize("part", ["dev", "labels"])
def test_an_archive_with_nothing_in_it_is_named(tmp_path: Path, part: Part) -> None:
    with pytest.raises(ArchiveError, match=r"holds no (labels|recordings)"):
        bring(tmp_path, packed({"README": b""}), part=part)


def test_labelled_recordings_are_no_labels(tmp_path: Path) -> None:
    """They would be the evaluation clips a second time."""
    with pytest.raises(ArchiveError, match="holds no labels"):
        bring(tmp_path, packed({f"fan/{CLIP}": wav(0)}), "labels.zip", "labels")


def flagged(content: bytes, bit: int) -> bytes:
    """The zip with a flag set in each header, as an encrypted one has it."""
    for signature, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        begin = 0
        while (begin := content.find(signature, begin)) >= 0:
            place = begin + at
            content = content[:place] + bytes([content[place] | bit]) + content[place + 1 :]
            begin = place
    return content


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="encrypted"):
        bring(tmp_path, flagged(packed({f"fan/{CLIP}": wav(0)}), 1))


def test_a_method_that_isnt_known_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"packed by a method \(12\)"):
        bring(tmp_path, packed({f"fan/{CLIP}": wav(0)}, zipfile.ZIP_BZIP2))


def test_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ArchiveError, match="would unpack to 4000000 bytes packed into"):
        bring(tmp_path, packed({f"fan/{CLIP}": bytes(4_000_000)}))
    monkeypatch.setattr(members, "MAX_MEMBERS", 2)
    with pytest.raises(ArchiveError, match="would unpack to 5 files, more than 2"):
        bring(tmp_path, dev_2021("fan"))
    monkeypatch.undo()
    monkeypatch.setattr(members, "MAX_BYTES", 1000)
    with pytest.raises(ArchiveError, match="bytes, more than 1000"):
        bring(tmp_path, dev_2021("fan"))
    assert there(tmp_path) == []


def test_a_size_that_is_no_truth_is_refused(tmp_path: Path) -> None:
    """A bomb that says it were small: no more than it says is read, and its CRC is then wrong."""
    big, small = (4_000_000).to_bytes(4, "little"), (100).to_bytes(4, "little")
    with pytest.raises(ArchiveError, match="damaged at its source"):
        bring(tmp_path, packed({f"fan/{CLIP}": bytes(4_000_000)}).replace(big, small))
    assert there(tmp_path) == []


def test_damage_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    whole = dev_2021("fan")
    middle = len(whole) // 2
    damaged = [b"", b"no zip", whole[:-30], whole[:middle], whole[middle:]]
    damaged += [whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :] for place in (200, middle)]
    for content in damaged:
        with pytest.raises(ArchiveError, match=r"dev_data_fan.zip: (damaged|.*nothing of it was unpacked)"):
            bring(tmp_path, content)
        assert there(tmp_path) == []
        for left in sorted((tmp_path / "scratch").rglob("*"), reverse=True):
            left.rmdir() if left.is_dir() else left.unlink()


def test_any_byte_wrong_is_our_own_error_or_harmless(tmp_path: Path) -> None:
    whole = packed({f"fan/{CLIP}": wav(0, 40), "fan/LICENSE": b"CC"})
    for place in range(len(whole)):
        (case := tmp_path / str(place)).mkdir()
        try:
            bring(case, whole[:place] + bytes([whole[place] ^ 0x15]) + whole[place + 1 :])
        except DataError:
            assert there(case) == []
            continue
        for name in there(case):
            assert name.startswith("fan/train/")
            assert (case / "data" / name).read_bytes() == wav(0, 40)
