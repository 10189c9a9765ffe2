"""One trial, from configuration and data to its bundle. Knows neither Ray nor MLflow."""

from __future__ import annotations

import contextlib
import hashlib
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch.optim import Adam

from oddsound.config import TrialConfig
from oddsound.errors import BundleError, ConfigError, DataError, WeightsError
from oddsound.features.freed_memory import give_back_freed_memory
from oddsound.models.joint import JointModel
from oddsound.models.pretrained import first_block_sha256, load_pretrained, sha256_of
from oddsound.scoring.omega import cells, metrics_dict
from oddsound.training.bundle import Bundle, TrialResult, write_atomically
from oddsound.training.checkpoint import Progress, load_checkpoint, save_checkpoint, seed_epoch
from oddsound.training.classes import classes_of, refuse_unlearnable
from oddsound.training.code_version import code_version
from oddsound.training.data import MachineData, refuse_unmeasurable
from oddsound.training.epoch import Lesson, train_epoch
from oddsound.training.epoch_scores import EpochScores
from oddsound.training.schedule import build_optimiser
from oddsound.training.scores import score_clips
from oddsound.training.segments import Segments
from oddsound.training.usage import Usage

_DAMAGED = "checkpoint.damaged"

Report = Callable[[dict[str, float]], None]
"""Is told of each evaluated epoch; what it raises ends the trial, which then resumes from there."""
Alive = Callable[[], None]
"""Is called at least once a training step: a sign of life."""


def run_trial(
    config: TrialConfig,
    data: MachineData,
    report: Report,
    *,
    trials: Path,
    number: int = 0,
    weights: Path | None = None,
    alive: Alive = lambda: None,
) -> Bundle:
    """Train, score and write the bundle below `trials`; `number` is the trial's place in its study,
    `weights` the file of the pretrained weights that the configuration names.

    Continues from the bundle's checkpoint, on CPU bit for bit, and from nothing where that is damaged; a
    bundle that is whole is reported and left as it is. The last report comes after the bundle is whole,
    so whoever hears of a finished trial finds it on storage. Raises DataError for data that isn't the
    configuration's or the bundle's, WeightsError for such weights, and what ends the training otherwise,
    as TrialError for a loss that isn't finite; that is kept in failure.json.
    """
    bundle = Bundle(trials / config.machine / config.identity)
    _refuse_other_data(config, data, bundle)
    if not bundle.is_whole:
        bundle.path.mkdir(parents=True, exist_ok=True)
        bundle.write("config.json", config.model_dump())
        bundle.write_seen(data.digest)
        for left in (bundle.path / "failure.json", *bundle.path.glob("*.partial")):
            left.unlink(missing_ok=True)
        try:
            _train_and_score(config, data, report, bundle, number, weights, alive)
        except Exception as error:
            reason = (str(error).splitlines() or [""])[0]
            with contextlib.suppress(OSError):  # on a full disk the error itself is what counts
                bundle.write("failure.json", {"reason": f"{type(error).__name__}: {reason}"})
            raise
    report({**bundle.history()[-1], **bundle.result().metrics})
    return bundle


def build_model(
    config: TrialConfig, n_classes: int, n_frames: int, weights: Path | None = None
) -> JointModel:
    """The model of `config` for segments of `n_frames`, its weights as torch's global generator gives
    them but for the backbone's, which come from `weights` where the configuration names any."""
    bfloat16 = config.training.precision == "bfloat16"
    model = JointModel(config.model, config.features, n_classes, n_frames, bfloat16=bfloat16)
    if model.classifier is not None and config.model.pretrained != "none":
        _load_backbone(model.classifier.backbone, config, weights)
    return model


def _load_backbone(backbone: torch.nn.Module, config: TrialConfig, weights: Path | None) -> None:
    wanted = config.model.pretrained_sha256
    if weights is None:
        raise ConfigError(f"model.pretrained {config.model.pretrained}: no file of these weights was given")
    if wanted and sha256_of(weights) != wanted:
        raise WeightsError(f"{weights}: is not the file of SHA-256 {wanted[:12]}… that the search began with")
    load_pretrained(backbone, weights, config.model)


def _refuse_other_data(config: TrialConfig, data: MachineData, bundle: Bundle) -> None:
    if data.machine != config.machine:
        raise DataError(f"a trial of {config.machine} was handed the data of {data.machine}")
    refuse_unlearnable(data.machine, data.clips, config)
    refuse_unmeasurable(data.machine, data.clips)
    if bundle.is_whole and bundle.result().data_digest != data.digest:
        raise DataError(f"{bundle.path}: was made from other recordings; choose another folder for this run")


def _train_and_score(
    config: TrialConfig,
    data: MachineData,
    report: Report,
    bundle: Bundle,
    number: int,
    weights: Path | None,
    alive: Alive,
) -> None:
    give_back_freed_memory()  # of the worker's last trial: the peaks are this one's
    segments = Segments.of(data.machine, data.features.shape[2], config.model)
    lesson = Lesson(data, classes_of(data.clips, config.training.labels), segments, alive)
    state = _continue(config, lesson, weights, bundle)
    _train(config, lesson, report, bundle, state, alive)
    _write_bundle(config, lesson, bundle, state, number)


