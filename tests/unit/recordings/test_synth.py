"""Synthetic machines: layout, determinism, continuing, loudness, and that they can be learnt."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from oddsound.errors import ConfigError, DataError
from oddsound.recordings.index import check_folder, index_folder
from oddsound.recordings.reader import check_clip, read_clip
from oddsound.recordings.synth import ALL_SEVEN, synthesise
from oddsound.recordings.synth.folder import MARKER
from oddsound.recordings.synth.render import render

pytestmark = pytest.mark.long

SMALL = {"seconds": 0.5, "n_train_source": 3, "n_train_target": 1, "n_test": 2, "machines": ["fan", "valve"]}


def digests(root: Path) -> dict[str, str]:
    index = index_folder(root)
    return {machine: index.digest(machine) for machine in index.machines}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synth") / "data"
    synthesise(root, **SMALL)  # type: ignore[arg-type]
    return root


def test_the_layout_parses_and_every_clip_is_good(small: Path) -> None:
    index, bad = check_folder(small)
    assert not bad
    assert index.machines == ("fan", "valve")
    assert check_clip(index.clips[0].path).n_samples == 8000
    rows = {(r.section, r.domain, r.split, r.label): r.n_clips for r in index.counts() if r.machine == "fan"}
    for section in ("00", "01", "02", "03", "04", "05"):
        assert rows[section, "source", "train", "normal"] == 3
        assert rows[section, "target", "train", "normal"] == 1
    assert rows["02", "target", "test", "anomaly"] == rows["02", "target", "test", "normal"] == 2
    assert rows["03", "target", "test", None] == 4
    assert ("03", "target", "test", "anomaly") not in rows


def test_the_ground_truth_has_each_hidden_clip_once_and_half_of_them_anomalous(small: Path) -> None:
    hidden = [c for c in index_folder(small).of("fan") if c.label is None]
    rows = []
    for path in sorted((small / "ground_truth").glob("ground_truth_fan_*")):
        content = path.read_bytes()
        assert b"\r" not in content
        rows += [(path.name, *line.split(",")) for line in content.decode().splitlines()]
    assert sorted(file for _, file, _ in rows) == sorted(clip.file for clip in hidden)
    assert rows[0][:2] == ("ground_truth_fan_section_03_source_test.csv", "section_03_source_test_0000.wav")
    assert set(Counter((name, label) for name, _, label in rows).values()) == {2}


def test_the_hidden_labels_are_the_truth(small: Path) -> None:
    """A hidden clip holds what the same label and number give, sample by sample."""
    table = (small / "ground_truth" / "ground_truth_valve_section_04_target_test.csv").read_text()
    for number, line in enumerate(table.splitlines()):
        file, label = line.split(",")
        truth = "anomaly" if label == "1" else "normal"
        expected = render(8000, 0, "valve", "04", "target", "test", truth, number)  # type: ignore[arg-type]
        np.testing.assert_array_equal(read_clip(small / "valve" / "target_test" / file), expected / 32768)


def test_the_same_arguments_give_the_same_bytes_and_another_seed_gives_others(
    small: Path, tmp_path: Path
) -> None:
    synthesise(tmp_path / "again", **SMALL)  # type: ignore[arg-type]
    synthesise(tmp_path / "other", **SMALL, seed=1)  # type: ignore[arg-type]
    assert digests(tmp_path / "again") == digests(small)
    assert digests(tmp_path / "other") != digests(small)


def test_more_clips_or_machines_change_no_clip(small: Path, tmp_path: Path) -> None:
    synthesise(tmp_path, **SMALL | {"n_test": 3, "n_train_source": 4, "machines": ["fan"]})  # type: ignore[arg-type]
    for clip in index_folder(small).of("fan"):
        assert (tmp_path / clip.path.relative_to(small)).read_bytes() == clip.path.read_bytes()


def test_a_finished_call_does_nothing_and_a_half_finished_one_is_continued(tmp_path: Path) -> None:
    arguments = SMALL | {"evaluation": False}
    out = tmp_path / "out"
    assert synthesise(out, **arguments) == 2 * 3 * 12  # type: ignore[arg-type]
    whole = digests(out)
    assert synthesise(out, **arguments) == 0  # type: ignore[arg-type]

    marker = json.loads((out / MARKER).read_text())
    (out / MARKER).write_text(json.dumps(marker | {"finished": False}))
    victim = next((out / "fan" / "train").glob("*.wav"))
    victim.rename(victim.with_name(f".{victim.name}.partial"))
    next((out / "valve" / "train").glob("*.wav")).write_bytes(b"half")
    assert synthesise(out, **arguments) == 72  # type: ignore[arg-type]
    assert digests(out) == whole
    assert not list(out.rglob("*.partial"))


def test_a_call_that_dies_leaves_a_folder_that_is_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = SMALL | {"evaluation": False, "machines": ["fan"]}

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("oddsound.recordings.synth.folder.render", dies)
        synthesise(tmp_path, **arguments)  # type: ignore[arg-type]
    assert synthesise(tmp_path, **arguments) == 36  # type: ignore[arg-type]
    assert not check_folder(tmp_path)[1]


def test_a_folder_of_anything_else_is_refused_and_left_alone(small: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="other arguments"):
        synthesise(small, **SMALL | {"seed": 9})  # type: ignore[arg-type]
    (tmp_path / "mine.txt").touch()
    with pytest.raises(ConfigError, match="choose another folder"):
        synthesise(tmp_path, **SMALL)  # type: ignore[arg-type]
    (tmp_path / MARKER).write_text("[]")
    with pytest.raises(ConfigError, match="choose another folder"):
        synthesise(tmp_path, **SMALL)  # type: ignore[arg-type]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine.txt", MARKER]
    with pytest.raises(ConfigError, match="not a folder"):
        synthesise(tmp_path / "mine.txt", **SMALL)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="can't be written"):
        synthesise(tmp_path / "mine.txt" / "below", **SMALL)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"seconds": 0.01}, "seconds 0.01: choose 0.064 to 600"),
        ({"seconds": float("nan")}, "seconds nan"),
        ({"n_train_source": 0}, "n_train_source 0: choose 1"),
        ({"n_train_target": -1}, "n_train_target -1: choose 0"),
        ({"n_test": 6000}, "n_test 6000"),
        ({"seed": -1}, "seed -1"),
        ({"machines": []}, "no machine type is asked for"),
        ({"machines": ["toycar"]}, "did you mean ToyCar"),
    ],
)
def test_impossible_arguments_are_refused(tmp_path: Path, wrong: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        synthesise(tmp_path / "out", **SMALL | wrong)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("machine", ALL_SEVEN)
@pytest.mark.parametrize("n_samples", [1024, 4001])
def test_every_machine_renders_clips_of_any_length(machine: str, n_samples: int) -> None:
    for number in range(8):  # enough for each fault to be drawn
        clip = render(n_samples, 0, machine, "00", "target", "test", "anomaly", number)
        assert clip.shape == (n_samples,)
        assert clip.dtype == np.int16
        assert np.ptp(clip) > 100


def features(machine: str, section: str, domain: str, split: str, label: str, n: int) -> NDArray[np.float64]:
    """(n, 65): mean level in dB of 64 bands of each clip, and its RMS in dB last."""
    rows = []
    for number in range(n):
        clip = render(8000, 0, machine, section, domain, split, label, number) / 32768  # type: ignore[arg-type]
        power = signal.welch(clip, 16_000, nperseg=1024)[1][1:]
        bands = power.reshape(64, -1).mean(axis=1)
        rows.append(np.append(10 * np.log10(bands + 1e-12), 10 * np.log10(np.mean(clip**2))))
    return np.array(rows)


def test_sections_can_be_learnt_faults_shift_the_confidence_and_loudness_tells_nothing() -> None:
    """Logistic regression on band levels and eq. 3; the bounds are far from what is reached."""
    accuracies, aucs, loudness = [], [], {"normal": [0.0] * 0, "anomaly": [0.0] * 0}
    sections = ("00", "01", "02")
    for machine in ALL_SEVEN:
        train = [features(machine, s, "source", "train", "normal", 12)[:, :-1] for s in sections]
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=2000))
        model.fit(np.concatenate(train), np.repeat([0, 1, 2], 12))
        for i, section in enumerate(sections):
            scores = []
            for label in ("normal", "anomaly"):
                test = features(machine, section, "source", "test", label, 10)
                loudness[label] += list(test[:, -1])
                logits = model.decision_function(test[:, :-1])
                scores.append(np.logaddexp.reduce(np.delete(logits, i, axis=1), axis=1) - logits[:, i])
                if label == "normal":
                    accuracies.append(np.mean(logits.argmax(axis=1) == i))
            aucs.append(roc_auc_score([0] * 10 + [1] * 10, np.concatenate(scores)))
    assert np.mean(accuracies) > 0.8
    assert 0.55 < np.mean(aucs) < 0.95
    truth = [0] * len(loudness["normal"]) + [1] * len(loudness["anomaly"])
    assert 0.4 < roc_auc_score(truth, loudness["normal"] + loudness["anomaly"]) < 0.6
