"""Pretrained weights before a search: found, copied into the run folder, and tried once.

none             nothing
imagenet         the file of the optional package `oddsound[imagenet]`
audioset         a checkpoint of the user's: --weights audioset=FILE
timm:<tag>       from timm's hub, where it can be reached
models:/<name>   what `oddsound pretrain` registered, by version or alias
a path           a checkpoint
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from oddsound.cli.stages import talk
from oddsound.config import ModelConfig
from oddsound.errors import ConfigError, OddsoundError, TrackingError, WeightsError
from oddsound.models.backbones import build_backbone
from oddsound.models.initialise import keras_initialise
from oddsound.models.pretrained import imagenet_file, load_pretrained, sha256_of, timm_file
from oddsound.search.space import SearchSpace
from oddsound.tracking.pretrained import fetch_pretrained
from oddsound.tracking.store import Store

_SHAPING = {"pretrained", "backbone", "activation", "width", "depth", "input_channels", "initialisation"}
"""Settings of ModelConfig on which it depends what a backbone can be filled with."""


def prepare_weights(
    spaces: Sequence[SearchSpace], given: Mapping[str, Path], folder: Path, store: Store | None
) -> tuple[list[SearchSpace], dict[str, Path]]:
    """The spaces with the SHA-256 of each weights that a trial can ask for, and where their files lie.

    Each file is copied to `folder`, so that every node that sees the run folder sees it. Raises
    ConfigError, WeightsError or TrackingError, in one line, for weights that can't be had or don't fit.
    """
    of_space = [_wanted(space) for space in spaces]
    wanted = list(dict.fromkeys(model for models in of_space for model in models))
    _refuse_own_names(given)
    unknown = sorted(given.keys() - {model.pretrained for model in wanted})
    if unknown:
        raise ConfigError(
            f"--weights {unknown[0]}=…: no trial of this search asks for model.pretrained {unknown[0]}"
        )
    files = {}
    for model in wanted:
        source = _found(model.pretrained, given, model, folder, store)
        _try(model, source)
        files[model.pretrained] = _staged(source, folder)
    hashes = {name: sha256_of(path) for name, path in files.items()}
    return [
        replace(space, weights={name: hashes[name] for name in sorted({m.pretrained for m in models})})
        for space, models in zip(spaces, of_space, strict=True)
    ], files


def _refuse_own_names(given: Mapping[str, Path]) -> None:
    """Raises ConfigError where a file is given for a name that has weights of its own."""
    for name in sorted(given):
        if name in ("none", "imagenet") or name.startswith(("timm:", "models:/")):
            raise ConfigError(
                f"--weights {name}=…: {name} means weights of its own; use another name or the path"
            )


def _wanted(space: SearchSpace) -> list[ModelConfig]:
    """The models that are to be filled, each once: those that differ in their backbones."""
    models = {}
    for config in space.variants():
        model = config.model
        if model.architecture != "autoencoder" and model.pretrained != "none":
            models[model.model_dump_json(include=_SHAPING)] = model
    return list(models.values())


def _found(
    name: str, given: Mapping[str, Path], model: ModelConfig, folder: Path, store: Store | None
) -> Path:
    if name in given:
        return given[name]
    if name == "imagenet":
        return imagenet_file()
    if name == "audioset":
        raise ConfigError("model.pretrained audioset: give the checkpoint: --weights audioset=FILE")
    folder.mkdir(parents=True, exist_ok=True)
    if name.startswith("timm:"):
        return timm_file(name.removeprefix("timm:"), model, folder)
    if name.startswith("models:/"):
        if store is None:
            raise TrackingError(f"model.pretrained {name}: is in MLflow, which is away")
        return fetch_pretrained(store, name, folder)
    return Path(name)


def _staged(source: Path, folder: Path) -> Path:
    """A copy of `source` in `folder`, named by its content."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{sha256_of(source)[:16]}{source.suffix}"
    if not target.is_file():
        partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
        shutil.copyfile(source, partial)
        partial.replace(target)
    return target


def _try(model: ModelConfig, path: Path) -> None:
    """Load the weights as a trial will, and say what came of it."""
    if not path.is_file():
        raise WeightsError(
            f"model.pretrained {model.pretrained}: {path}: no such file; give a checkpoint's path"
        )
    network = build_backbone(model)[0]
    if model.initialisation == "keras":
        keras_initialise(network)
    try:
        report = load_pretrained(network, path, model)
    except OddsoundError as error:
        raise type(error)(f"model.pretrained {model.pretrained}: {error}") from error
    talk(f"weights {model.pretrained} for {model.backbone}: {report}")
