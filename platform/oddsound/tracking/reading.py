"""Reading trials back from MLflow. Nothing is unpickled and nothing that was downloaded is run."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from oddsound.config import TrialConfig
from oddsound.errors import BundleError
from oddsound.scoring.table import ScoreTable, Shared
from oddsound.tracking.ranking import TrackedTrial
from oddsound.tracking.runs import check_weights
from oddsound.tracking.store import Store
from oddsound.training.bundle import Bundle, TrialResult


def load_tracked(
    store: Store, tracked: TrackedTrial, shared: Shared | None = None
) -> tuple[TrialConfig, TrialResult, ScoreTable]:
    """The configuration, result and scores of the trial, from its run's artifacts; `shared` as in
    `ScoreTable.load`.

    Raises TrackingError where they can't be fetched, BundleError or ScoreError where they aren't
    what they should be, and BundleError where they belong to another trial.
    """
    with TemporaryDirectory(prefix="oddsound-") as folder:
        for name in ("config.json", "result.json", "scores.npz"):
            _fetch(store, tracked, name, Path(folder))
        bundle = Bundle(Path(folder))
        config, result, scores = bundle.config(), bundle.result(), bundle.scores(shared)
    if result.trial != tracked.trial or {config.machine, result.machine, scores.machine} != {tracked.machine}:
        raise BundleError(
            f"MLflow run {tracked.run_id}: its artifacts are of {result.machine}/{result.trial}, not of "
            f"{tracked.machine}/{tracked.trial}; delete the run and run `oddsound sync`"
        )
    return config, result, scores


def fetch_model(store: Store, tracked: TrackedTrial, folder: Path) -> Bundle:
    """Download the model into `folder`; a Bundle with its `config.json` and `weights.safetensors`.

    Raises TrackingError, and BundleError where the weights aren't those that the trial wrote.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("config.json", "weights.safetensors"):
        (folder / name).unlink(missing_ok=True)
        _fetch(store, tracked, f"model/{name}", folder).replace(folder / name)
    check_weights(folder / "weights.safetensors", tracked.weights_sha256)
    return Bundle(folder)


def _fetch(store: Store, tracked: TrackedTrial, artifact: str, folder: Path) -> Path:
    with store.asking(f"fetching {artifact} of trial {tracked.trial}"):
        return Path(store.client.download_artifacts(tracked.run_id, artifact, str(folder)))
