"""One trial, from configuration and data to its bundle. Knows neither Ray nor MLflow."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch.optim import Adam

from oddsound import __version__
from oddsound.config import TrialConfig
from oddsound.errors import DataError
from oddsound.models.joint import JointModel
from oddsound.scoring.omega import cells, metrics_dict
from oddsound.scoring.table import ScoreTable
from oddsound.training.bundle import Bundle, TrialResult, write_atomically
from oddsound.training.checkpoint import load_checkpoint, save_checkpoint, seed_epoch
from oddsound.training.data import MachineData, refuse_unmeasurable
from oddsound.training.epoch import train_epoch
from oddsound.training.schedule import build_optimiser
from oddsound.training.scores import score_clips

Report = Callable[[dict[str, float]], None]
"""Is told of each evaluated epoch; what it raises ends the trial, which then resumes from there."""


def run_trial(
    config: TrialConfig, data: MachineData, report: Report, *, trials: Path, number: int = 0
) -> Bundle:
    """Train, score and write the bundle below `trials`; `number` is the trial's place in its study.

    Continues from the bundle's checkpoint, on CPU bit for bit; a bundle that is whole is reported
    and left as it is. The last report comes after the bundle is whole, so whoever hears of a
    finished trial finds it on storage. Raises DataError for data that isn't the configuration's or the
    bundle's, and what ends the training otherwise, as TrialError for a loss that isn't finite; that is
    kept in failure.json.
    """
    bundle = Bundle(trials / config.machine / config.identity)
    _refuse_other_data(config, data, bundle)
    if not bundle.is_whole:
        bundle.path.mkdir(parents=True, exist_ok=True)
        bundle.write("config.json", config.model_dump())
        for left in (bundle.path / "failure.json", *bundle.path.glob("*.partial")):
            left.unlink(missing_ok=True)
        try:
            _train_and_score(config, data, report, bundle, number)
        except Exception as error:
            reason = (str(error).splitlines() or [""])[0]
            bundle.write("failure.json", {"reason": f"{type(error).__name__}: {reason}"})
            raise
    report({**bundle.history()[-1], **bundle.result().metrics})
    return bundle


def build_model(config: TrialConfig, n_classes: int) -> JointModel:
    """The joint model of `config`, its weights as torch's global generator gives them."""
    bfloat16 = config.training.precision == "bfloat16"
    return JointModel(config.model, config.features, n_classes, bfloat16=bfloat16)


def _refuse_other_data(config: TrialConfig, data: MachineData, bundle: Bundle) -> None:
    if data.machine != config.machine:
        raise DataError(f"a trial of {config.machine} was handed the data of {data.machine}")
    refuse_unmeasurable(data.machine, data.clips)
    if bundle.is_whole and bundle.result().data_digest != data.digest:
        raise DataError(f"{bundle.path}: was made from other recordings; choose another folder for this run")


def _train_and_score(
    config: TrialConfig, data: MachineData, report: Report, bundle: Bundle, number: int
) -> None:
    model, optimiser, history = _restore(config, data, bundle)
    last = config.training.epochs
    for epoch in range(len(history) + 1, last + 1):
        entry = train_epoch(model, optimiser, config, data, epoch)
        if epoch == last or epoch % config.training.evaluate_every == 0:
            entry["omega"] = metrics_dict(cells(score_clips(model, data, data.labelled_rows)))["omega"]
        history.append(entry)
        save_checkpoint(bundle.checkpoint, model, optimiser, history, data.digest)
        if "omega" in entry and epoch < last:
            report(entry)
    _write_bundle(config, data, bundle, model, history, number)


def _restore(
    config: TrialConfig, data: MachineData, bundle: Bundle
) -> tuple[JointModel, Adam, list[dict[str, float]]]:
    seed_epoch(config.identity, 0)
    model = build_model(config, len(data.classes))
    if config.model.standardise == "per_machine":
        _fit_standardise(model, data)
    model.to(_device()).train()
    optimiser = build_optimiser(model, config.training)
    return model, optimiser, load_checkpoint(bundle.checkpoint, model, optimiser, data.digest)


def _device() -> str:
    """The GPU where there is one, made exact: float32 means float32, and the same trial the same scores."""
    if not torch.cuda.is_available():
        return "cpu"
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    return "cuda"


def _fit_standardise(model: JointModel, data: MachineData) -> None:
    """Mean and standard deviation of each band over the training clips' frames."""
    rows = data.train_rows
    mean = sum(data.features[row].mean(axis=1, dtype=np.float64) for row in rows) / len(rows)
    deviations = ((data.features[row] - mean[:, None]) ** 2 for row in rows)  # clip by clip: it may be 2 GB
    std = np.sqrt(sum(square.mean(axis=1) for square in deviations) / len(rows))
    model.standardise.mean.copy_(torch.from_numpy(mean)[:, None])
    model.standardise.std.copy_(torch.from_numpy(np.maximum(std, 1e-3))[:, None])


def _write_bundle(
    config: TrialConfig,
    data: MachineData,
    bundle: Bundle,
    model: JointModel,
    history: list[dict[str, float]],
    number: int,
) -> None:
    table = score_clips(model, data, np.arange(len(data.clips)))
    weights = save({name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items()})
    table.save(bundle.scores_path)
    write_atomically(bundle.weights, weights)
    bundle.write("history.json", history)
    seconds = sum(entry["seconds"] for entry in history)
    bundle.write_result(_result(config, data, table, model, weights, number, seconds))
    bundle.checkpoint.unlink(missing_ok=True)


def _result(
    config: TrialConfig,
    data: MachineData,
    table: ScoreTable,
    model: JointModel,
    weights: bytes,
    number: int,
    seconds: float,
) -> TrialResult:
    return TrialResult(
        trial=config.identity,
        machine=config.machine,
        number=number,
        metrics=metrics_dict(cells(table)),
        n_parameters=model.n_scoring_parameters(),
        data_digest=data.digest,
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        seconds=seconds,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        versions={"oddsound": __version__, "python": platform.python_version(), "torch": torch.__version__},
    )
