"""`oddsound data`: what goes to stdout, what to stderr, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from oddsound.cli.data import data
from oddsound.errors import ConfigError, DataError

TINY = ["--seconds", "0.1", "--train", "2", "--target", "1", "--test", "1", "--machines", "fan"]


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(data, list(arguments))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert invoke("synth", str(tmp_path / "data"), *TINY).exit_code == 0
    return tmp_path / "data"


def test_synth_talks_on_stderr_and_says_what_is_next(tmp_path: Path) -> None:
    out = tmp_path / "data"
    result = invoke("synth", str(out), *TINY, "--no-evaluation")
    assert result.exit_code == 0
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "fan: 21 clips", f"21 clips written. Next: oddsound data check {out}"
    ]  # fmt: skip
    again = invoke("synth", str(out), *TINY, "--no-evaluation")
    assert again.stderr == f"already there, nothing to do. Next: oddsound data check {out}\n"


def test_check_prints_a_row_a_group(folder: Path) -> None:
    result = invoke("check", str(folder))
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["machine", "section", "domain", "split", "label", "clips", "seconds"]
    assert lines[1].split() == ["fan", "00", "source", "test", "anomaly", "1", "0.1"]
    assert ["fan", "03", "target", "test", "-", "2", "0.1"] in [line.split() for line in lines]
    assert result.stderr == f"42 recordings, all good. Next: oddsound run {folder} --out RUN\n"


def test_check_names_every_bad_file_and_still_counts_the_good_ones(folder: Path) -> None:
    (folder / "fan" / "train" / "odd.wav").touch()
    clip = folder / "fan" / "train" / "section_00_source_train_normal_0000.wav"
    clip.write_bytes(clip.read_bytes()[:-2])
    result = invoke("check", str(folder), "--json")
    assert isinstance(result.exception, DataError)
    assert "2 of 43 are bad" in str(result.exception)
    document = json.loads(result.stdout)
    assert [Path(bad["path"]).name for bad in document["bad"]] == ["odd.wav", clip.name]
    assert sum(row["n_clips"] for row in document["counts"]) == 41
    assert document["counts"][0] == {
        "machine": "fan", "section": "00", "domain": "source", "split": "test", "label": "anomaly",
        "n_clips": 1, "min_seconds": 0.1, "max_seconds": 0.1,
    }  # fmt: skip
    assert [bad["reason"] for bad in document["bad"]] == result.stderr.splitlines()


def test_bad_input_raises_our_own_errors(tmp_path: Path) -> None:
    assert isinstance(invoke("check", str(tmp_path / "absent")).exception, DataError)
    (tmp_path / "mine.txt").touch()
    assert isinstance(invoke("synth", str(tmp_path), *TINY).exception, ConfigError)
    assert isinstance(invoke("synth", str(tmp_path / "new"), "--machines", "fun").exception, ConfigError)


def test_the_help_needs_nothing_but_click() -> None:
    program = (
        "import sys; from oddsound.cli.data import data; "
        "sys.exit(','.join({'numpy', 'scipy', 'soundfile', 'torch'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
