"""Pretraining: a backbone, pooling and a linear head learn the labels of a corpus.

One label a clip: softmax and cross entropy. Several: sigmoids and binary cross entropy. What counts is
the backbone after the last epoch; the held-out fold is only measured.
"""

from __future__ import annotations

import hashlib
import math
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from torch.optim import Adam

from oddsound import __version__
from oddsound.errors import DataError, TrialError, WeightsError
from oddsound.features.augment import augment
from oddsound.features.corpus_cache import CorpusFeatures
from oddsound.models.joint import Classifier, Standardise
from oddsound.models.pretrained import backbone_bytes, first_block_sha256, load_pretrained, sha256_of
from oddsound.training.bundle import write_atomically
from oddsound.training.checkpoint import load_checkpoint, save_checkpoint, seed_epoch
from oddsound.training.device import exact_device
from oddsound.training.pretrain_bundle import PretrainBundle, PretrainResult
from oddsound.training.pretrain_config import PretrainConfig

Report = Callable[[dict[str, float]], None]
"""Is told of each epoch; what it raises ends the training, which then resumes from there."""
_EVALUATION_BATCH = 64


class Learner(nn.Module):
    """(batch, bands, time) in dB to logits (batch, classes)."""

    def __init__(self, config: PretrainConfig, n_classes: int) -> None:
        super().__init__()
        bfloat16 = config.training.precision == "bfloat16"
        self.standardise = Standardise(config.features.n_mels)
        self.classifier = Classifier(config.model, n_classes, bfloat16=bfloat16)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.standardise(x))[1]
        return logits


def pretrain(
    config: PretrainConfig,
    data: CorpusFeatures,
    report: Report,
    *,
    folder: Path,
    weights: Path | None = None,
) -> PretrainBundle:
    """Train on all folds but the held-out one and write the bundle below `folder`.

    Continues from the bundle's checkpoint, on CPU bit for bit; a bundle that is whole is reported and
    left as it is. `weights`: the file that the backbone starts from, where the configuration names one.
    Raises DataError for a corpus that can't be learnt from or isn't the bundle's, WeightsError for weights
    that aren't the configuration's, TrialError for a loss that isn't finite; kept in failure.json.
    """
    refuse_unlearnable(config, data)
    bundle = bundle_of(config, data.digest, folder)
    if not bundle.is_whole:
        bundle.path.mkdir(parents=True, exist_ok=True)
        bundle.write("config.json", config.model_dump())
        for left in (bundle.path / "failure.json", *bundle.path.glob("*.partial")):
            left.unlink(missing_ok=True)
        try:
            _train(config, data, report, bundle, weights)
        except Exception as error:
            reason = (str(error).splitlines() or [""])[0]
            bundle.write("failure.json", {"reason": f"{type(error).__name__}: {reason}"})
            raise
    report({**bundle.history()[-1], **bundle.outcome().metrics})
    return bundle


def bundle_of(config: PretrainConfig, corpus_digest: str, folder: Path) -> PretrainBundle:
    """The configuration's bundle, whole or not. Raises DataError where it was made from another corpus."""
    bundle = PretrainBundle(folder / config.identity)
    if bundle.is_whole and bundle.outcome().corpus_digest != corpus_digest:
        raise DataError(f"{bundle.path}: was made from another corpus; choose another folder for this run")
    return bundle


def refuse_unlearnable(config: PretrainConfig, data: CorpusFeatures) -> None:
    """Raises DataError where the held-out fold isn't there, is all there is, or shares no class."""
    fold = config.training.held_out_fold
    held_out = data.folds == fold
    if held_out.all() or not held_out.any():
        have = ", ".join(str(number) for number in sorted(set(data.folds.tolist())))
        raise DataError(
            f"{config.corpus}: fold {fold} has {held_out.sum()} of {len(held_out)} clips; it has the folds "
            f"{have}; choose with --fold one that leaves others to train on"
        )
    if not (data.targets[held_out].any(axis=0) & data.targets[~held_out].any(axis=0)).any():
        raise DataError(
            f"{config.corpus}: fold {fold} has no class that the others have; choose another --fold"
        )


def evaluate(
    logits: NDArray[np.float64], targets: NDArray[np.float32], multi_label: bool
) -> dict[str, float]:
    """The figure and its chance level, as fractions; logits, targets: (clips, classes).

    accuracy: chance is the share of the most frequent class. mean_average_precision: the mean over the
    classes that have clips; chance is their mean share, the average precision of a random order.
    """
    share = targets.mean(axis=0, dtype=np.float64)
    if not multi_label:
        right = logits.argmax(axis=1) == targets.argmax(axis=1)
        return {"accuracy": float(right.mean()), "chance": float(share.max())}
    there = np.flatnonzero(share)
    each = [average_precision_score(targets[:, c], logits[:, c]) for c in there]
    return {"mean_average_precision": float(np.mean(each)), "chance": float(share[there].mean())}


def learning_rate(epoch: int, config: PretrainConfig) -> float:
    """In `epoch`, counted from 1: half a cosine from `lr` towards 0."""
    done = (epoch - 1) / config.training.epochs
    return config.training.lr * 0.5 * (1.0 + math.cos(math.pi * done))


