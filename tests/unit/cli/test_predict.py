"""`oddsound predict`: which clips, which model, and what is said of those that can't be scored."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.unit.cli.conftest import Said

from oddsound.cli.verdict_files import writing
from oddsound.recordings import reader
from oddsound.training.bundle import Bundle, finished
from oddsound.training.detector import Detector
from oddsound.training.verdicts import Verdict

COLUMNS = ["file", "machine", "section", "anomaly_score", "threshold", "decision"]


def wav(path: Path, seconds: float = 1.0, rate: int = 16000, channels: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tone = np.sin(np.arange(round(seconds * rate)) / 9) / 4
    soundfile.write(path, np.stack([tone] * channels, axis=1), rate)
    return path


def test_of_two_channels_the_first_is_scored_and_that_is_said(
    predict, bundle: Bundle, tmp_path: Path
) -> None:
    alone = wav(tmp_path / "a.wav")
    tone, rate = soundfile.read(alone)
    both = tmp_path / "b.wav"
    soundfile.write(both, np.stack([tone, np.zeros_like(tone)], axis=1), rate)
    said = predict("--model", bundle.path, "--section", "00", alone, both)
    first, second = said.out.splitlines()[1:]
    assert first.split(",")[1:] == second.split(",")[1:]
    assert said.err.count("has two channels; of such the first one is used") == 1


def test_the_scores_are_the_trials(predict, run: Path, trained: Path, small_data: Path) -> None:
    said = predict("--model", "models:/tiny.fan@champion", "--run", run, small_data / "fan")
    assert said.code == 0 and said.out.splitlines()[0] == ",".join(COLUMNS)
    best = min(finished(trained, "fan"), key=lambda b: (-b.result().omega, b.path.name))
    table = best.scores()
    expected = {(s, f): x for s, f, x in zip(table.split, table.file, table.score, strict=True)}
    rows = said.rows
    assert len(rows) == len(expected) == 84
    for row in rows:
        path = Path(row["file"])
        split = "train" if path.parent.name == "train" else "test"
        assert float(row["anomaly_score"]) == expected[split, path.name]
        assert row["decision"] == str(int(float(row["anomaly_score"]) > float(row["threshold"])))
        assert (row["machine"], row["section"]) == ("fan", path.name.split("_")[1])
    assert said.err == f"84 clips, {sum(int(row['decision']) for row in rows)} above the threshold\n"


@pytest.mark.parametrize(("given", "sizes"), [([], [16, 4]), (["--batch-size", "7"], [7, 7, 6])])
def test_no_more_clips_are_held_than_asked_for(
    predict,
    bundle: Bundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: list[str],
    sizes: list[int],
) -> None:
    seen: list[int] = []
    real = Detector._outputs

    def outputs(detector: Detector, clips: list[object]) -> np.ndarray:
        seen.append(len(clips))
        return real(detector, clips)

    monkeypatch.setattr(Detector, "_outputs", outputs)
    wav(tmp_path / "00.wav")
    for number in range(1, 20):
        (tmp_path / f"{number:02d}.wav").hardlink_to(tmp_path / "00.wav")
    assert predict("--model", bundle.path, "--section", "00", *given, tmp_path).code == 0
    assert seen == sizes


def test_a_data_folder_gives_the_models_own_machine_type(predict, run: Path, small_data: Path) -> None:
    said = predict("--model", "models:/tiny.valve/1", "--run", run, small_data)
    assert {row["machine"] for row in said.rows} == {"valve"} and len(said.rows) == 84
    assert said.err.startswith("left out: 84 of fan; the model is of valve\n")


def test_the_store_can_be_an_address(predict, run: Path, small_data: Path) -> None:
    uri = f"sqlite:///{run / 'mlflow' / 'mlflow.db'}"
    (clip,) = (small_data / "fan" / "source_test").glob("section_00*normal_0000.wav")
    said = predict("--model", "models:/tiny.fan@top-2", "--tracking-uri", uri, clip)
    assert [row["file"] for row in said.rows] == [str(clip)]


def test_json_has_the_probabilities(predict, bundle: Bundle, small_data: Path) -> None:
    said = predict("--json", "--model", bundle.path, small_data / "fan" / "target_test")
    documents = json.loads(said.out)
    assert len(documents) == 24
    assert documents[0].keys() == {*COLUMNS, "section_probabilities"}
    assert sum(documents[0]["section_probabilities"].values()) == pytest.approx(1)


def test_a_file_is_whole_or_as_it_was(predict, bundle: Bundle, small_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.csv"
    said = predict("--model", bundle.path, "--out", out, small_data / "fan" / "target_test")
    assert said.code == 0 and said.out == "" and len(out.read_text().splitlines()) == 25
    before = out.read_text()
    wav(tmp_path / "clips" / "a.wav")
    wav(tmp_path / "clips" / "b.wav", rate=8000)
    said = predict("--model", bundle.path, "--out", out, "--section", "00", tmp_path / "clips")
    assert said.code == 3 and out.read_text() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clips", "scores.csv"]


def test_a_name_without_a_section_needs_one(predict, bundle: Bundle, tmp_path: Path) -> None:
    clip = wav(tmp_path / "new.WAV")
    said = predict("--model", bundle.path, clip)
    assert (said.code, said.out) == (3, "")
    assert said.err == (
        f"oddsound: {clip}: its name says no section; give --section; it knows 00, 01, 02, 03, 04, 05\n"
    )
    said = predict("--model", bundle.path, "--section", "04", tmp_path)
    assert [row["section"] for row in said.rows] == ["04"]
    said = predict("--model", bundle.path, "--section", "4", tmp_path)
    assert (said.code, said.err) == (
        2, "oddsound: --section 4: the model of fan knows 00, 01, 02, 03, 04, 05\n",
    )  # fmt: skip


def test_a_names_own_section_counts(predict, bundle: Bundle, tmp_path: Path) -> None:
    wav(tmp_path / "section_03_source_test_0000.wav")
    wav(tmp_path / "section_09_source_test_0000.wav")
    said = predict("--model", bundle.path, "--section", "00", tmp_path / "section_03_source_test_0000.wav")
    assert [row["section"] for row in said.rows] == ["03"]
    said = predict("--model", bundle.path, tmp_path)
    assert said.code == 3 and "section 09 is unknown to the model; it knows 00" in said.err


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: wav(path, rate=8000), "8000 Hz; 16000 Hz is expected"),
        (lambda path: wav(path, rate=48000), "48000 Hz; 16000 Hz is expected"),  # and not too long
        (lambda path: wav(path, channels=3), "3 channels; one or two"),
        (lambda path: wav(path, seconds=1.1), "1.10 s, 33 frames; "),
        (lambda path: wav(path, seconds=0.05), "800 samples; at least 1024"),
        (lambda path: path.write_bytes(b"no sound"), "not a WAV"),
        (lambda path: path.write_bytes(b""), "empty"),
    ],
)
def test_a_clip_that_cant_be_scored_is_named(
    predict, bundle: Bundle, tmp_path: Path, spoil: object, message: str
) -> None:
    path = tmp_path / "x.wav"
    spoil(path)  # type: ignore[operator]
    said = predict("--model", bundle.path, "--section", "00", path)
    assert (said.code, said.out) == (3, "") and len(said.err.splitlines()) == 1
    assert said.err.startswith(f"oddsound: {path}: ") and message in said.err


def test_a_short_clip_is_padded_and_that_is_said(predict, bundle: Bundle, tmp_path: Path) -> None:
    wav(tmp_path / "x.wav", seconds=0.5)
    said = predict("--model", bundle.path, "--section", "00", tmp_path)
    assert said.code == 0 and "1 shorter than the clips that the model was trained on" in said.err


def test_nothing_to_score_is_said(predict, bundle: Bundle, small_data: Path, tmp_path: Path) -> None:
    said = predict("--model", bundle.path, tmp_path)
    assert said.code == 3 and "no .wav in it or below it" in said.err
    said = predict("--model", bundle.path, tmp_path / "nowhere")
    assert said.code == 3 and "no such file or folder" in said.err
    data = tmp_path / "data"
    shutil.copytree(small_data / "valve", data / "valve")
    said = predict("--model", bundle.path, data)
    assert said.code == 3 and "no clips of fan there, but 84 of valve; or give --machine" in said.err
    said = predict("--model", bundle.path, "--section", "00", data / "valve" / "train")
    assert said.code == 0 and "clips in the folder of valve are taken for fan" in said.err


def test_a_model_that_isnt_there_is_said(predict, run: Path, tmp_path: Path) -> None:
    clip = wav(tmp_path / "x.wav")
    for arguments, code, message in (
        (["--model", "models:/tiny.fan@champion"], 2, "say which MLflow has it, either by --run RUN or"),
        (["--model", "models:/tiny.fan@best", "--run", run], 4, "no such model, version or alias"),
        (["--model", "models:/tiny.fan@champion", "--run", tmp_path], 2, "no run.json here"),
        (["--model", "models:/a@b", "--tracking-uri", f"sqlite:///{tmp_path}/no.db"], 2, "no such database"),
        (["--model", tmp_path], 2, "neither a model's folder"),
        (["--model", tmp_path / "none"], 2, "neither a model's folder"),
        (["--model", "models:/tiny.fan@champion", "--run", run, "--machine", "pump"], 2, "--machine pump"),
    ):
        said = predict(*arguments, clip)
        assert (said.code, said.out) == (code, "") and message in said.err, said.err
        assert len(said.err.splitlines()) == 1
    assert not list(tmp_path.glob("*.db*"))


def test_clips_are_scored_as_they_are_read(predict, bundle: Bundle, tmp_path: Path) -> None:
    """So memory doesn't grow with their number: what came before a bad one is written."""
    wav(tmp_path / "00.wav")
    for number in range(1, 34):
        (tmp_path / f"{number:02d}.wav").hardlink_to(tmp_path / "00.wav")
    (tmp_path / "34.wav").write_bytes(b"")
    said = predict("--model", bundle.path, "--section", "00", tmp_path)
    assert said.code == 3 and "34.wav: empty" in said.err
    scores = [float(row["anomaly_score"]) for row in said.rows]
    assert len(scores) == 34
    assert scores == pytest.approx([scores[0]] * 34, rel=1e-5)


