"""Our own loader takes data and nothing else: what was edited or swapped is refused by name and not run."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save
from tests.payloads import Payload, code, pickled
from tests.registered_models import DATASET, register_trials

from oddsound.ensemble.opening import open_sealed
from oddsound.errors import ModelError, TrackingError
from oddsound.tracking.layout import MODEL
from oddsound.tracking.loading import locate, open_model
from oddsound.tracking.store import Store, open_store
from oddsound.training.bundle import bundles
from oddsound.training.detector import load_bundle
from oddsound.training.sealed import MANIFEST, Manifest, as_json, seal
from oddsound.training.verdicts import NewClip, Verdict, verdicts

CHAMPION = f"models:/{DATASET}.fan@champion"
CLIP = NewClip("x.wav", "01", np.sin(np.arange(16000, dtype=np.float32)) / 3)


@pytest.fixture(scope="module")
def registered(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Its files are edited by the tests, and put back."""
    store = open_store(None, tmp_path_factory.mktemp("registered"))
    register_trials(store, trained)
    return store


@pytest.fixture
def model(registered: Store) -> Path:
    """Where the champion's files lie in the store."""
    return Path(registered.client.get_model_version_by_alias(f"{DATASET}.fan", "champion").source)


def loaded(store: Store, uri: str, folder: Path) -> Verdict:
    """What our own loader makes of the clip."""
    opened = open_sealed(open_model(store, locate(store, uri), folder / "fetched"))
    return verdicts(opened.of("fan"), [CLIP])[0]


@contextlib.contextmanager
def edited(path: Path, content: bytes) -> Iterator[None]:
    before = path.read_bytes() if path.exists() else None
    path.write_bytes(content)
    try:
        yield
    finally:
        path.unlink()
        if before is not None:
            path.write_bytes(before)


@contextlib.contextmanager
def sealed_anew(store: Store, model: Path) -> Iterator[None]:
    """Manifest and tag made to fit what lies there, as one could who may write both."""
    version = store.client.get_model_version_by_alias(f"{DATASET}.fan", "champion")
    before = (model / MANIFEST).read_bytes()
    store.client.set_model_version_tag(version.name, str(version.version), MODEL, seal(model, "detector"))
    try:
        yield
    finally:
        (model / MANIFEST).write_bytes(before)
        registered = hashlib.sha256(before).hexdigest()
        store.client.set_model_version_tag(version.name, str(version.version), MODEL, registered)


def test_what_is_loaded_scores_as_the_trial(registered: Store, trained: Path, tmp_path: Path) -> None:
    version = registered.client.get_model_version_by_alias(f"{DATASET}.fan", "champion")
    addresses = [CHAMPION, f"models:/{DATASET}.fan/{version.version}", f"runs:/{version.run_id}/model"]
    assert len({locate(registered, uri).sha256 for uri in addresses}) == 1
    of_trial = {b.path.name: verdicts(load_bundle(b), [CLIP])[0] for b in bundles(trained, "fan")}
    trial = version.tags["oddsound.trial"]
    for number, uri in enumerate(addresses):
        assert loaded(registered, uri, tmp_path / str(number)) == of_trial[trial]
    second = loaded(registered, f"models:/{DATASET}.fan@top-2", tmp_path / "second")
    assert second != of_trial[trial] and second in of_trial.values()


def nan(model: Path) -> bytes:
    tensors = load_file(model / "weights.safetensors")
    tensors["classifier.head.1.bias"][0] = float("nan")
    return save(tensors)


def other_shapes(model: Path) -> bytes:
    tensors = load_file(model / "weights.safetensors")
    tensors["classifier.head.1.bias"] = torch.zeros(7)
    return save(tensors)


def torch_pickle(marker: Path) -> bytes:
    path = marker.with_suffix(".pt")
    torch.save({"classifier.head.1.bias": Payload(marker)}, path)
    return path.read_bytes()


def edited_code(marker: Path, model: Path) -> bytes:
    return code(marker).encode() + (model / "oddsound_model.py").read_bytes()


def evil_mlmodel(marker: Path, model: Path) -> bytes:
    """It names another loader, which lies beside it."""
    text = (model / "MLmodel").read_text()
    return text.replace(
        "loader_module: mlflow.pyfunc.loaders.code_model", "loader_module: evil\n    code: ."
    ).encode()


EDITS: dict[str, tuple[str, Callable[[Path, Path], bytes]]] = {
    "a pickle": ("weights.safetensors", lambda marker, _: pickled(marker)),
    "a file of torch.save": ("weights.safetensors", lambda marker, _: torch_pickle(marker)),
    "NaN": ("weights.safetensors", lambda _, model: nan(model)),
    "wrong shapes": ("weights.safetensors", lambda _, model: other_shapes(model)),
    "code": ("oddsound_model.py", edited_code),
    "MLmodel": ("MLmodel", evil_mlmodel),
    "settings": ("config.json", lambda _, model: (model / "config.json").read_bytes() + b"\n"),
    "thresholds": ("detector.json", lambda _, m: (m / "detector.json").read_bytes().replace(b"1", b"2", 1)),
    "requirements": ("requirements.txt", lambda *_: b"evil==1\n"),
    "manifest": (MANIFEST, lambda _, model: (model / MANIFEST).read_bytes().replace(b"a", b"b", 1)),
}  # fmt: skip


@pytest.mark.parametrize("kind", EDITS)
def test_an_edited_file_is_refused_by_name_and_not_run(
    registered: Store, model: Path, tmp_path: Path, kind: str
) -> None:
    name, content = EDITS[kind]
    marker = tmp_path / "marker"
    with (
        edited(model / "evil.py", code(marker).encode()),
        edited(model / name, content(marker, model)),
        pytest.raises(ModelError, match=f"{CHAMPION}: {name} has the SHA-256 ") as refused,
    ):
        loaded(registered, CHAMPION, tmp_path)
    assert "\n" not in str(refused.value) and not marker.exists()