def _train(
    config: PretrainConfig, data: CorpusFeatures, report: Report, bundle: PretrainBundle, weights: Path | None
) -> None:
    model = _begin(config, data, weights)
    optimiser = Adam(model.parameters(), lr=config.training.lr)
    progress = load_checkpoint(bundle.checkpoint, model, optimiser, data.digest)
    for epoch in range(len(progress.history) + 1, config.training.epochs + 1):
        entry = _train_epoch(model, optimiser, config, data, epoch)
        progress.history.append(entry)
        save_checkpoint(bundle.checkpoint, model, optimiser, progress, data.digest)
        if epoch < config.training.epochs:
            report(entry)
    _write_bundle(config, data, bundle, model, progress.history)


def _begin(config: PretrainConfig, data: CorpusFeatures, weights: Path | None) -> Learner:
    seed_epoch(config.identity, 0)
    model = Learner(config, len(data.classes))
    if config.model.pretrained != "none":
        _load(model, config, weights)
    if config.model.standardise == "per_machine":
        model.standardise.fit(data.features, np.flatnonzero(_trained(config, data)))
    return model.to(exact_device())


def _load(model: Learner, config: PretrainConfig, weights: Path | None) -> None:
    if weights is None or sha256_of(weights) != config.model.pretrained_sha256:
        raise WeightsError(
            f"{weights}: not the weights {config.model.pretrained} that this pretraining began with"
        )
    load_pretrained(model.classifier.backbone, weights, config.model)


def _trained(config: PretrainConfig, data: CorpusFeatures) -> NDArray[np.bool_]:
    trained: NDArray[np.bool_] = data.folds != config.training.held_out_fold
    return trained


def _train_epoch(
    model: Learner, optimiser: Adam, config: PretrainConfig, data: CorpusFeatures, epoch: int
) -> dict[str, float]:
    """Raises TrialError at the first loss that isn't finite."""
    started = time.perf_counter()
    rng = seed_epoch(config.identity, epoch)
    rate = learning_rate(epoch, config)
    for group in optimiser.param_groups:
        group["lr"] = rate
    rows = rng.permutation(np.flatnonzero(_trained(config, data)))
    n_batches = max(1, round(len(rows) / config.training.batch_size))
    total = 0.0
    model.train()
    for batch in np.array_split(rows, n_batches):
        loss = _step(model, optimiser, config, data, batch, rng)
        if not math.isfinite(loss):
            raise TrialError(f"{config.corpus}: loss became {loss} in epoch {epoch}; lower training.lr")
        total += loss * len(batch)
    held_out = np.flatnonzero(~_trained(config, data))
    measured = evaluate(_logits(model, data, held_out), data.targets[held_out], data.multi_label)
    entry = {"epoch": epoch, "loss": total / len(rows), "lr": rate, **measured}
    return {**entry, "seconds": time.perf_counter() - started}


def _step(
    model: Learner,
    optimiser: Adam,
    config: PretrainConfig,
    data: CorpusFeatures,
    rows: NDArray[np.intp],
    rng: np.random.Generator,
) -> float:
    device = next(model.parameters()).device
    x = torch.from_numpy(np.asarray(data.features[rows], np.float32)).to(device)
    target = torch.from_numpy(data.targets[rows]).to(device)
    x, mix = augment(x, config.augment, rng)
    target = target if mix is None else mix.of(target)
    loss_of = binary_cross_entropy_with_logits if data.multi_label else cross_entropy
    loss = loss_of(model(x), target)
    optimiser.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    optimiser.step()
    return loss.item()


@torch.inference_mode()
def _logits(model: Learner, data: CorpusFeatures, rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """(rows, classes). Raises TrialError where they aren't finite."""
    model.eval()
    device = next(model.parameters()).device
    parts = []
    for start in range(0, len(rows), _EVALUATION_BATCH):
        batch = rows[start : start + _EVALUATION_BATCH]
        x = torch.from_numpy(np.asarray(data.features[batch], np.float32))
        parts.append(model(x.to(device)).double().cpu().numpy())
    logits = np.concatenate(parts)
    if not np.isfinite(logits).all():
        raise TrialError("the network gives logits that are not finite; lower training.lr")
    return logits


def _write_bundle(
    config: PretrainConfig,
    data: CorpusFeatures,
    bundle: PretrainBundle,
    model: Learner,
    history: list[dict[str, float]],
) -> None:
    backbone = model.classifier.backbone.cpu()
    content = backbone_bytes(backbone, config.model)
    write_atomically(bundle.weights, content)
    names = {label: data.names.get(label, label) for label in data.classes}
    bundle.write("labels.json", {"classes": list(data.classes), "names": names})
    bundle.write("history.json", history)
    metric = "mean_average_precision" if data.multi_label else "accuracy"
    result = PretrainResult(
        identity=config.identity,
        corpus=config.corpus,
        metric=metric,
        metrics={name: history[-1][name] for name in (metric, "chance")},
        n_clips=len(data.folds),
        n_held_out=int((~_trained(config, data)).sum()),
        n_classes=len(data.classes),
        n_parameters=sum(p.numel() for p in backbone.parameters()),
        corpus_digest=data.digest,
        weights_sha256=hashlib.sha256(content).hexdigest(),
        first_block_sha256=first_block_sha256(backbone),
        seconds=sum(entry["seconds"] for entry in history),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        versions={"oddsound": __version__, "python": platform.python_version(), "torch": torch.__version__},
    )
    bundle.write_outcome(result)
    bundle.checkpoint.unlink(missing_ok=True)