def test_hours_are_refused_by_their_header(
    predict: Callable[..., Said], bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = wav(tmp_path / "clips" / "section_00_long.wav", 3.0)
    monkeypatch.setattr("oddsound.recordings.reader.read_clip", None)  # none is read
    said = predict("--model", bundle.path, "--section", "00", long)
    assert (said.code, said.out) == (3, "")
    assert "section_00_long.wav: 3.00 s; the model of fan is for 0.99 s: cut it" in said.err


def test_where_out_cant_lie_is_said_first(predict: Callable[..., Said], tmp_path: Path) -> None:
    """Before the clips, which aren't there either, and the model."""
    os.mkfifo(tmp_path / "pipe")
    for out, why in (
        (tmp_path / "no" / "x.csv", "no folder"),
        (tmp_path, "a folder; give a file's name"),
        (tmp_path / "pipe", "no plain file"),
    ):
        said = predict("--model", tmp_path / "none", "--out", out, tmp_path / "no.wav")
        assert said.code == 2 and f"--out {out}: {why}" in said.err and len(said.err.splitlines()) == 1


def test_a_name_of_any_bytes_is_written_as_it_is(
    predict: Callable[..., Said], bundle: Bundle, tmp_path: Path
) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.wav"))
    wav(tmp_path / "a.wav").rename(odd)
    out = tmp_path / "scores.csv"
    assert predict("--model", bundle.path, "--section", "00", "--out", out, odd).code == 0
    assert b"/\xff\xfe.wav,fan,00," in out.read_bytes()


def test_stdout_takes_a_name_of_any_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's own refuses them in most languages."""
    taken = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(taken, encoding="utf-8"))
    with writing(None, as_json=False) as write:
        write([Verdict(os.fsdecode(b"\xff\xfe.wav"), "fan", "00", 2.0, 1.0, 1)])
    assert taken.getvalue().splitlines()[1] == b"\xff\xfe.wav,fan,00,2.0,1.0,1"


