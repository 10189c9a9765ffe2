"""`oddsound pretrain`: weights for the detector's backbone, from a labelled corpus."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from oddsound.cli.run import prepare_ray
from oddsound.cli.talking import talk, warn

if TYPE_CHECKING:
    from oddsound.recordings.corpus import Corpus
    from oddsound.tracking.pretrained import RegisteredBackbone
    from oddsound.training.pretrain_bundle import PretrainBundle, PretrainResult
    from oddsound.training.pretrain_config import PretrainConfig

_BACKBONE = "tf_efficientnet_b0"
"""The one of the shipped search spaces."""
_SHORT = {
    "backbone": "model.backbone",
    "pretrained": "model.pretrained",
    "epochs": "training.epochs",
    "batch_size": "training.batch_size",
    "lr": "training.lr",
    "fold": "training.held_out_fold",
    "seconds": "training.max_seconds",
    "seed": "training.seed",
}


@click.command()
@click.argument("corpus", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The run's folder.")
@click.option("--backbone", help="Short for --set model.backbone=B.  [default: tf_efficientnet_b0]")
@click.option("--pretrained", metavar="none|imagenet|PATH", help="Weights to start from.  [default: none]")
@click.option("--epochs", type=click.IntRange(1), help="[default: 15]")
@click.option("--batch-size", type=click.IntRange(2), help="[default: 16]")
@click.option("--lr", type=click.FloatRange(0, 1, min_open=True), help="Learning rate.  [default: 0.001]")
@click.option("--fold", type=click.IntRange(0), help="Held out to measure on.  [default: the lowest]")
@click.option(
    "--seconds",
    type=click.FloatRange(0.1),
    help="Cut clips to this; shorter where 95 % of them are.  [default: 10]",
)
@click.option("--seed", type=click.IntRange(0), help="[default: 0]")
@click.option("--set", "settings", multiple=True, metavar="A.B=V", help="One setting, e.g. model.width=0.5.")
@click.option("--tracking-uri", help="An MLflow server or sqlite:///FILE.  [default: OUT/mlflow/mlflow.db]")
@click.option("--cpus", type=click.FloatRange(0, min_open=True), help="[default: all of a node]")
@click.option("--gpus", type=click.FloatRange(0), help="[default: 1 where there are any]")
@click.option("--ray-address", default="local", show_default=True, help="HOST:PORT of a running Ray cluster.")
@click.option("--insecure", is_flag=True, help="Use a Ray cluster that has no token authentication.")
def pretrain(corpus: Path, out: Path, **options: Any) -> None:
    """Teach the detector's backbone the labels of CORPUS and register the weights.

    \b
      oddsound pretrain data/ESC-50 --out runs/esc50
      oddsound pretrain data/esc10 --out runs/esc10 --pretrained imagenet --fold 2
      oddsound pretrain data/audioset --out runs/audioset --epochs 30 --set training.precision=bfloat16

    CORPUS is a folder, or a table in it. ESC style: a CSV with the columns filename, fold, target,
    category; audio in audio/ or beside it. AudioSet style: segments CSVs, audio as <YTID>.wav, .flac or
    .ogg. The same command again does only what is missing.
    """
    prepare_ray(options["ray_address"], options["insecure"])  # before ray is imported
    from oddsound.chatter import kept_in
    from oddsound.cli.stages import dataset_name
    from oddsound.recordings.corpus import read_corpus
    from oddsound.search.driver import sole_driver

    given = _given(options)
    found = read_corpus(corpus)
    _say_what_was_found(found)
    config = _configured(dataset_name(corpus.with_suffix("") if corpus.is_file() else corpus), found, given)
    out = out.absolute()  # workers have a folder of their own
    with sole_driver(out), kept_in(out):
        _pretrain(found, config, out, options)


def _pretrain(corpus: Corpus, config: PretrainConfig, out: Path, options: dict[str, Any]) -> None:
    """The stages that write below `out`."""
    from oddsound.cli.clip_progress import ClipProgress
    from oddsound.features.corpus_cache import build_corpus_cache, common_seconds
    from oddsound.search.pretrain import Pretraining, run_pretraining
    from oddsound.tracking.pretrained import record_pretrained
    from oddsound.tracking.store import canonical, open_store
    from oddsound.training.pretraining import bundle_of

    config, weights = _weights(config, out / "weights")
    uri = canonical(options["tracking_uri"]) if options["tracking_uri"] else None
    store = open_store(uri, out / "mlflow")  # a wrong address ends it here, before the training
    seconds = common_seconds(corpus, config.training.max_seconds)
    talk(f"features of {config.corpus}: {len(corpus.clips)} clips of {seconds:.2f} s")
    with ClipProgress(f"features of {config.corpus}") as told:
        cache = build_corpus_cache(corpus, config.features, seconds, out / "features", told)
    job = Pretraining(config, corpus.digest, cache, weights)
    if not bundle_of(config, corpus.digest, out / "pretrain").is_whole:
        talk("pretraining: Ray starts, the first epoch takes some seconds to show")
    bundle = run_pretraining(
        job,
        out,
        _progress(config),
        cpus=options["cpus"],
        gpus=options["gpus"],
        address=options["ray_address"],
        insecure=options["insecure"],
    )
    _conclude(bundle, record_pretrained(store, bundle), store.uri)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """What --set and the short options say. Raises ConfigError for what isn't SETTING=VALUE."""
    from oddsound.config import nested, overlay
    from oddsound.errors import ConfigError
    from oddsound.yaml_files import parse_yaml

    given: dict[str, Any] = {}
    for setting in options["settings"]:
        path, equals, value = setting.partition("=")
        if not equals or not path:
            raise ConfigError(f"--set {setting}: expected SETTING=VALUE, e.g. model.width=0.5")
        if path == "corpus":
            raise ConfigError("--set corpus: it is named after its folder; rename that")
        given = overlay(given, nested({path: parse_yaml(value, f"--set {path}")}))
    short = {path: options[name] for name, path in _SHORT.items() if options[name] is not None}
    return overlay(given, nested(short))


