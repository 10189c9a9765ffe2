"""Pretrained backbones in MLflow: one run and one registered version each, and the way back.

experiment          <corpus>/pretrain
run                 <backbone>-<identity[:8]>
registered model    <corpus>.pretrained.<backbone>; `champion` is the best on the held-out fold
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from oddsound.errors import BundleError, TrackingError, WeightsError
from oddsound.tracking.layout import KIND, WEIGHTS, registered_name
from oddsound.tracking.loading import resolve
from oddsound.tracking.pretrained_runs import CORPUS_DIGEST, PRETRAIN, ensure_run, experiment_of
from oddsound.tracking.registry import CHAMPION
from oddsound.tracking.runs import check_weights
from oddsound.tracking.store import Store, shown
from oddsound.training.pretrain_bundle import PretrainBundle, PretrainResult

_SCORE, _METRIC, _CHANCE = "oddsound.score", "oddsound.metric", "oddsound.chance"
_FORMS = "models:/<name>/<version> or models:/<name>@<alias>"


@dataclass(frozen=True)
class RegisteredBackbone:
    """One version of a registered model of backbones, and whether it is the champion."""

    name: str
    version: int
    champion: bool

    @property
    def uri(self) -> str:
        """What `model.pretrained` takes."""
        return f"models:/{self.name}/{self.version}"


def record_pretrained(store: Store, bundle: PretrainBundle) -> RegisteredBackbone:
    """Write the whole bundle's run and register its weights, each exactly once; again, it changes nothing.

    The champion is the best of all versions made from the same recordings. Raises TrackingError, which
    leaves the bundle as it is, and BundleError for weights that aren't the result's.
    """
    result, backbone = bundle.outcome(), bundle.settings().model.backbone
    check_weights(bundle.weights, result.weights_sha256)
    name = registered_name(result.corpus, f"pretrained.{backbone}")
    with _keeping(store, bundle):
        run = ensure_run(store, bundle)
        with store.asking(f"registering {name}"):
            _ensure_model(store, name, result.corpus, backbone)
            versions = _versions(store, name, result.corpus_digest)
            own = versions.get(result.identity) or _create(store, name, run, result)
            best = _best({**versions, result.identity: own})
            _point(store, name, best)
    return RegisteredBackbone(name, int(own.version), best.version == own.version)


def fetch_pretrained(store: Store, uri: str, folder: Path) -> Path:
    """The weights of `models:/<name>/<version>` or `models:/<name>@<alias>`, downloaded below `folder`.

    They lie in a folder named by their hash: those that are there already are not fetched again. Raises
    TrackingError where MLflow has no such version or can't be reached, and WeightsError where that is
    no pretrained backbone or what came isn't what was registered.
    """
    version = resolve(store, uri, _FORMS)
    sha256 = version.tags.get(WEIGHTS, "")
    if version.tags.get(KIND) != "pretrain" or not sha256 or not version.run_id:
        raise WeightsError(f"{uri}: no pretrained backbone; give a model that `oddsound pretrain` registered")
    place = folder / sha256[:16]
    path = place / "weights.safetensors"
    if not path.is_file():
        place.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=place) as fetched, store.asking(f"fetching {uri}"):
            artifact = "model/weights.safetensors"
            Path(store.client.download_artifacts(version.run_id, artifact, fetched)).replace(path)
    try:
        check_weights(path, sha256)
    except BundleError as error:
        path.unlink()
        raise WeightsError(f"{uri}: what MLflow gave isn't what was registered ({error})") from error
    return path


@contextmanager
def _keeping(store: Store, bundle: PretrainBundle) -> Iterator[None]:
    """Say of an outage that nothing is lost."""
    try:
        yield
    except TrackingError as error:
        store.forget()
        why = str(error.__cause__ or error).strip().splitlines()[0].replace(store.uri, shown(store.uri))
        raise TrackingError(
            f"MLflow at {shown(store.uri)} doesn't have the pretrained weights yet ({why}); they are safe in "
            f"{bundle.path}, the same command sends them"
        ) from error


def _ensure_model(store: Store, name: str, corpus: str, backbone: str) -> None:
    try:
        store.client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        about = f"`{backbone}` pretrained on the corpus `{corpus}`: weights for `model.pretrained`."
        store.client.create_registered_model(name, description=about)


def _versions(store: Store, name: str, corpus_digest: str) -> dict[str, ModelVersion]:
    """By identity, what was registered from this state of the corpus."""
    found, token = {}, None
    while True:
        page = store.client.search_model_versions(f"name='{name}'", max_results=1000, page_token=token)
        for version in page:
            if version.tags.get(CORPUS_DIGEST) == corpus_digest and PRETRAIN in version.tags:
                found[version.tags[PRETRAIN]] = version
        token = page.token
        if not token:
            return found


def _create(store: Store, name: str, run: str, result: PretrainResult) -> ModelVersion:
    tags = {
        KIND: "pretrain",
        PRETRAIN: result.identity,
        CORPUS_DIGEST: result.corpus_digest,
        WEIGHTS: result.weights_sha256,
        _METRIC: result.metric,
        _SCORE: repr(result.score),
        _CHANCE: repr(result.metrics["chance"]),
    }
    metric = result.metric.replace("_", " ")
    about = (
        f"**{metric} {100 * result.score:.2f} %** on {result.n_held_out} held-out of "
        f"{result.n_clips} clips, chance {100 * result.metrics['chance']:.2f} %, {result.n_classes} classes. "
        f"Run of `{experiment_of(result.corpus)}`, identity `{result.identity}`."
    )
    source = f"{store.client.get_run(run).info.artifact_uri}/model"
    return store.client.create_model_version(name, source, run, tags, description=about, await_creation_for=0)


def _best(versions: dict[str, ModelVersion]) -> ModelVersion:
    """The highest score; of equal ones the oldest."""
    return max(versions.values(), key=lambda v: (float(v.tags[_SCORE]), -int(v.version)))


def _point(store: Store, name: str, best: ModelVersion) -> None:
    present = store.client.get_registered_model(name).aliases.get(CHAMPION)
    if str(present) != str(best.version):
        store.client.set_registered_model_alias(name, CHAMPION, str(best.version))
