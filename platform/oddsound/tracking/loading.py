"""Fetching packaged models out of MLflow, so that nobody who can write there can run code here.

Of a model only data is looked at: its manifest, whose SHA-256 the registered version (or the run) has in
a tag, and the files that the manifest vouches for. `MLmodel` and the code file are hashed and never read;
where they were edited the model is refused all the same, for MLflow's own loader would run them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from oddsound.errors import ModelError, TrackingError
from oddsound.tracking.layout import KIND, MODEL
from oddsound.tracking.store import Store, shown
from oddsound.training.sealed import MANIFEST, Sealed, unseal

_REGISTERED = re.compile(r"models:/(?P<name>[^/@:]+)(?:/(?P<version>[0-9]{1,9})|@(?P<alias>[^/@:]+))")
_OF_RUN = re.compile(r"runs:/(?P<run>[0-9a-f]{32})/model")
_UNKNOWN = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
_AGAIN = "see to it and give the same command again"
_FORMS = "models:/<name>@<alias>, models:/<name>/<version> or runs:/<run id>/model"


@dataclass(frozen=True)
class Located:
    """Where a packaged model lies, and the SHA-256 that its manifest was registered with."""

    uri: str
    run_id: str
    sha256: str


def locate(store: Store, uri: str) -> Located:
    """The model that `models:/<name>@<alias>`, `models:/<name>/<version>` or `runs:/<id>/model` means now.

    Raises TrackingError where MLflow has no such one or can't be reached, ModelError where that is none
    of ours.
    """
    if of_run := _OF_RUN.fullmatch(uri):
        run_id, tags = of_run["run"], _run_tags(store, uri, of_run["run"])
    else:
        version = resolve(store, uri)
        run_id, tags = version.run_id or "", version.tags
    if tags.get(KIND) == "pretrain":
        raise ModelError(f"{uri}: a pretrained backbone, which scores nothing; it is for model.pretrained")
    if not run_id or not re.fullmatch(r"[0-9a-f]{64}", tags.get(MODEL, "")):
        raise ModelError(
            f"{uri}: has no tag {MODEL}, so it isn't a model that oddsound packaged; `oddsound submit` "
            "registers those of a run"
        )
    return Located(uri, run_id, tags[MODEL])


def resolve(store: Store, uri: str, forms: str = _FORMS) -> ModelVersion:
    """The registered version that `uri` means now. Raises TrackingError as `locate` does; `forms`: what
    may be given."""
    parts = _REGISTERED.fullmatch(uri)
    if parts is None:
        raise TrackingError(f"{uri}: no address of a model; give {forms}")
    with store.asking(f"looking for {uri}", _AGAIN):
        try:
            if parts["alias"]:
                return store.client.get_model_version_by_alias(parts["name"], parts["alias"])
            return store.client.get_model_version(parts["name"], parts["version"])
        except MlflowException as error:
            if error.error_code not in _UNKNOWN:
                raise
            raise TrackingError(_unknown(store, uri)) from error


def open_model(store: Store, located: Located, folder: Path) -> Sealed:
    """The model, its manifest and MLflow's own files fetched into `folder` and checked, the rest when it is
    asked for. Raises TrackingError, and ModelError for a file that isn't what was registered."""
    sealed = unseal(folder, located.uri, located.sha256, _fetching(store, located, folder))
    sealed.check(name for name in sealed.manifest.files if "/" not in name)
    return sealed


def _fetching(store: Store, located: Located, folder: Path) -> Callable[[str], None]:
    """What brings a file of the model into `folder`, once."""
    fetched: set[str] = set()

    def fetch(name: str) -> None:
        if name in fetched:
            return
        place = folder / name
        if place.is_dir() or any(above.is_file() for above in place.parents):
            raise ModelError(
                f"{located.uri}: its {MANIFEST} names {name}, which by its other names is a folder or lies "
                "below a file; damaged or edited: register the model anew"
            )
        place.parent.mkdir(parents=True, exist_ok=True)
        # Where below its target MLflow puts a file depends on the kind of store: a folder of its own.
        with TemporaryDirectory(dir=folder) as own, store.asking(f"fetching {name} of {located.uri}", _AGAIN):
            Path(store.client.download_artifacts(located.run_id, f"model/{name}", own)).replace(place)
        fetched.add(name)

    return fetch


def _run_tags(store: Store, uri: str, run_id: str) -> dict[str, str]:
    with store.asking(f"looking for {uri}", _AGAIN):
        try:
            return dict(store.client.get_run(run_id).data.tags)
        except MlflowException as error:
            if error.error_code not in _UNKNOWN:
                raise
            raise TrackingError(f"{uri}: MLflow at {shown(store.uri)} has no such run") from error


def _unknown(store: Store, uri: str) -> str:
    """What there is instead: the versions and aliases of the model, or the models."""
    parts = _REGISTERED.fullmatch(uri)
    name = parts["name"] if parts else ""
    models = store.client.search_registered_models(max_results=1000)
    known = f"it has {', '.join(sorted(model.name for model in models)[:20])}" if models else "it has none"
    for model in models:
        if model.name == name:
            aliases = ", ".join(f"@{alias}" for alias in sorted(model.aliases))
            known = f"{name} has versions up to {_newest(store, name)} and the aliases {aliases or '-'}"
    return (
        f"{uri}: MLflow at {shown(store.uri)} has no such model, version or alias; {known}. Name the store "
        "with --tracking-uri or --run"
    )


def _newest(store: Store, name: str) -> int:
    found = store.client.search_model_versions(f"name='{name}'", max_results=1000)
    return max((int(version.version) for version in found), default=0)
