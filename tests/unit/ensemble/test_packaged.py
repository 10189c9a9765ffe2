"""S1-S4 as packages: they score as the fused tables do, and name and check their members."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oddsound.ensemble.fusions import FUSIONS, fuse
from oddsound.ensemble.opening import open_folder
from oddsound.ensemble.packaged import package_system
from oddsound.ensemble.systems import Member, System, build_systems
from oddsound.errors import ConfigError, ModelError, RecordingError
from oddsound.recordings.index import index_folder
from oddsound.recordings.reader import read_clip
from oddsound.scoring.threshold import section_thresholds
from oddsound.tracking.packaged import package_trial
from oddsound.training.bundle import Bundle, finished
from oddsound.training.sealed import seal, unseal
from oddsound.training.verdicts import NewClip, verdicts

Models = dict[tuple[str, str], Path]


def member(bundle: Bundle) -> Member:
    result = bundle.result()
    return Member(
        result.trial,
        result.omega,
        result.n_parameters,
        bundle.config().model_dump(),
        bundle.scores(),
        result.weights_sha256,
    )


@pytest.fixture(scope="module")
def members(trained: Path) -> dict[str, list[Member]]:
    return {machine: [member(b) for b in finished(trained, machine)] for machine in ("fan", "valve")}


@pytest.fixture(scope="module")
def systems(members: dict[str, list[Member]]) -> tuple[System, ...]:
    return build_systems(members, pinned=["valve"], fallback=False)


@pytest.fixture(scope="module")
def models(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Models:
    folder, found = tmp_path_factory.mktemp("members"), {}
    for machine in ("fan", "valve"):
        for bundle in finished(trained, machine):
            place = found[machine, bundle.path.name] = folder / bundle.path.name
            package_trial(bundle, place)
    return found


def clips_of(data: Path, machine: str, system: System) -> list[NewClip]:
    table = system.machines[machine].table
    paths = {(clip.split, clip.file): clip.path for clip in index_folder(data).of(machine)}
    keys = zip(table.split, table.file, table.section, strict=True)
    return [NewClip(f"{split}/{f}", section, read_clip(paths[split, f])) for split, f, section in keys]


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_system_scores_as_it_was_submitted(
    systems: tuple[System, ...], models: Models, small_data: Path, tmp_path: Path, number: int
) -> None:
    system = systems[number - 1]
    package_system(system, models, tmp_path / "model")
    opened = open_folder(tmp_path / "model")
    assert opened.machines == ("fan", "valve")
    for machine in opened.machines:
        table = system.machines[machine].table
        found = verdicts(opened.of(machine), clips_of(small_data, machine, system)[::5])
        np.testing.assert_array_equal([v.anomaly_score for v in found], table.score[::5])
        thresholds = section_thresholds(table)
        assert all(v.threshold == thresholds[v.section] for v in found)
        assert {v.machine for v in found} == {machine}


@pytest.mark.parametrize("fusion", list(FUSIONS)[4:])
def test_a_system_of_any_fusion_scores_as_it_was_submitted(
    members: dict[str, list[Member]], models: Models, small_data: Path, tmp_path: Path, fusion: str
) -> None:
    (system,) = build_systems(members, fallback=False, fusions=[fusion])
    package_system(system, models, tmp_path / "model")
    opened = open_folder(tmp_path / "model")
    for machine in opened.machines:
        table = system.machines[machine].table
        found = verdicts(opened.of(machine), clips_of(small_data, machine, system)[::5])
        np.testing.assert_array_equal([v.anomaly_score for v in found], table.score[::5])


def test_what_a_fusion_learned_is_kept_to_the_last_bit(
    members: dict[str, list[Member]], models: Models, tmp_path: Path
) -> None:
    for fusion in FUSIONS:
        (system,) = build_systems(members, fallback=False, fusions=[fusion])
        package_system(system, models, tmp_path / fusion)
        for machine, of in system.machines.items():
            kept = open_folder(tmp_path / fusion).of(machine).fitted  # type: ignore[attr-defined]
            assert kept == of.fitted
            again = kept.apply([m.table for m in of.members]).score
            np.testing.assert_array_equal(again, of.table.score)


def test_a_model_of_an_earlier_version_has_no_state(
    systems: tuple[System, ...], models: Models, tmp_path: Path
) -> None:
    package_system(systems[1], models, tmp_path / "model")
    rewrite(tmp_path / "model", lambda fan: fan.pop("state"))
    assert open_folder(tmp_path / "model").of("fan").machine == "fan"


HOSTILE = {
    "no state": ("weighted", lambda fan: fan.pop("state"), "isn't what oddsound wrote"),
    "another key": ("mean", lambda fan: fan["state"].update(code="x"), "isn't what oddsound wrote"),
    "of one member": ("mean_zscore", lambda fan: fan["state"]["members"].pop(), "is of 1 members; it has 2"),
    "no section": ("mean_zscore", lambda fan: fan["state"]["members"][1].pop("00"), "lacks section 00"),
    "no deviation": ("max_zscore", lambda fan: scale(fan).update(std=0), "isn't what oddsound wrote"),
    "not finite": ("max_zscore", lambda fan: scale(fan).update(mean="nan"), "isn't what oddsound wrote"),
    "negative": ("weighted", lambda fan: fan["state"].update(weights=[2, -1]), "isn't what oddsound wrote"),
    "not a mean": ("weighted", lambda fan: fan["state"].update(weights=[1, 1]), "isn't what oddsound wrote"),
    "three": ("weighted", lambda fan: fan["state"].update(weights=[0.5, 0.25, 0.25]), "isn't what oddsound"),
    "falling": ("mean_rank", lambda fan: scale(fan, [2.0, 1.0]), "isn't what oddsound wrote"),
    "no references": ("mean_rank", lambda fan: scale(fan, []), "isn't what oddsound wrote"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_state_is_refused(
    members: dict[str, list[Member]], models: Models, tmp_path: Path, what: str
) -> None:
    fusion, change, why = HOSTILE[what]
    (system,) = build_systems(members, fallback=False, fusions=[fusion])
    package_system(system, models, tmp_path / "model")
    rewrite(tmp_path / "model", change)
    with pytest.raises(ModelError, match=f"fan: the state of (its )?fusion {fusion} {why}"):
        open_folder(tmp_path / "model")


def scale(fan: dict[str, Any], references: list[float] | None = None) -> dict[str, Any]:
    """The first member's scale of section 00, or in its place `references`."""
    if references is not None:
        fan["state"]["members"][0]["00"] = references
        return {}
    of: dict[str, Any] = fan["state"]["members"][0]["00"]
    return of