@dataclass
class _State:
    """A trial between two epochs; `first_block` is the hash of the backbone's first block before training."""

    model: JointModel
    optimiser: Adam
    progress: Progress
    first_block: str


def _begin(config: TrialConfig, lesson: Lesson, weights: Path | None) -> tuple[JointModel, str]:
    """The model before its first epoch, and the hash of its backbone's first block."""
    seed_epoch(config.identity, 0)
    model = build_model(config, len(lesson.classes.names), lesson.segments.frames, weights)
    if config.model.standardise == "per_machine":
        model.standardise.fit(lesson.data.features, lesson.rows(config.training.holdout))
    first_block = first_block_sha256(model.classifier.backbone) if model.classifier is not None else ""
    return model.to(lesson.device).train(), first_block


def _continue(config: TrialConfig, lesson: Lesson, weights: Path | None, bundle: Bundle) -> _State:
    """Where the checkpoint leaves off; without a usable one, before the first epoch."""
    model, first_block = _begin(config, lesson, weights)
    optimiser = build_optimiser(model, config.training)
    try:
        progress = load_checkpoint(bundle.checkpoint, model, optimiser, lesson.data.digest)
    except BundleError as error:
        print(f"{error.__cause__}", file=sys.stderr)
        print(f"{bundle.checkpoint.name} is damaged: now {_DAMAGED}, from the start", file=sys.stderr)
        bundle.checkpoint.replace(bundle.path / _DAMAGED)
        return _continue(config, lesson, weights, bundle)
    print(f"goes on after epoch {len(progress.history)} of {config.training.epochs}", file=sys.stderr)
    return _State(model, optimiser, progress, first_block)


def _train(
    config: TrialConfig, lesson: Lesson, report: Report, bundle: Bundle, state: _State, alive: Alive
) -> None:
    """Train to the last epoch; the model is then that of the epoch that counts."""
    progress, last = state.progress, config.training.epochs
    for epoch in range(len(progress.history) + 1, last + 1):
        _train_one(config, lesson, state, epoch, alive)
        # The history first: what it says of an epoch is said again when a death makes that be trained again.
        bundle.write("history.json", progress.history)
        save_checkpoint(bundle.checkpoint, state.model, state.optimiser, progress, lesson.data.digest)
        if "omega" in progress.history[-1] and epoch < last:
            report(progress.history[-1])
    if progress.best is not None:
        state.model.load_state_dict(progress.best)


def _train_one(config: TrialConfig, lesson: Lesson, state: _State, epoch: int, alive: Alive) -> None:
    model, progress, usage = state.model, state.progress, Usage()
    entry = train_epoch(model, state.optimiser, config, lesson, epoch, alive)
    alive()
    if epoch == config.training.epochs or epoch % config.training.evaluate_every == 0:
        table = score_clips(model, config, lesson, lesson.data.labelled_rows, in_batches=True)
        entry["omega"] = metrics_dict(cells(table))["omega"]
        if config.training.selection == "best_dev_omega":
            progress.by_epoch[epoch] = torch.from_numpy(table.score.astype(np.float32))
    progress.history.append(entry | usage.metrics())
    if config.training.selection == "best_dev_omega" and best_epoch(progress.history) == epoch:
        progress.best = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}


def best_epoch(history: list[dict[str, float]]) -> int:
    """The first epoch of the highest omega, among those that have one; 0 where none has."""
    evaluated = [entry for entry in history if "omega" in entry]
    return int(max(evaluated, key=lambda entry: entry["omega"])["epoch"]) if evaluated else 0


def _write_bundle(config: TrialConfig, lesson: Lesson, bundle: Bundle, state: _State, number: int) -> None:
    model, progress = state.model, state.progress
    data = lesson.data
    table = score_clips(model, config, lesson, np.arange(len(data.clips)))
    weights = save({name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items()})
    table.save(bundle.scores_path)
    if progress.by_epoch:
        EpochScores.of({epoch: scores.numpy() for epoch, scores in progress.by_epoch.items()}).write(bundle)
    write_atomically(bundle.weights, weights)
    bundle.write("history.json", progress.history)
    result = TrialResult(
        trial=config.identity,
        machine=config.machine,
        number=number,
        metrics=_metrics(config, progress.history, metrics_dict(cells(table))),
        n_parameters=model.n_scoring_parameters(),
        data_digest=data.digest,
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        initial_block_sha256=state.first_block,
        classes=list(table.classes),
        clip_frames=int(data.features.shape[2]),
        seconds=sum(entry["seconds"] for entry in progress.history),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        versions={**code_version(), "python": platform.python_version()},
    )
    bundle.write_result(result)
    bundle.checkpoint.unlink(missing_ok=True)


def _metrics(
    config: TrialConfig, history: list[dict[str, float]], final: dict[str, float]
) -> dict[str, float]:
    """`final` with both selections beside it; the one that counts is `final`'s own omega."""
    best = best_epoch(history)
    by_best = config.training.selection == "best_dev_omega"
    both = {"omega_last": history[-1]["omega"], "omega_best_dev": history[best - 1]["omega"]}
    both["omega_best_dev" if by_best else "omega_last"] = final["omega"]
    if best == len(history):
        both = dict.fromkeys(both, final["omega"])
    return final | both | {"best_epoch": float(best)}
