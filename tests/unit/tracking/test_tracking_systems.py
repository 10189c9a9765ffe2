"""Systems S1-S4 and their packages in MLflow: each once, members named, the champion's place kept."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from oddsound.errors import TrackingError
from oddsound.tracking.metrics import is_described
from oddsound.tracking.store import Store
from oddsound.tracking.systems import (
    SystemMember,
    SystemPart,
    SystemVersion,
    TrackedSystem,
    register_systems,
    system_metrics,
)

pytestmark = pytest.mark.long


def part(omega: float | None, n_members: int = 2, fused: float | None = None) -> SystemPart:
    members = [SystemMember(f"{n}" * 16, 0.9 - n / 10, f"{n}" * 64) for n in range(n_members)]
    return SystemPart("mean", "worse" if fused else "", omega, fused or omega, tuple(members), "d" * 64)


def system(folder: Path, number: int = 2, digest: str = "a", **parts: SystemPart) -> TrackedSystem:
    model = folder / f"S{number}-{digest}"
    model.mkdir(parents=True, exist_ok=True)
    (model / "ensemble.json").write_text(digest)
    return TrackedSystem(number, "mean anomaly score", parts, model, digest * 64)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "Kim_EXU_task2.zip"
    path.write_bytes(b"zip")
    return path


def runs(store: Store, kind: str) -> list[Run]:
    experiment = store.find_experiment("demo/submissions")
    return list(store.client.search_runs([experiment], f"tags.`oddsound.kind` = '{kind}'"))


def test_a_system_is_read_back_whole(store: Store, tmp_path: Path, archive: Path) -> None:
    made = system(tmp_path, fan=part(0.8), valve=part(0.6, 1, fused=0.5))
    (version,) = register_systems(store, "demo", [made], archive)
    assert version == SystemVersion("demo.S2", 1, version.run_id, made)
    stored = store.client.get_model_version("demo.S2", "1")
    assert dict.fromkeys(stored.aliases, stored.version) == {"champion": 1, "newest": 1}
    fan = f"{'0' * 16}:0.9:{'0' * 64},{'1' * 16}:0.8:{'1' * 64}"
    assert stored.tags == {
        "oddsound.kind": "system",
        "oddsound.dataset": "demo",
        "oddsound.system": "S2",
        "oddsound.model_sha256": "a" * 64,
        "oddsound.machines": "fan,valve",
        "oddsound.members.fan": fan,
        "oddsound.members.valve": f"{'0' * 16}:0.9:{'0' * 64}",
        "oddsound.omega": "0.7",
    }
    assert "**S2, mean anomaly score: mean omega 70.00 %**" in stored.description
    assert "| valve | 60.00 | 50.00 | worse | `00000000` 90.00 | `dddddddddddd` |" in stored.description
    (run,) = runs(store, "system")
    assert (run.info.run_id, run.info.run_name, run.info.status) == (
        version.run_id,
        "S2-aaaaaaaa",
        "FINISHED",
    )
    assert run.data.metrics == system_metrics(made)
    assert all(map(is_described, run.data.metrics))
    assert run.data.metrics["omega_raw/valve"] == 0.5
    assert run.data.params == {"fusion/fan": "mean", "fusion/valve": "mean"}
    assert (Path(stored.source) / "ensemble.json").read_text() == "a"


def test_a_package_names_its_systems(store: Store, tmp_path: Path, archive: Path) -> None:
    systems = [system(tmp_path, n, "abcd"[n - 1], fan=part(n / 10)) for n in (1, 2, 3, 4)]
    versions = register_systems(store, "demo", systems, archive)
    assert [of.name for of in versions] == ["demo.S1", "demo.S2", "demo.S3", "demo.S4"]
    (package,) = runs(store, "package")
    assert package.info.run_name == "Kim_EXU_task2"
    assert package.data.metrics == {f"omega/S{n}": n / 10 for n in (1, 2, 3, 4)}
    assert all(map(is_described, package.data.metrics))
    assert {package.data.tags[f"oddsound.demo.S{n}"] for n in (1, 2, 3, 4)} == {"1"}
    assert "[demo.S4](#/models/demo.S4/versions/1)" in package.data.tags["mlflow.note.content"]
    (file,) = store.client.list_artifacts(package.info.run_id)
    assert (file.path, file.file_size) == (archive.name, 3)


def test_registering_again_changes_nothing(store: Store, tmp_path: Path, archive: Path) -> None:
    made = [system(tmp_path, fan=part(0.8))]
    first = register_systems(store, "demo", made, archive)
    writing = ["create_run", "log_batch", "log_artifacts", "create_model_version"]
    writing += [
        "set_registered_model_alias",
        "set_registered_model_tag",
        "create_registered_model",
        "delete_run",
        "set_tag",
    ]
    refused = AssertionError("wrote")
    with patch.multiple(
        MlflowClient, **{name: lambda *a, **k: (_ for _ in ()).throw(refused) for name in writing}
    ):
        assert register_systems(store, "demo", made, archive) == first
    archive.write_bytes(b"another author")
    assert register_systems(store, "demo", made, archive) == first
    assert len(runs(store, "package")) == 2 and len(runs(store, "system")) == 1


def test_what_was_cut_short_is_written_anew(store: Store, tmp_path: Path, archive: Path) -> None:
    made = [system(tmp_path, fan=part(0.8))]
    with (
        patch.object(store.client, "log_artifacts", side_effect=OSError("gone")),
        pytest.raises(TrackingError, match="recording the systems"),
    ):
        register_systems(store, "demo", made, archive)
    (half,) = runs(store, "system")
    (version,) = register_systems(store, "demo", made, archive)
    (whole,) = runs(store, "system")
    assert whole.info.run_id == version.run_id != half.info.run_id
    assert version.version == 1


@pytest.mark.parametrize(
    ("second", "champion"),
    [
        ({"fan": part(0.7), "valve": part(0.7)}, 1),
        ({"fan": part(0.9), "valve": part(0.9)}, 2),
        ({"fan": part(0.99)}, 1),
        ({"fan": part(0.1), "valve": part(0.1), "pump": part(0.1)}, 2),
        ({"fan": part(0.9), "valve": part(None)}, 1),
    ],
)
def test_the_champion_stays_unless_another_is_better(
    store: Store, tmp_path: Path, archive: Path, second: dict[str, SystemPart], champion: int
) -> None:
    register_systems(store, "demo", [system(tmp_path, fan=part(0.8), valve=part(0.7))], archive)
    register_systems(store, "demo", [system(tmp_path, digest="b", **second)], archive)
    aliases = store.client.get_registered_model("demo.S2").aliases
    assert {alias: int(version) for alias, version in aliases.items()} == {"champion": champion, "newest": 2}


def test_a_champion_moved_by_hand_stays(store: Store, tmp_path: Path, archive: Path) -> None:
    register_systems(store, "demo", [system(tmp_path, fan=part(0.8))], archive)
    register_systems(store, "demo", [system(tmp_path, digest="b", fan=part(0.9))], archive)
    store.client.set_registered_model_alias("demo.S2", "champion", "1")
    register_systems(store, "demo", [system(tmp_path, digest="c", fan=part(0.95))], archive)
    aliases = store.client.get_registered_model("demo.S2").aliases
    assert {alias: int(version) for alias, version in aliases.items()} == {"champion": 1, "newest": 3}