def _configured(name: str, corpus: Corpus, given: dict[str, Any]) -> PretrainConfig:
    """`given` over the defaults; without a fold the corpus's lowest is held out."""
    from oddsound.config import nested, overlay, validated
    from oddsound.training.pretrain_config import PretrainConfig

    base = nested({"corpus": name, "model.backbone": _BACKBONE, "training.held_out_fold": corpus.folds[0]})
    return validated(PretrainConfig, overlay(base, given), "settings of the pretraining (--set, options)")


def _weights(config: PretrainConfig, folder: Path) -> tuple[PretrainConfig, Path | None]:
    """The weights to start from, copied to where every node sees them and tried once; the configuration
    with their hash."""
    from oddsound.errors import WeightsError
    from oddsound.models.backbones import build_backbone
    from oddsound.models.pretrained import imagenet_file, load_pretrained, sha256_of

    name = config.model.pretrained
    if name == "none":
        return config, None
    source = imagenet_file() if name == "imagenet" else Path(name)
    if not source.is_file():
        raise WeightsError(f"--pretrained {name}: no such file; give none, imagenet or a checkpoint's path")
    sha256 = sha256_of(source)
    copy = folder / f"{sha256[:16]}{source.suffix}"
    if not copy.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        partial = copy.with_name(f"{copy.name}.{os.getpid()}.partial")
        shutil.copyfile(source, partial)
        partial.replace(copy)
    model = config.model.model_copy(update={"pretrained_sha256": sha256})
    talk(f"weights {name}: {load_pretrained(build_backbone(model)[0], copy, model)}")
    return config.model_copy(update={"model": model}), copy


def _say_what_was_found(corpus: Corpus) -> None:

    labels = "several labels a clip" if corpus.multi_label else "one label a clip"
    talk(f"{len(corpus.clips)} clips, {len(corpus.classes)} classes, {labels}, folds {_folds(corpus)}")
    if corpus.n_missing:
        warn(f"{corpus.n_missing} clips of the tables are left out: their audio isn't there")


def _folds(corpus: Corpus) -> str:
    return ", ".join(str(fold) for fold in corpus.folds)


def _progress(config: PretrainConfig) -> Callable[[dict[str, float]], None]:
    """A line an epoch."""

    def told(entry: dict[str, float]) -> None:
        figures = ", ".join(f"{k.replace('_', ' ')} {entry[k]:.2%}" for k in _METRICS if k in entry)
        at = f"epoch {entry['epoch']:.0f} of {config.training.epochs}"
        talk(f"{at}: loss {entry['loss']:.3f}, {figures}, {entry['seconds']:.1f} s")

    return told


_METRICS = ("accuracy", "mean_average_precision")


def _conclude(bundle: PretrainBundle, registered: RegisteredBackbone, store_uri: str) -> None:
    """The figures and the model's address on stdout, the next command on stderr."""

    result, config = bundle.outcome(), bundle.settings()
    width = max(len(name) for name in result.metrics)
    for name in (result.metric, "chance"):
        click.echo(f"{name.replace('_', ' '):<{width}}  {100 * result.metrics[name]:.2f} %")
    click.echo(f"{'model':<{width}}  {registered.uri}")
    talk(_where(result, bundle))
    fits = " ".join(f"--set {path}={value}" for path, value in _fitting(config).items())
    talk(
        f"next        oddsound run DATA --out RUN --tracking-uri {store_uri} "
        f"--set model.pretrained={registered.uri} {fits}".rstrip()
    )


def _where(result: PretrainResult, bundle: PretrainBundle) -> str:
    held_out = f"{result.n_held_out} held-out of {result.n_clips} clips"
    return f"bundle      {bundle.path} ({held_out}, {result.seconds:.0f} s of training)"


def _fitting(config: PretrainConfig) -> dict[str, Any]:
    """The detector's settings that these weights need: the backbone, and what else isn't a default."""
    from oddsound.models.backbones import activation_of

    shaping = {"width", "depth", "input_channels"}
    needed: dict[str, Any] = {"backbone": config.model.backbone}
    needed |= config.model.model_dump(include=shaping, exclude_defaults=True)
    plain = config.model.model_copy(update={"pretrained": "none", "activation": "auto"})
    if activation_of(config.model) != activation_of(plain):
        needed["activation"] = activation_of(config.model)
    return {f"model.{name}": value for name, value in needed.items()}
