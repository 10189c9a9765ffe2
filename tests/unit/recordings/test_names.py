"""The grammar of file names: known answers of every layout, contradictions, round trips, fuzz."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oddsound.errors import FileNameError
from oddsound.recordings.clip import Clip
from oddsound.recordings.names import FOLDERS, ScoreName, layout_of, parse_clip, parse_score_name

KNOWN = [
    ("train", "normal_id_00_00000012.wav", ("00", "source", "train", "normal", "")),
    ("test", "normal_id_02_00000000.wav", ("02", "source", "test", "normal", "")),
    ("test", "anomaly_id_06_00000265.wav", ("06", "source", "test", "anomaly", "")),
    ("test", "id_05_00000123.wav", ("05", "source", "test", None, "")),
    ("train", "section_00_source_train_normal_0000.wav", ("00", "source", "train", "normal", "")),
    (
        "train",
        "section_03_target_train_normal_0002_strength_1_ambient.wav",
        ("03", "target", "train", "normal", "strength_1_ambient"),
    ),
    (
        "source_test",
        "section_01_source_test_anomaly_0099_volt-3_A B.5.wav",
        ("01", "source", "test", "anomaly", "volt-3_A B.5"),
    ),
    ("target_test", "section_02_target_test_normal_0107.wav", ("02", "target", "test", "normal", "")),
    ("source_test", "section_03_source_test_0000.wav", ("03", "source", "test", None, "")),
    ("target_test", "section_05_target_test_0199.wav", ("05", "target", "test", None, "")),
    ("target_test", "section_05_target_test_0199_0001.wav", ("05", "target", "test", None, "0001")),
    # 2022: one test folder for both domains, and evaluation clips that hide the domain
    ("train", "section_00_source_train_normal_0000_m-n_W.wav", ("00", "source", "train", "normal", "m-n_W")),
    ("test", "section_00_source_test_normal_0000_m-n_W.wav", ("00", "source", "test", "normal", "m-n_W")),
    ("test", "section_02_target_test_anomaly_0049.wav", ("02", "target", "test", "anomaly", "")),
    ("test", "section_03_0000.wav", ("03", "", "test", None, "")),
    ("test", "section_05_test_0199.wav", ("05", "", "test", None, "")),
    # 2023: section 00 alone
    (
        "test",
        "section_00_source_test_anomaly_0008_car_A2_spd_28V_mic_1_noise_1.wav",
        ("00", "source", "test", "anomaly", "car_A2_spd_28V_mic_1_noise_1"),
    ),
    # 2024: evaluation clips from 0001, machine types without attributes
    ("test", "section_00_0001.wav", ("00", "", "test", None, "")),
    (
        "train",
        "section_00_target_train_normal_0009_noAttribute.wav",
        ("00", "target", "train", "normal", "noAttribute"),
    ),
    # 2025 and 2026: an empty tail
    ("train", "section_00_source_train_normal_0989_.wav", ("00", "source", "train", "normal", "")),
    ("test", "section_00_target_test_anomaly_0049_.wav", ("00", "target", "test", "anomaly", "")),
    ("test", "section_00_0199_.wav", ("00", "", "test", None, "")),
    # unpadded sections
    ("train", "section_0_source_train_normal_0000.wav", ("00", "source", "train", "normal", "")),
    ("test", "section_3_0012.wav", ("03", "", "test", None, "")),
]

CONTRADICTIONS = [
    ("source_test", "section_00_target_test_normal_0000.wav", "target_test/"),
    ("target_test", "section_00_source_test_0000.wav", "source_test/"),
    ("train", "section_00_source_test_normal_0000.wav", "source_test/"),
    ("source_test", "section_00_source_train_normal_0000.wav", "train/"),
    ("train", "section_00_source_train_anomaly_0000.wav", "say normal"),
    ("train", "section_00_source_train_0000.wav", "say normal"),
    ("target_test", "section_00_source_test_normal_0000.wav", "source_test/ or test/"),
    ("source_test", "section_03_0000.wav", "test/"),
    ("train", "section_03_0000.wav", "test/"),
    ("train", "anomaly_id_00_00000000.wav", "test/"),
    ("train", "id_00_00000000.wav", "test/"),
    ("source_test", "normal_id_00_00000000.wav", "train/ or test/"),
    ("elsewhere", "normal_id_00_00000000.wav", "elsewhere"),
]

UNKNOWN = [
    "",
    ".wav",
    "readme.txt",
    "normal_id_00_00000000.flac",
    "normal_id_00_00000000.WAV",
    "normal_id_00_0000000.wav",
    "normal_id_0_00000000.wav",
    "odd_id_00_00000000.wav",
    "section_00_source_test_normal_000.wav",
    "section_00_both_test_normal_0000.wav",
    "section_03_000.wav",
    "section_03_normal_0000.wav",
    "section_03_source_0000.wav",
    "section_00_0000_attribute.wav",
    "section_00_source_test_normal_0000_a,b.wav",
    "section_00_source_test_normal_0000_a\nb.wav",
    "section_00_source_test_normal_0000.wav\n",
    "section_٠٠_source_test_normal_0000.wav",
    "../section_00_source_test_normal_0000.wav",
    "section_00_source_test_normal_0000_\udcff.wav",
    "section_00_source_test_normal_" + "0" * 5000 + ".wav",
]


@pytest.mark.parametrize(("folder", "file", "expected"), KNOWN)
def test_a_name_of_each_layout_says_what_it_should(
    folder: str, file: str, expected: tuple[object, ...]
) -> None:
    path = Path("/data/fan") / folder / file
    clip = parse_clip(path, "fan", folder)
    assert clip == Clip(path, "fan", *expected)  # type: ignore[arg-type]
    assert clip.file == file


@pytest.mark.parametrize(("folder", "file", "says"), CONTRADICTIONS)
def test_a_name_that_contradicts_its_folder_is_refused(folder: str, file: str, says: str) -> None:
    with pytest.raises(FileNameError) as caught:
        parse_clip(Path("fan") / folder / file, "fan", folder)
    assert file in str(caught.value)
    assert says in str(caught.value)


@pytest.mark.parametrize("file", UNKNOWN)
@pytest.mark.parametrize("folder", ["train", "source_test"])
def test_a_name_of_no_layout_is_refused_in_one_line(folder: str, file: str) -> None:
    with pytest.raises(FileNameError) as caught:
        parse_clip(Path(f"{folder}/{file}"), "fan", folder) if "/" not in file else parse_score_name(file)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("section_00_source_test_anomaly_0012.wav", ScoreName("00", "source", "anomaly", 12,
                                                              "section_00_source_test_anomaly")),
        ("section_03_target_test_0199.wav", ScoreName("03", "target", None, 199, "section_03_target_test")),
        ("section_00_target_test_normal_0001_w_1.wav",
         ScoreName("00", "target", "normal", 1, "section_00_target_test_normal", "w_1")),
        ("anomaly_id_06_00000265.wav", ScoreName("06", "source", "anomaly", 265, "anomaly_id_06")),
        ("id_05_00000123.wav", ScoreName("05", "source", None, 123, "id_05")),
        ("section_03_0007.wav", ScoreName("03", "", None, 7, "section_03")),
        ("section_0_test_0007_.wav", ScoreName("00", "", None, 7, "section_0_test")),
    ],
)  # fmt: skip
def test_a_name_in_a_score_file(file: str, expected: ScoreName) -> None:
    assert parse_score_name(file) == expected


@pytest.mark.parametrize("file", [*UNKNOWN, "section_00_source_train_normal_0000.wav"])
def test_a_score_file_may_not_hold_other_names(file: str) -> None:
    with pytest.raises(FileNameError):
        parse_score_name(file)


_ATTRIBUTES = st.text(
    st.characters(exclude_characters=',"/\\', exclude_categories=["C", "Zl", "Zp", "Zs"]), max_size=20
)


@settings(deadline=None)
@given(
    section=st.integers(0, 99),
    domain=st.sampled_from(["source", "target"]),
    label=st.sampled_from(["normal", "anomaly", None]),
    number=st.integers(0, 9999),
    attributes=_ATTRIBUTES,
)
def test_names_of_2021_go_round(
    section: int, domain: str, label: str | None, number: int, attributes: str
) -> None:
    prefix = f"section_{section:02d}_{domain}_test" + (f"_{label}" if label else "")
    file = f"{prefix}_{number:04d}" + (f"_{attributes}" if attributes else "") + ".wav"
    assert parse_score_name(file) == ScoreName(
        f"{section:02d}",
        domain,  # type: ignore[arg-type]
        label,  # type: ignore[arg-type]
        number,
        prefix,
        attributes,
    )
    clip = parse_clip(Path(file), "fan", f"{domain}_test")
    assert (clip.section, clip.domain, clip.label, clip.attributes) == (
        f"{section:02d}", domain, label, attributes,
    )  # fmt: skip


@settings(deadline=None)
@given(
    section=st.integers(0, 99),
    is_padded=st.booleans(),
    says_test=st.booleans(),
    number=st.integers(0, 99_999_999),
    tail=st.sampled_from(["", "_"]),
)
def test_hidden_names_go_round(
    section: int, is_padded: bool, says_test: bool, number: int, tail: str
) -> None:
    prefix = f"section_{section:02d}" if is_padded else f"section_{section}"
    prefix += "_test" if says_test else ""
    file = f"{prefix}_{number:04d}{tail}.wav"
    assert parse_score_name(file) == ScoreName(f"{section:02d}", "", None, number, prefix)
    assert parse_clip(Path(file), "3DPrinter", "test").file == file


TRAIN = "train/section_00_source_train_normal_0000.wav"


@pytest.mark.parametrize(
    ("places", "layout"),
    [
        (["train/normal_id_00_00000000.wav", "test/id_01_00000000.wav"], "2020"),
        ([TRAIN], "2021"),
        ([TRAIN, "source_test/section_03_source_test_0000.wav"], "2021"),
        ([TRAIN, "test/section_00_source_test_normal_0000.wav"], "2022"),
        ([TRAIN, "test/section_03_0000.wav"], "2022"),
    ],
)  # fmt: skip
def test_the_layout_of_clips(places: list[str], layout: str) -> None:
    paths = [Path("fan") / place for place in places]
    assert layout_of([parse_clip(path, "fan", path.parent.name) for path in paths]) == layout


_PIECES = ["section", "id", "_", "00", "0000", "00000000", "source", "target", "train", "test"]
_PIECES += ["normal", "anomaly", ".wav", "x", "\n", "٣"]
_ALMOST = st.lists(st.sampled_from(_PIECES), max_size=16).map("".join)


@settings(deadline=None)
@given(file=st.text(max_size=60) | _ALMOST, folder=st.sampled_from(FOLDERS) | st.text(max_size=8))
def test_any_text_parses_or_raises_our_own_error(file: str, folder: str) -> None:
    for parse in (parse_score_name, lambda f: parse_clip(Path(f), "fan", folder)):
        try:
            parse(file)
        except FileNameError as error:
            assert str(error).isprintable()


SHARED = Path(__file__).resolve().parents[3] / "../shared/data"


@pytest.mark.skipif(not SHARED.is_dir(), reason="no real data beside the checkout")
def test_every_name_of_the_real_scores_labels_and_recordings_parses() -> None:
    n_scores = 0
    for path in [*SHARED.glob("dcase2021_scores/anomaly_*"), *SHARED.glob("dcase2021_ground_truth/*.csv")]:
        for file, _ in csv.reader(path.read_text().splitlines()):
            name = parse_score_name(file)
            assert f"section_{name.section}_{name.domain}_test.csv" in path.name
            n_scores += 1
    assert n_scores == 8621 + 8635
    with (SHARED / "slider2020" / "manifest.csv").open(newline="") as manifest:
        clips = [parse_clip(Path(r["path"]), "slider", Path(r["path"]).parent.name)
                 for r in csv.DictReader(manifest)]  # fmt: skip
    assert {clip.section for clip in clips} == {"00", "02", "04", "06"}