@pytest.fixture
def ctrl_c(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Has Ctrl-C arrive while the clip of that number is read."""

    def at(number: int) -> None:
        def read(path: Path, sample_rate: int) -> object:
            seen.append(path)
            if len(seen) == number:
                raise KeyboardInterrupt  # as SIGINT does, where it is not ignored
            return really(path, sample_rate)

        seen: list[Path] = []
        monkeypatch.setattr(reader, "read_clip", read)

    really = reader.read_clip
    return at


def test_ctrl_c_says_what_was_written(
    predict: Callable[..., Said], bundle: Bundle, tmp_path: Path, ctrl_c: Callable[[int], None]
) -> None:
    wav(tmp_path / "clips" / "00.wav")
    for number in range(1, 34):
        (tmp_path / "clips" / f"{number:02d}.wav").hardlink_to(tmp_path / "clips" / "00.wav")
    out = tmp_path / "scores.csv"
    out.write_text("before")
    given = ["--model", bundle.path, "--section", "00", tmp_path / "clips"]
    for number, more, rows, what in (
        (2, [], 0, "interrupted; nothing was written"),
        (33, [], 32, "interrupted after 32 clips, whose verdicts were written; the same command begins anew"),
        (33, ["--out", out], 0, f"interrupted; nothing was written to {out}"),
    ):
        ctrl_c(number)
        said = predict(*given, *more)
        assert (said.code, len(said.rows), said.err) == (130, rows, f"oddsound: {what}\n")
    assert out.read_text() == "before" and len(list(tmp_path.iterdir())) == 2
