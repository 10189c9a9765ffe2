"""Folders of one's own machines on the command line: what is counted, what is named, what is next."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
import soundfile

from oddsound.cli.checks import services
from oddsound.cli.main import main


def recorded(folder: Path, n: int = 6, rate: int = 16_000) -> Path:
    folder.mkdir(parents=True)
    for number in range(n):
        noise = np.random.default_rng(number).uniform(-0.5, 0.5, 2 * rate)
        soundfile.write(folder / f"{number}.wav", noise, rate)
    return folder


def oddsound(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main([*map(str, words)])
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


def next_of(err: str) -> list[str]:
    """The words of the command that the last line names, after `oddsound`."""
    return shlex.split(err.splitlines()[-1].partition("oddsound ")[2])


@pytest.fixture
def mix(tmp_path: Path, small_data: Path) -> Path:
    folder = tmp_path / "mix"
    folder.mkdir()
    (folder / "fan").symlink_to(small_data / "fan")
    recorded(folder / "press" / "normal")
    return folder


@pytest.mark.parametrize(
    "command",
    [["features", "--cache", "c"], ["plan"], ["data", "check"], ["doctor", "--data"], ["run", "--out", "r"]],
)
def test_plain_folders_beside_a_layout_are_one_error(
    mix: Path, command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(mix.parent)
    code, out, err = oddsound(capsys, *command, mix)
    assert code == 3
    assert "press in plain folders beside fan in a layout" in (out if command[0] == "doctor" else err)
    assert not (mix.parent / "c").exists() and not (mix.parent / "r").exists()


def test_machines_of_one_kind_are_taken_from_a_mix(mix: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert oddsound(capsys, "data", "prepare", mix, mix.parent / "p", "--machines", "press")[0] == 0
    assert oddsound(capsys, "data", "prepare", mix, mix.parent / "q", "--machines", "fan")[0] == 3
    cache = mix.parent / "c"
    assert (
        oddsound(capsys, "features", mix, "--cache", cache, "--machines", "fan", "--config", "smoke")[0] == 0
    )


def test_check_names_all_that_a_run_would_refuse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorded(tmp_path / "own" / "fine" / "normal")
    recorded(tmp_path / "own" / "other" / "normal", rate=44_100)
    recorded(tmp_path / "own" / "short" / "normal", n=1)
    (tmp_path / "own" / "empty" / "normal").mkdir(parents=True)
    code, out, err = oddsound(capsys, "data", "check", tmp_path / "own", "--json")
    assert code == 3
    document = json.loads(out)
    assert [(c["machine"], c["n_recordings"]) for c in document["counts"]] == [("fine", 6), ("short", 1)]
    assert [Path(bad["path"]).name for bad in document["bad"]][::7] == ["empty", "short"]
    assert "own/short: 1 normal clip; two at least are needed" in err
    assert "own/empty: no normal recording; put some into" in err
    assert "44100 Hz; 16000 Hz is expected: --resample converts it" in err
    assert err.splitlines()[-1].endswith("own: 8 of 15 are bad; the lines above say why, and what to do")


def test_what_is_not_read_is_said_by_check_and_doctor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(tmp_path / "own" / "press" / "normal", n=2)
    recorded(tmp_path / "own" / "press" / "faults")
    _, out, err = oddsound(capsys, "data", "check", tmp_path / "own", "--json")
    (note,) = json.loads(out)["notes"]
    assert note in err and "press/faults: 6 recordings not used; move what is to be used into" in note
    monkeypatch.setattr(services, "PORTS", ())
    code, out, err = oddsound(capsys, "doctor", "--data", tmp_path / "own")
    assert code == 0
    assert any(line.startswith("warning  DATA") and note in line for line in out.splitlines())
    assert next_of(err) == ["data", "check", str(tmp_path / "own")]


def test_one_recording_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorded(tmp_path / "own" / "normal", n=1)
    _, _, err = oddsound(capsys, "data", "check", tmp_path / "own", "--clip-seconds", 1)
    assert err.splitlines()[-1].startswith("1 recording, all good. Next: oddsound run ")


def test_another_rate_is_checked_and_prepared_and_what_is_next_goes_on_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded(tmp_path / "own" / "press" / "normal", rate=48_000)
    given = ("--sample-rate", 48_000)
    code, _, err = oddsound(capsys, "data", "check", tmp_path / "own", *given)
    assert code == 0
    settings = ["--set", "features.sample_rate=48000", "--set", "features.f_max=24000"]
    assert next_of(err) == ["run", str(tmp_path / "own"), *settings, "--out", "RUN"]
    made = tmp_path / "made"
    code, _, err = oddsound(capsys, "data", "prepare", tmp_path / "own", made, *given)
    assert code == 0 and next_of(err) == ["run", str(made), *settings, "--out", "RUN"]
    assert oddsound(capsys, "data", "check", made)[0] == 3
    code, _, err = oddsound(capsys, "data", "check", made, *given)
    assert code == 0 and next_of(err) == ["run", str(made), *settings, "--out", "RUN"]
    smoke = ("--cache", tmp_path / "cache", "--config", "smoke", *settings)
    code, _, err = oddsound(capsys, "features", made, *smoke)
    assert code == 0 and "the autoencoder alone is trained" in err


def test_a_model_of_several_sections_is_refused_with_what_is_possible(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded(tmp_path / "own" / "press" / "normal")
    given = ("--out", tmp_path / "run", "--set", "model.architecture=joint")
    code, _, err = oddsound(capsys, "run", tmp_path / "own", *given)
    assert code == 3
    assert (
        "press: training clips of 1 section; a classifier needs 2 at least: set model.architecture=auto"
        in err
    )
    assert "attributes" not in err


def test_check_takes_the_machines_that_the_remedy_names(
    mix: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for machine in ("press", "fan"):
        code, out, err = oddsound(capsys, "data", "check", mix, "--machines", machine)
        assert code == 0 and machine in out
        assert next_of(err) == ["run", str(mix), "--machines", machine, "--out", "RUN"]


def test_clips_are_not_laid_out_among_the_recordings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded(tmp_path / "own" / "press" / "normal")
    code, _, err = oddsound(capsys, "data", "prepare", tmp_path / "own", tmp_path / "own" / "inside")
    assert code == 2
    assert "lies inside the recordings" in err and not (tmp_path / "own" / "inside").exists()


def test_the_remedy_for_what_is_not_read_beside_loose_recordings_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mill = recorded(tmp_path / "own" / "mill")
    recorded(mill / "broken", 1)
    code, _, err = oddsound(capsys, "data", "check", tmp_path / "own")
    assert code == 0
    assert f"into {mill}, or everything into {mill}/normal or {mill}/anomaly" in err
