"""The whole page: it holds together, asks for nothing, and says what it lacks."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import pytest
from tests.unit.report.hostile import CLIP, DATASET, SCRIPT, SCRIPT_MACHINE, hostile_run
from tests.unit.report.runs import (
    DIGEST,
    POINTS,
    begin,
    begun_trial,
    finished_trial,
    scores,
    space,
    whole_run,
)
from tests.unit.report.test_html import Read

from oddsound.recordings.index import index_folder
from oddsound.report.again import RECIPES, first
from oddsound.report.formats import OWN
from oddsound.report.run_page import Asked, run_page, write_report
from oddsound.search.record import read_record
from oddsound.training.bundle import Stop

pytestmark = pytest.mark.long

COMMAND = "oddsound search data --out RUN"


def page_of(run: Path, machines: tuple[str, ...] = (), *, audio: bool = False) -> str:
    record = read_record(run)
    return run_page(run, record, Asked(machines or list(record.machines), COMMAND, audio))


@pytest.fixture(scope="module")
def page(made_run: Path) -> str:
    return page_of(made_run, audio=True)


@pytest.fixture(scope="module")
def read(page: str) -> Read:
    return Read(page)


def test_what_refers_to_something_finds_it_once(read: Read) -> None:
    ids = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in read.elements:
        href, labelled = attributes.get("href") or "", attributes.get("aria-labelledby")
        assert href == "" or href.startswith("data:image/png;") or href[1:] in ids, href
        assert labelled is None or labelled in ids
    places = re.findall(r"url\(#([^)]+)\)", " ".join(str(a) for _, a in read.elements))
    assert places and set(places) <= set(ids)


def test_it_asks_for_nothing_and_runs_nothing_but_its_own(page: str, read: Read) -> None:
    policy = next(a["content"] for _, a in read.elements if "http-equiv" in a) or ""
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "img-src data:; media-src data:; base-uri 'none'; form-action 'none'" in policy
    assert "unsafe" not in policy and "http" not in policy
    assert (
        sum(tag == "script" for tag, _ in read.elements)
        == sum(tag == "style" for tag, _ in read.elements)
        == 1
    )
    for _, attributes in read.elements:
        assert "style" not in attributes and not any(name.startswith("on") for name in attributes)
        assert (attributes.get("src") or "data:").startswith(
            "data:audio/flac;base64,"
        ) or "src" not in attributes


def test_every_figure_says_what_it_shows(read: Read) -> None:
    figures = [attributes for tag, attributes in read.elements if tag == "svg"]
    # Eight of fan's and its clips, of valve no importances and no parallel coordinates, and the systems.
    assert len(figures) == (8 + 4) + (6 + 4) + 1
    assert all(a["role"] == "img" and len(a["aria-label"] or "") > 20 for a in figures)
    assert all(a.get("aria-label") for tag, a in read.elements if tag == "audio")
    assert sum(tag == "audio" for tag, _ in read.elements) == 8


def test_the_same_run_gives_the_same_bytes(
    made_run: Path, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made_run.parent)
    assert page_of(Path(made_run.name), audio=True) == page


def test_failures_have_their_reasons(read: Read) -> None:
    for reason in ("loss is not finite", "given up after epoch 1 of 3", "begun, 0 of 3 epochs so far"):
        assert reason in read.said
    assert "trained on other recordings than the run has now" in read.said
    assert "result.json: can't be read" in read.said
    assert "Failed trials keep no number and stand after the last." in read.said
    assert any("; 1 failed;" in (a.get("aria-label") or "") for tag, a in read.elements if tag == "svg")
    assert "node-7" in read.said and "torch 2.11.0" in read.said and COMMAND in read.said


def test_a_machine_type_without_finished_trials(read: Read) -> None:
    assert "No trial has finished yet, so there is nothing to draw." in read.said
    assert "pump: no finished trial to build a system of" in read.said
    assert "The search isn't over: oddsound search --resume run," in read.said
    assert "No importances: they need 4 finished trials at least" in read.said, "valve has one"


def test_hostile_names_are_inert_and_visible(small_data: Path, tmp_path: Path) -> None:
    run = hostile_run(tmp_path, small_data)
    page = page_of(run, audio=True)
    read = Read(page)
    tags = {tag for tag, _ in read.elements}
    assert "img" not in tags and sum(tag == "script" for tag, _ in read.elements) == 1
    assert not any(name.startswith("on") for _, attributes in read.elements for name in attributes)
    for name in (SCRIPT, CLIP, DATASET, SCRIPT_MACHINE, "\\u202egnp.exe\\u200f", "\\u202enaf"):
        assert name in read.said, name
    drawn = re.findall(r"<text[^>]*>([^<]*)</text>", page)
    assert r"a\x00\x1b\u202e" in drawn and r"a\x00\x1b\u202e\udcff" in drawn
    labels = [attributes["aria-label"] or "" for tag, attributes in read.elements if tag == "audio"]
    assert f"Recording {CLIP}" in labels
    assert not re.search("[\u202e\u200f]", page)


def test_recordings_that_moved_away_cost_pictures_and_sound_alone(made_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(made_run, run)
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | {"data": str(tmp_path / "away")}))
    read = Read(page_of(run, ("valve",), audio=True))
    assert "No spectrograms and no audio, for the recordings can't be had" in read.said
    assert not any(tag in ("audio", "image") for tag, _ in read.elements)
    assert "ROC by section and domain" in read.said


def test_one_recording_that_is_gone_is_named(small_data: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(small_data, data)
    run = whole_run(tmp_path / "run", data)
    for path in (data / "valve" / "source_test").glob("*_00_*_anomaly_*.wav"):
        path.write_bytes(b"RIFF")
    for path in (data / "valve" / "target_test").glob("*_normal_*.wav"):
        path.unlink()
    read = Read(page_of(run, ("valve",), audio=True))
    assert "no longer among the recordings" in read.said or "not a WAV" in read.said
    assert "Losses by epoch" in read.said


def test_clips_of_plain_folders_have_the_names_of_their_recordings(small_data: Path, tmp_path: Path) -> None:
    data = tmp_path / "recordings" / "0123"
    shutil.copytree(small_data / "valve", data / "valve")
    lines = [
        f"{path.relative_to(data)},valve/anomaly/{path.name[11:]},3.5,1,anomaly,0"
        for path in sorted((data / "valve").glob("*_test/*.wav"))
    ]
    head = "file,recording,start_s,seconds,label,made_up"
    (data / "clips.csv").write_text("\n".join([head, *lines]))
    run, valve = begin(tmp_path / "run", data, ("valve",)), space("valve")
    table = scores("valve", index_folder(data).of("valve"), 0, 1.0)
    finished_trial(run, valve.trial(valve.paper, 0), 0, table)
    said = Read(page := page_of(run, audio=True)).said
    assert "section_0" not in said and said.count("3.5 to 4.5 s") == 4
    assert 'aria-label="Recording valve/anomaly/' in page and "recordings/0123/clips.csv" in said


def test_machines_that_the_paper_lacks_have_no_table1(small_data: Path, tmp_path: Path) -> None:
    shutil.copytree(small_data / "fan", tmp_path / "data" / "press")
    run, press = begin(tmp_path / "run", tmp_path / "data", ("press",)), space("press")
    table = scores("press", index_folder(tmp_path / "data").of("press"), 0, 1.0)
    finished_trial(run, press.trial(press.paper, 0), 0, table)
    read = Read(page_of(run))
    assert "The paper's Table 1 has none of these machine types." in read.said
    assert "+ Median Filter" not in read.said and "that are fused by default: press 1." in read.said


def test_without_a_target_domain(small_data: Path, tmp_path: Path) -> None:
    run = begin(tmp_path / "run", small_data, ("fan",))
    fan, clips = space("fan"), index_folder(small_data).of("fan")
    table = scores("fan", clips, 0, 1.0)
    finished_trial(run, fan.trial(fan.paper, 0), 0, table.where(table.domain == "source"))
    read = Read(page_of(run))
    assert "section 00, source" in str(read.elements) and "target" not in read.said.split("Environment")[0]


def test_scores_of_evaluation_clips_alone(small_data: Path, tmp_path: Path) -> None:
    """A finished trial whose labelled clips were lost: everything but what needs labels."""
    run = begin(tmp_path / "run", small_data, ("fan",))
    fan, clips = space("fan"), index_folder(small_data).of("fan")
    table = scores("fan", clips, 0, 1.0)
    bundle = finished_trial(run, fan.trial(fan.paper, 0), 0, table)
    table.where((table.split == "train") | (table.label == -1)).save(bundle.scores_path)
    (bundle.path / "history.json").write_text("[3]")
    read = Read(page_of(run, audio=True))
    assert "no labelled test clips" in read.said and "not a trial's history" in read.said
    assert "label not known" in read.said and any(tag == "audio" for tag, _ in read.elements)


LISTED: dict[str, Any] = {"space": {}, "configurations": [{}], "data": DIGEST}
GRID: dict[str, Any] = {
    "space": {"recipe": "CategoricalDistribution(choices=('effnet', 'effnet_median'))"},
    "rows": [{}],
    "data": DIGEST,
}


@pytest.mark.parametrize(
    ("begun", "said"),
    [
        (LISTED, "No setting was searched, or its trials are listed"),
        ({"data": DIGEST}, "No setting was searched"),
        (GRID, "Ω by each searched setting"),
        ({}, "No setting was searched"),
    ],
)
def test_spaces_of_other_kinds(begun: Any, said: str, small_data: Path, tmp_path: Path) -> None:
    run = begin(tmp_path / "run", small_data, ("fan",))
    clips = index_folder(small_data).of("fan")
    for number, recipe in enumerate(("effnet", "effnet_median")):
        config = space("fan").trial(POINTS[number], 0).model_copy(update={"recipe": recipe})
        finished_trial(run, config, number, scores("fan", clips, number, 1.0))
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | {"machines": {"fan": begun}}))
    read = Read(page_of(run))
    assert said in read.said
    assert "Ω by trial" in read.said and "+ Median Filter" in read.said


def test_a_search_is_over_when_as_many_as_wanted_have_ended(small_data: Path, tmp_path: Path) -> None:
    run = begin(tmp_path / "run", small_data, ("fan",))
    for number, point in enumerate(POINTS):
        begun_trial(run, space("fan").trial(point, 0)).write_stop(Stop(number, 1, 1, 0.41))
    assert "isn't over" not in Read(page_of(run)).said
    begun_trial(run, space("fan").trial(POINTS[0], 1)).write("failure.json", {"reason": "no memory"})
    assert "isn't over" not in Read(page_of(run)).said
    shutil.rmtree(next((run / "trials" / "fan").glob("*/stopped.json")).parent)
    assert "isn't over" in Read(page_of(run)).said, "as status has it"


def test_whose_omega_table1_has_is_said(page: str) -> None:
    assert f"percentage points. {escape(OWN)}</caption>" in page


def test_heads_stand_above_their_words(page: str) -> None:
    heads = '<th scope="col" class="word">{}</th>'
    assert all(heads.format(name) in page for name in ("trial", "state", "why", "machine type"))


def test_a_run_that_has_only_begun_has_a_page(small_data: Path, tmp_path: Path) -> None:
    run = begin(tmp_path / "run", small_data, ("fan", "valve"))
    read = Read(page_of(run))
    assert "0 finished trials of 10 wanted, 2 machine types" in read.said
    assert "Nothing of ours is in it yet" in read.said
    assert not any(tag == "svg" for tag, _ in read.elements)


def test_it_is_written_whole(made_run: Path, tmp_path: Path) -> None:
    record, told = read_record(made_run), list[str]()
    path = tmp_path / "alone" / "page.html"
    path.parent.mkdir()
    asked = Asked(["valve"], COMMAND, audio=False)
    size = write_report(made_run, record, asked, path, told.append)
    assert path.stat().st_size == size and told == ["systems", "valve"]
    assert [each.name for each in path.parent.iterdir()] == ["page.html"]
    assert f"oddsound report {made_run.name} --machines valve --no-audio" in path.read_text()


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.key)
def test_what_the_page_says_makes_a_figure_again(
    recipe: Any, made_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: dict[str, Any] = {}
    monkeypatch.chdir(made_run.parent)
    exec(f"{first(made_run.name, ['fan', 'valve'])}\n{recipe.code}", names)
    assert names["found"]
    if recipe.key == "importance":
        shares = ", ".join(f"{name} {100 * share:.0f} %" for name, share in names["found"].items())
        assert f"each searched setting explains: {shares}." in page_of(made_run)


def test_the_means_over_the_machine_types_are_made_again(
    made_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made_run.parent)
    record, names = read_record(made_run), dict[str, Any]()
    systems = next(recipe for recipe in RECIPES if recipe.key == "systems")
    exec(f"{first(made_run.name, list(record.machines))}\n{systems.code}", names)
    mean = names["means"]["S1"]
    shown = f"{100 * mean.estimate:.2f} ({100 * mean.lower:.2f}–{100 * mean.upper:.2f})"
    assert shown in page_of(made_run) and names["found"][0].machines.keys() == {"fan", "valve"}


def test_too_few_clips_to_tell_from_chance_are_said_to_be(
    made_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = (
        "There are only 12 normal and 12 anomalous test clips, so few that Ω and its interval may be chance."
    )
    assert few not in Read(page_of(made_run)).said
    monkeypatch.setattr("oddsound.scoring.bootstrap.FEW", 13)
    assert few in Read(page_of(made_run)).said


def test_what_the_page_names_can_be_called_anything() -> None:
    compile(first("it's {run}\n\x1b", ['"', "'"]), "recipe", "exec")


def test_other_choices_of_the_epoch(made_run: Path, tmp_path: Path) -> None:
    """The figures of the systems stand where their members' epochs were chosen."""
    run = begin(tmp_path / "run", Path(read_record(made_run).data), ("fan",))
    fan, clips = space("fan"), index_folder(Path(read_record(made_run).data)).of("fan")
    config = fan.trial(fan.paper, 0)
    training = config.training.model_copy(update={"selection": "best_dev_omega"})
    finished_trial(run, config.model_copy(update={"training": training}), 0, scores("fan", clips, 0, 1.0))
    said = Read(page_of(run)).said
    assert "Best epoch chosen with the labels of the test clips" in said
    assert "Last epoch, no label looked at" not in said
    assert replace(read_record(run)).search in said