@pytest.mark.parametrize("name", ["weights.safetensors", "detector.json", "config.json", MANIFEST])
def test_a_file_of_another_version_is_refused(
    registered: Store, model: Path, tmp_path: Path, name: str
) -> None:
    other = Path(registered.client.get_model_version_by_alias(f"{DATASET}.fan", "top-2").source)
    with (
        edited(model / name, (other / name).read_bytes()),
        pytest.raises(ModelError, match=f"{name} has the SHA-256 .*swapped"),
    ):
        loaded(registered, CHAMPION, tmp_path)


RESEALED = {
    "a pickle": "a pickle or archive, not safetensors; it was not opened",
    "a file of torch.save": "a pickle or archive",
    "NaN": r"classifier\.head\.1\.bias holds a number that isn't finite",
    "wrong shapes": r"classifier\.head\.1\.bias is F32 \[7\], expected F32 \[6\]",
}


@pytest.mark.parametrize("kind", RESEALED)
def test_weights_that_were_sealed_anew_are_refused_all_the_same(
    registered: Store, model: Path, tmp_path: Path, kind: str
) -> None:
    name, content = EDITS[kind]
    marker = tmp_path / "marker"
    with (
        edited(model / name, content(marker, model)),
        sealed_anew(registered, model),
        pytest.raises(ModelError, match=RESEALED[kind]),
    ):
        loaded(registered, CHAMPION, tmp_path)
    assert not marker.exists()


@pytest.mark.filterwarnings("ignore::UserWarning")  # MLflow's own, of its own type hints
@pytest.mark.parametrize("kind", ["code", "MLmodel"])
def test_mlflow_runs_the_edited_code_and_our_loader_never(
    registered: Store, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Even where tag and manifest fit: that is why `predict` is the way for a store that isn't trusted."""
    import mlflow.pyfunc

    monkeypatch.chdir(tmp_path)
    name, content = EDITS[kind]
    marker = tmp_path / "marker"
    with (
        edited(model / "evil.py", code(marker).encode()),
        edited(model / name, content(marker, model)),
        sealed_anew(registered, model),
    ):
        loaded(registered, CHAMPION, tmp_path)
        assert not marker.exists()
        with contextlib.suppress(AttributeError):  # evil.py makes its file, and is no loader
            mlflow.pyfunc.load_model(str(model))
        assert marker.exists()


def test_a_file_that_is_gone_is_named(registered: Store, model: Path, tmp_path: Path) -> None:
    content = (model / "detector.json").read_bytes()
    (model / "detector.json").unlink()
    try:
        what = r"fetching detector\.json of models:/tiny\.fan@champion"
        with pytest.raises(TrackingError, match=f"{what}.*; see to it and give the same command") as gone:
            loaded(registered, CHAMPION, tmp_path)
    finally:
        (model / "detector.json").write_bytes(content)
    assert "trials" not in str(gone.value)  # none is lost where somebody only reads


@pytest.mark.parametrize("names", [("config.json", "config.json/b"), ("a/b/c", "a/b")])
def test_a_name_that_is_a_file_and_a_folder_is_refused(
    registered: Store, model: Path, tmp_path: Path, names: tuple[str, str]
) -> None:
    """As an object store could have both."""
    files = json.loads((model / MANIFEST).read_bytes())["files"]
    (model / "a" / "b").mkdir(parents=True)
    (model / "a" / "b" / "c").write_bytes(b"")
    files |= {name: hashlib.sha256().hexdigest() for name in names if name not in files}
    content = as_json(Manifest(kind="detector", files=files).model_dump())
    located = replace(locate(registered, CHAMPION), sha256=hashlib.sha256(content).hexdigest())
    try:
        with edited(model / MANIFEST, content):
            sealed = open_model(registered, located, tmp_path)
            sealed.path(names[0])
            with pytest.raises(ModelError, match=f"{CHAMPION}: its {MANIFEST} names {names[1]}, "):
                sealed.path(names[1])
    finally:
        shutil.rmtree(model / "a")


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("models:/tiny.fan@best", r"tiny\.fan has versions up to \d and the aliases @challenger, @champion"),
        ("models:/tiny.fan/99", r"alias; tiny\.fan has versions up to \d"),
        ("models:/nobody@champion", r"no such model, version or alias; it has tiny\.fan, tiny\.valve"),
        ("models:/tiny.fan", "no address of a model; give models:/<name>@<alias>"),
        ("models:/tiny.fan/latest", "no address of a model"),
        ("runs:/" + "0" * 32 + "/model", "no such run"),
    ],
)
def test_what_isnt_there_is_said(registered: Store, uri: str, message: str) -> None:
    with pytest.raises(TrackingError, match=message):
        locate(registered, uri)


def test_models_of_another_kind_are_refused(registered: Store, model: Path) -> None:
    client, run = registered.client, registered.client.get_model_version(f"{DATASET}.fan", "1").run_id
    client.create_registered_model("other")
    for kind, message in (
        ({}, "isn't a model that oddsound packaged"),
        ({MODEL: "../x"}, "isn't a model that oddsound packaged"),
        ({"oddsound.kind": "pretrain", MODEL: "0" * 64}, "a pretrained backbone, which scores nothing"),
    ):
        version = client.create_model_version("other", str(model), run, kind, await_creation_for=0)
        with pytest.raises(ModelError, match=message):
            locate(registered, f"models:/other/{version.version}")