def rewrite(model: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what ensemble.json says of the fan, and seal it anew."""
    path = model / "ensemble.json"
    about = json.loads(path.read_text())
    change(about["machines"]["fan"])
    path.write_text(json.dumps(about))
    seal(model, "system")


def test_a_package_names_its_members_and_is_the_same_again(
    systems: tuple[System, ...], models: Models, tmp_path: Path
) -> None:
    first = package_system(systems[1], models, tmp_path / "a")
    assert package_system(systems[1], models, tmp_path / "b") == first
    assert package_system(systems[2], models, tmp_path / "c") != first
    unseal(tmp_path / "a", "it", first).check()
    about = json.loads((tmp_path / "a" / "ensemble.json").read_text())
    assert (about["number"], about["name"]) == (2, "mean anomaly score")
    fan, valve = about["machines"]["fan"], about["machines"]["valve"]
    expected = systems[1].machines["fan"].members
    assert [(m["trial"], m["omega"], m["weights_sha256"]) for m in fan["members"]] == [
        (m.trial, m.omega, m.weights_sha256) for m in expected
    ]
    assert (fan["fusion"], fan["pinned_to_s1"], valve["pinned_to_s1"]) == ("mean", "", "configured")
    assert len(fan["members"]) == 2 and len(valve["members"]) == 1


def test_only_the_members_of_the_machine_type_asked_for_are_read(
    systems: tuple[System, ...], models: Models, tmp_path: Path
) -> None:
    package_system(systems[1], models, tmp_path / "model")
    (spoiled,) = (tmp_path / "model" / "members" / "valve").glob("*/weights.safetensors")
    spoiled.write_bytes(b"spoiled")
    asked: list[str] = []
    from oddsound.ensemble.opening import open_sealed

    opened = open_sealed(unseal(tmp_path / "model", "S2", None, asked.append))
    assert opened.of("fan").machine == "fan"
    assert not any("valve" in name for name in asked)
    with pytest.raises(ModelError, match=r"S2: members/valve/.*/weights\.safetensors has the SHA-256"):
        opened.of("valve")
    with pytest.raises(RecordingError, match="machine type 'pump' is unknown to S2; it knows fan, valve"):
        opened.of("pump")


def test_members_that_changed_places_are_refused_even_sealed_anew(
    systems: tuple[System, ...], models: Models, tmp_path: Path
) -> None:
    package_system(systems[1], models, tmp_path / "model")
    one, other = sorted((tmp_path / "model" / "members" / "fan").iterdir())
    one.rename(tmp_path / "away")
    other.rename(one)
    (tmp_path / "away").rename(other)
    with pytest.raises(ModelError, match=r"(config|detector|weights).* has the SHA-256"):
        open_folder(tmp_path / "model")
    seal(tmp_path / "model", "system")
    with pytest.raises(ModelError, match=r"holds another trial than ensemble\.json says"):
        open_folder(tmp_path / "model").of("fan")


def test_an_unknown_fusion_is_refused(systems: tuple[System, ...], models: Models, tmp_path: Path) -> None:
    package_system(systems[1], models, tmp_path / "model")
    path = tmp_path / "model" / "ensemble.json"
    path.write_text(path.read_text().replace('"fusion": "mean"', '"fusion": "os.system"'))
    seal(tmp_path / "model", "system")
    with pytest.raises(ModelError, match=r"fan has the fusion 'os\.system', unknown to this version"):
        open_folder(tmp_path / "model")


def test_a_member_that_is_missing_or_anothers_is_refused(
    systems: tuple[System, ...], models: Models, tmp_path: Path
) -> None:
    (fan, trial), place = next(item for item in models.items() if item[0][0] == "fan")
    lacking = {key: path for key, path in models.items() if key != (fan, trial)}
    with pytest.raises(ModelError, match=f"no packaged model of the member {trial}"):
        package_system(systems[1], lacking, tmp_path / "lacking")
    other = next(path for key, path in models.items() if key[0] == "fan" and key[1] != trial)
    with pytest.raises(ModelError, match="the model of another trial"):
        package_system(systems[1], models | {(fan, trial): other}, tmp_path / "other")
    damaged = shutil.copytree(place, tmp_path / "copy")
    (damaged / "weights.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match=r"weights\.safetensors has the SHA-256"):
        package_system(systems[1], models | {(fan, trial): damaged}, tmp_path / "damaged")


@pytest.mark.filterwarnings("ignore::UserWarning")  # MLflow's own, of its own type hints
def test_mlflow_loads_it_and_is_told_the_machine_type(
    systems: tuple[System, ...], models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow.pyfunc

    monkeypatch.chdir(tmp_path)
    package_system(systems[3], models, tmp_path / "model")
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    wave = np.sin(np.arange(16000, dtype=np.float32) / 5)
    machines, sections = ["valve", "fan", "valve"], ["00", "01", "02"]
    rows = loaded.predict(
        {
            "waveform": np.stack([wave] * 3),
            "machine": np.array(machines),
            "section": np.array(sections),
        }
    ).to_dict("records")
    opened = open_folder(tmp_path / "model")
    for row, machine, section in zip(rows, machines, sections, strict=True):
        (verdict,) = verdicts(opened.of(machine), [NewClip("x", section, wave)])
        assert row == {name: getattr(verdict, name) for name in row}
    assert len(loaded.predict(loaded.input_example)) == 1
    with pytest.raises(mlflow.MlflowException, match="machine type 'pump' is unknown"):
        loaded.predict({"waveform": wave[None], "machine": np.array(["pump"]), "section": np.array(["00"])})


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path, trained: Path) -> None:
    with pytest.raises(ConfigError, match=r"neither a model's folder .*nor a finished trial's"):
        open_folder(tmp_path)
    bundle = finished(trained, "valve")[0]
    assert open_folder(bundle.path).machines == ("valve",)


def test_fusing_new_clips_is_row_by_row(systems: tuple[System, ...]) -> None:
    """So that a clip's score is the same whichever clips are scored with it."""
    tables = [m.table for m in systems[1].machines["fan"].members]
    rows = np.zeros(len(tables[0]), dtype=bool)
    rows[3] = True
    for fusion in ("best", "mean", "max", "mean_softmax"):
        alone = fuse(fusion, [replace(t).where(rows) for t in tables])
        assert alone.score[0] == fuse(fusion, tables).score[3]
