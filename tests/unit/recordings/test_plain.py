"""Plain folders of one's own recordings: how they are cut, split and laid out."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import signal
from tests.own_machines import RATE, machine, record

from oddsound.errors import ConfigError, DataError, RecordingError
from oddsound.recordings.index import index_folder
from oddsound.recordings.plain import Preparing, has_made_up, prepare
from oddsound.recordings.plain.cuts import cut
from oddsound.recordings.plain.made_up import with_fault
from oddsound.recordings.reader import read_clip

ONE_SECOND = Preparing(clip_seconds=1.0)


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "clips.csv").read_text().splitlines()))


# How a recording is cut.


@settings(max_examples=30)
@given(st.sampled_from([8000, 11025, 16000, 22050, 44100, 48000]), st.integers(0, 2))
def test_clips_are_parts_of_the_whole_resampled(
    tmp_path_factory: pytest.TempPathFactory, rate: int, number: int
) -> None:
    path = record(tmp_path_factory.mktemp("cut") / "a.wav", 1.0, rate, seed=number)
    cuts = cut(path, RATE, 0.3, resample=True)
    samples, _ = soundfile.read(path, dtype="float32")
    common = np.gcd(rate, RATE)
    whole = signal.resample_poly(samples, RATE // common, rate // common)
    assert cuts.starts == (0, 4800, 9600) and cuts.rest == 1600
    start = cuts.starts[number]
    np.testing.assert_allclose(cuts.clip(start), whole[start : start + 4800], atol=1e-6)


def test_a_tone_keeps_its_pitch_and_level(tmp_path: Path) -> None:
    time = np.arange(44100) / 44100
    soundfile.write(tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 1000 * time), 44100, subtype="FLOAT")
    clip = cut(tmp_path / "a.wav", RATE, 0, resample=True).clip(0)
    expected = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    np.testing.assert_allclose(clip[500:-500], expected[500:-500], atol=2e-3)


@pytest.mark.parametrize(("seconds", "starts", "length"), [(0, (0,), 40000), (3, (0,), 40000)])
def test_short_recordings_stay_whole(
    tmp_path: Path, seconds: float, starts: tuple[int, ...], length: int
) -> None:
    cuts = cut(record(tmp_path / "a.wav", 2.5), RATE, seconds, resample=False)
    assert (cuts.starts, cuts.length, cuts.rest) == (starts, length, 0)


def test_another_rate_needs_to_be_asked_for(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="44100 Hz; 16000 Hz is expected: --resample converts it"):
        cut(record(tmp_path / "a.wav", 1, 44100), RATE, 1, resample=False)


def test_a_sample_that_is_not_finite_is_named(tmp_path: Path) -> None:
    samples = np.zeros(RATE, np.float32)
    samples[12_345] = np.nan
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    with pytest.raises(RecordingError, match="sample 12345 is NaN"):
        cut(tmp_path / "a.wav", RATE, 0.5, resample=False).clip(8000)


# How they are laid out.


def test_every_fifth_recording_is_for_the_test_and_no_clip_changes(tmp_path: Path) -> None:
    made = prepare(machine(tmp_path / "own"), tmp_path / "out", ONE_SECOND)
    index = index_folder(made.folder)
    assert {(c.split, c.label, c.n_clips) for c in index.counts()} == {
        ("train", "normal", 10),
        ("test", "normal", 2),
        ("test", "anomaly", 2),
    }
    test = [row["recording"] for row in rows(made.folder) if "test_normal" in row["file"]]
    assert test == ["press/normal/day 4.wav"] * 2
    for row in rows(made.folder):
        clip = read_clip(made.folder / row["file"])
        whole = read_clip(tmp_path / "own" / row["recording"])
        start = round(float(row["start_s"]) * RATE)
        np.testing.assert_array_equal(clip, whole[start : start + clip.size])
    assert any("3 s at the ends of recordings" in note for note in made.notes)


def test_of_few_recordings_the_last_part_is_for_the_test(tmp_path: Path) -> None:
    record(tmp_path / "own" / "mill" / "long.wav", 10)
    made = prepare(tmp_path / "own", tmp_path / "out", ONE_SECOND)
    starts = {row["file"].split("/")[1]: [] for row in rows(made.folder)}
    for row in rows(made.folder):
        if not int(row["made_up"]):
            starts[row["file"].split("/")[1]].append(float(row["start_s"]))
    assert starts == {"train": [0, 1, 2, 3, 4, 5, 6, 7], "source_test": [8, 9]}


def test_without_anomalies_faults_are_made_up_and_that_is_said(tmp_path: Path) -> None:
    made = prepare(machine(tmp_path / "own", n_anomalous=0), tmp_path / "out", ONE_SECOND)
    anomalous = [row for row in rows(made.folder) if row["label"] == "anomaly"]
    assert [row["made_up"] for row in anomalous] == ["1", "1"]
    assert any("faults are laid over the normal test clips" in note for note in made.notes)
    assert has_made_up(index_folder(made.folder).of("press"))
    for row in anomalous:
        fault = read_clip(made.folder / row["file"])
        normal = read_clip(made.folder / row["file"].replace("anomaly", "normal"))
        assert fault.shape == normal.shape and not np.allclose(fault, normal, atol=1e-3)


def test_what_is_measured_with_recordings_is_not_made_up(tmp_path: Path) -> None:
    machine(tmp_path / "own", n_anomalous=0)
    machine(tmp_path / "own", name="mill")
    index = index_folder(prepare(tmp_path / "own", tmp_path / "out", ONE_SECOND).folder)
    assert [has_made_up(index.of(name)) for name in ("press", "mill")] == [True, False]
    (index.root / "clips.csv").write_text("colour,taste\nred,\x00sour\n")
    assert not has_made_up(index.of("press")), "somebody else's table"
    (index.root / "clips.csv").unlink()
    assert not has_made_up(index.of("press"))


def test_24_bits_are_kept_and_other_rates_converted(tmp_path: Path) -> None:
    for number in range(2):
        record(tmp_path / "own" / "mill" / f"{number}.wav", 1, 48_000, number, "PCM_24")
    made = prepare(tmp_path / "own", tmp_path / "out", Preparing(resample=True))
    samples, _ = soundfile.read(tmp_path / "own" / "mill" / "0.wav", dtype="float32")
    clip = read_clip(made.folder / "mill" / "train" / "section_00_source_train_normal_0000.wav")
    np.testing.assert_allclose(clip, signal.resample_poly(samples, 1, 3), atol=1e-6)


def bytes_below(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_the_same_recordings_give_the_same_bytes_and_a_cut_short_call_is_gone_on_with(
    tmp_path: Path,
) -> None:
    own = machine(tmp_path / "own", n_anomalous=0)
    first = prepare(own, tmp_path / "first", ONE_SECOND, keyed=True).folder
    whole = bytes_below(first)

    def stop(_machine: str, done: int, _total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(own, tmp_path / "second", ONE_SECOND, told=stop, keyed=True)
    second = prepare(own, tmp_path / "second", ONE_SECOND, keyed=True).folder
    assert second.name == first.name and bytes_below(second) == whole
    times = {path: path.stat().st_mtime_ns for path in first.rglob("*.wav")}
    prepare(own, tmp_path / "first", ONE_SECOND, keyed=True)
    assert times == {path: path.stat().st_mtime_ns for path in first.rglob("*.wav")}


def test_other_recordings_are_another_folder_and_never_laid_over_these(tmp_path: Path) -> None:
    own = machine(tmp_path / "own")
    first = prepare(own, tmp_path / "run", ONE_SECOND, keyed=True).folder
    prepare(own, tmp_path / "out", ONE_SECOND)
    record(own / "press" / "normal" / "day 9.wav", 1.0)
    assert prepare(own, tmp_path / "run", ONE_SECOND, keyed=True).folder != first
    with pytest.raises(DataError, match="holds clips of other recordings or settings; choose another"):
        prepare(own, tmp_path / "out", ONE_SECOND)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    with pytest.raises(DataError, match="holds something else; choose another"):
        prepare(own, tmp_path / "full", ONE_SECOND)


def test_one_clip_is_too_little(tmp_path: Path) -> None:
    record(tmp_path / "own" / "mill" / "a.wav", 1)
    with pytest.raises(DataError, match="1 normal clip; two at least are needed"):
        prepare(tmp_path / "own", tmp_path / "out")


@pytest.mark.parametrize("seconds", [0.01, float("inf")])
def test_clips_that_are_none(seconds: float) -> None:
    with pytest.raises(ConfigError, match=r"s a clip: give 0\.064 at least, or 0"):
        Preparing(clip_seconds=seconds)


# Faults that are made up.


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1024, 16_000, 48_000]))
def test_a_made_up_fault_is_finite_as_long_and_about_as_loud(seed: int, n: int) -> None:
    clip: NDArray[np.float32] = np.random.default_rng(1).normal(0, 0.1, n).astype(np.float32)
    faulty, kind = with_fault(clip, np.random.default_rng(seed))
    again, _ = with_fault(clip, np.random.default_rng(seed))
    assert kind in ("speed", "rattle", "leak") and faulty.dtype == np.float32
    np.testing.assert_array_equal(faulty, again)
    assert np.isfinite(faulty).all() and faulty.shape == clip.shape
    assert 0.3 < faulty.std() / clip.std() < 4
