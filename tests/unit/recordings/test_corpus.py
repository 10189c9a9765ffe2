"""Labelled corpora: both styles, and each way in which one can be wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.corpora import KINDS, RATE, audioset_corpus, esc_corpus, sound

from oddsound.errors import DataError
from oddsound.recordings.corpus import read_corpus
from oddsound.recordings.sound import read_sound


@pytest.fixture
def esc(tmp_path: Path) -> Path:
    return esc_corpus(tmp_path / "esc", n_each=2, suffix="wav")


@pytest.fixture
def audioset(tmp_path: Path) -> Path:
    return audioset_corpus(tmp_path / "audioset")


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_esc_style(esc: Path) -> None:
    corpus = read_corpus(esc)
    assert (len(corpus.clips), corpus.folds, corpus.multi_label) == (12, (1, 2), False)
    assert corpus.classes == tuple(sorted(KINDS))
    first = corpus.clips[0]
    assert first.path == esc / "audio" / "1-tone-0.wav"
    assert (first.labels, first.fold, first.start, first.duration) == (("tone",), 1, 0.0, 1.0)


@pytest.mark.parametrize("place", ["meta", "."])
def test_where_the_table_and_the_audio_may_lie(esc: Path, place: str) -> None:
    (esc / "meta").mkdir()
    table = shutil.move(esc / "esc.csv", esc / place / "other.csv")
    clips = read_corpus(esc).clips
    assert read_corpus(Path(table)).clips == clips, "the table itself may be given"
    for path in (esc / "audio").iterdir():
        shutil.move(path, esc / path.name)
    assert [c.path.name for c in read_corpus(esc).clips] == [c.path.name for c in clips]


def test_the_digest_is_of_labels_and_sounds_not_of_the_place(esc: Path, tmp_path: Path) -> None:
    digest = read_corpus(esc).digest
    copy = shutil.copytree(esc, tmp_path / "copy")
    assert read_corpus(copy).digest == digest
    replace(copy / "esc.csv", "1-tone-0.wav,1", "1-tone-0.wav,2")
    assert read_corpus(copy).digest != digest
    soundfile.write(esc / "audio" / "1-tone-0.wav", sound("tone", 7), RATE)
    assert read_corpus(esc).digest != digest


def test_audioset_style(audioset: Path) -> None:
    corpus = read_corpus(audioset)
    assert (len(corpus.clips), corpus.multi_label, corpus.n_missing) == (12, True, 0)
    assert corpus.classes == ("/m/clicks", "/m/noise", "/m/tone")
    assert corpus.names["/m/tone"] == "Tone, so called"
    assert set(corpus.folds) <= {1, 2, 3, 4, 5}
    assert max(len(clip.labels) for clip in corpus.clips) == 2
    assert {clip.start for clip in corpus.clips} == {0.0}, "each file is its segment"


def test_an_evaluation_table_is_the_first_fold(audioset: Path) -> None:
    lines = (audioset / "segments.csv").read_text().splitlines(keepends=True)
    (audioset / "segments.csv").write_text("".join(lines[:-2]))
    (audioset / "eval_segments.csv").write_text("".join(lines[-2:]))
    corpus = read_corpus(audioset)
    assert [clip.fold for clip in corpus.clips] == [2] * 10 + [1] * 2


def test_a_segment_is_cut_from_a_longer_recording(audioset: Path) -> None:
    whole = sound("noise", 1, seconds=40.0)
    soundfile.write(audioset / "y-0001_Q.flac", whole, RATE)
    clip = next(c for c in read_corpus(audioset).clips if c.path.stem == "y-0001_Q")
    assert (clip.start, clip.duration) == (30.0, 1.0)
    samples, rate = read_sound(clip.path, clip.start, clip.duration)
    assert rate == RATE
    np.testing.assert_allclose(samples, whole[30 * RATE : 31 * RATE], atol=1e-4)


def test_missing_audio_of_audioset_is_counted_and_none_is_an_error(audioset: Path) -> None:
    files = sorted(audioset.glob("*.flac"))
    for path in files[3:]:
        path.unlink()
    corpus = read_corpus(audioset)
    assert (len(corpus.clips), corpus.n_missing) == (3, 9)
    for path in files[:3]:
        path.unlink()
    with pytest.raises(DataError, match="none of the 12 clips' audio is there"):
        read_corpus(audioset)


def test_channels_are_averaged(tmp_path: Path) -> None:
    left = sound("tone", 1)
    soundfile.write(tmp_path / "s.wav", np.stack([left, -left / 2], axis=1), RATE)
    samples, _ = read_sound(tmp_path / "s.wav", 0.0, 1.0)
    np.testing.assert_allclose(samples, left / 4, atol=1e-4)


def remove_column(folder: Path) -> None:
    replace(folder / "esc.csv", "fold", "fild")


def remove_audio(folder: Path) -> None:
    (folder / "audio" / "1-noise-0.wav").unlink()


def write_text(folder: Path) -> None:
    (folder / "audio" / "1-noise-0.wav").write_text("no sound")


def truncate(folder: Path) -> None:
    path = folder / "audio" / "1-noise-0.wav"
    path.write_bytes(path.read_bytes()[:2000])


def put(old: str, new: str) -> Callable[[Path], None]:
    return lambda folder: replace(folder / "esc.csv", old, new)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda folder: shutil.rmtree(folder), "no such folder"),
        (lambda folder: (folder / "esc.csv").unlink(), "no table of a labelled corpus"),
        (lambda folder: shutil.copy(folder / "esc.csv", folder / "esc2.csv"), "several tables"),
        (remove_column, "no column 'fold'"),
        (remove_audio, r"1 of 12 files of esc.csv are missing \(1-noise-0.wav\)"),
        (write_text, "1-noise-0.wav: not a WAV"),
        (truncate, "1-noise-0.wav: truncated"),
        (put("1-tone-1.wav", "1-tone-0.wav"), r"esc.csv:3: 1-tone-0.wav stands in line 2 already"),
        (put("1-tone-0.wav,1,0,tone,A", "1-tone-0.wav,1,0,tone"), "esc.csv:2: 4 fields under 5 columns"),
        (put("1-tone-0.wav,1", "1-tone-0.wav,one"), "esc.csv:2: fold 'one'"),
        (put("1-tone-0.wav,1", "../esc.csv,1"), "not a file's bare name"),
        (put("0,tone", "0,"), "has no category"),
        (put("0,tone", "0,tune"), "target '0' has more than one category"),
        (put("0,tone", "7,tone"), "category 'tone' has more than one target"),
        (put("1-tone-0.wav", '"1-tone-0.wav'), "can't be read as CSV"),
    ],
)
def test_what_is_wrong_with_an_esc_corpus_is_said_in_a_line(
    esc: Path, harm: Callable[[Path], object], message: str
) -> None:
    harm(esc)
    with pytest.raises(DataError, match=message) as raised:
        read_corpus(esc)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("y-0001_Q, 30.000, 31.000", "y-0001_Q, 31.000, 30.000", "starts at 31 s and ends at 30 s"),
        ("y-0001_Q, 30.000, 31.000", "y-0001_Q, nan, 31.000", "a time 'nan' is no plain number"),
        ("y-0001_Q, 30.000", "y-0000_Q, 0.000", "y-0000_Q from 0 s stands in segments.csv:4 already"),
        ("y-0001_Q,", "../../etc,", "holds more than letters"),
        ('"/m/noise"', '"/m/noise,"', "one is empty"),
        ('"/m/noise"', '"/m/noise", 1', "5 fields"),
    ],
)
def test_what_is_wrong_with_segments_is_said_in_a_line(
    audioset: Path, old: str, new: str, message: str
) -> None:
    replace(audioset / "segments.csv", old, new)
    with pytest.raises(DataError, match=message) as raised:
        read_corpus(audioset)
    assert "\n" not in str(raised.value)


def test_the_same_sound_twice_is_an_error(audioset: Path) -> None:
    (audioset / "audio").mkdir()
    shutil.copy(audioset / "y-0001_Q.flac", audioset / "audio")
    with pytest.raises(DataError, match="the same name as"):
        read_corpus(audioset)


def test_names_of_labels_are_read_strictly(audioset: Path) -> None:
    (audioset / "class_labels_indices.csv").write_text("index,mid\n0,/m/tone\n")
    with pytest.raises(DataError, match="isn't index,mid,display_name"):
        read_corpus(audioset)
