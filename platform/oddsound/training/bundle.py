"""The trial bundle: what a trial leaves on storage before anyone hears of it.

    <trials>/<machine>/<identity>/
        config.json          the TrialConfig, written first
        data.json            the digest of the recordings that it sees
        checkpoint.pt        while it trains; removed at the end
        weights.safetensors  the model after the epoch that counts
        scores.npz           ScoreTable: test clips and training clips
        epochs.npz           the labelled clips' scores after each epoch, where the epoch was chosen by them
        history.json         one object an epoch, also while it trains
        result.json          last: a bundle that has it is whole
        failure.json         why the trial last failed, where it did; removed when it is tried again
        stopped.json         where the search stopped it early; it is ended and has no result
        trial.log            each attempt: where and from which epoch, what it said, its stack if it hung

Each file is written to a temporary name and renamed.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from oddsound.config import TrialConfig, validated
from oddsound.errors import BundleError, ConfigError
from oddsound.json_files import NOTHING_ELSE, of_kind
from oddsound.scoring.table import ScoreTable, Shared

REMEDY = "remove the folder, and the search makes it again"


@dataclass(frozen=True)
class TrialResult:
    """result.json. `metrics` holds `omega`, `auc/section_00/source`, `pauc/...` as fractions; beside the
    omega of the epoch that counts `omega_last` and `omega_best_dev`, and `best_epoch`."""

    __pydantic_config__ = NOTHING_ELSE

    trial: str
    machine: str
    number: int
    """The trial's place in its study, from 0."""
    metrics: dict[str, float]
    n_parameters: int
    """Of what scores a clip: the autoencoder branch is dropped (§3.2)."""
    data_digest: str
    weights_sha256: str
    seconds: float
    """Of all epochs' training."""
    finished: str
    """UTC, ISO 8601."""
    initial_block_sha256: str = ""
    """Of the backbone's first block before training: it tells which weights a trial began with."""
    classes: list[str] = field(default_factory=list)
    """What the network tells apart, in the order of its outputs; none for an autoencoder."""
    clip_frames: int = 0
    """Frames of the longest clip, to which the others were padded; 0 where an earlier version didn't say."""
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def omega(self) -> float:
        return self.metrics["omega"]


@dataclass(frozen=True)
class Stop:
    """stopped.json: the search gave the trial up after `epoch`, at the rung `rung` (an epoch too)."""

    __pydantic_config__ = NOTHING_ELSE

    number: int
    epoch: int
    rung: int
    omega: float


@dataclass(frozen=True)
class Bundle:
    """One trial's folder."""

    path: Path

    @property
    def is_whole(self) -> bool:
        return (self.path / "result.json").is_file()

    @property
    def is_stopped(self) -> bool:
        """Whether the search stopped it early; what is whole is finished, whatever was decided."""
        return not self.is_whole and (self.path / "stopped.json").is_file()

    @property
    def weights(self) -> Path:
        return self.path / "weights.safetensors"

    @property
    def log(self) -> Path:
        return self.path / "trial.log"

    @property
    def checkpoint(self) -> Path:
        return self.path / "checkpoint.pt"

    @property
    def scores_path(self) -> Path:
        return self.path / "scores.npz"

    def config(self) -> TrialConfig:
        document = self._read("config.json")
        try:
            return validated(TrialConfig, document if isinstance(document, dict) else {}, "settings")
        except ConfigError as error:
            raise self._is_not("config.json", "a trial's configuration", error) from error

    def result(self) -> TrialResult:
        try:
            return of_kind(TrialResult, self._read("result.json"))
        except ValueError as error:
            raise self._is_not("result.json", "a trial's result", error) from error

    def stop(self) -> Stop:
        try:
            return of_kind(Stop, self._read("stopped.json"))
        except ValueError as error:
            raise self._is_not("stopped.json", "a trial's stop", error) from error

    def history(self) -> list[dict[str, float]]:
        """One mapping an epoch: `epoch` from 1, losses, learning rate, seconds, `omega` where evaluated."""
        history = self._read("history.json")
        if not isinstance(history, list) or not all(isinstance(e, dict) and "epoch" in e for e in history):
            raise self._is_not("history.json", "a trial's history", "an epoch's mapping is missing")
        return history

    def _is_not(self, name: str, what: str, why: object) -> BundleError:
        return BundleError(f"{self.path / name}: not {what} ({why}); {REMEDY}")

    def seen(self) -> str:
        """The digest of the recordings that it was begun with; "" where it doesn't say."""
        try:
            return str(self._read("data.json")["digest"])
        except (BundleError, KeyError, TypeError):
            return ""

    def write_seen(self, data_digest: str) -> None:
        self.write("data.json", {"digest": data_digest})

    def failure(self) -> str:
        """Why the trial last failed, in one line; "" where it hasn't."""
        if not (self.path / "failure.json").is_file():
            return ""
        try:
            return str(self._read("failure.json")["reason"])
        except (BundleError, KeyError, TypeError):
            return "failed, and why can't be read"

    def scores(self, shared: Shared | None = None) -> ScoreTable:
        return ScoreTable.load(self.scores_path, shared)

    def write(self, name: str, document: Any) -> None:
        """Write `document` as JSON, whole or not at all; NaN and inf are refused."""
        text = json.dumps(document, indent=1, sort_keys=True, allow_nan=False)
        write_atomically(self.path / name, text.encode())

    def write_result(self, result: TrialResult) -> None:
        self.write("result.json", asdict(result))

    def write_stop(self, stop: Stop) -> None:
        """The trial is given up; its checkpoint is of no more use."""
        self.write("stopped.json", asdict(stop))
        self.checkpoint.unlink(missing_ok=True)

    def _read(self, name: str) -> Any:
        try:
            return json.loads((self.path / name).read_text())
        except (OSError, ValueError) as error:
            raise BundleError(f"{self.path / name}: can't be read ({error}); {REMEDY}") from error


def write_atomically(path: Path, content: bytes) -> None:
    """`content` at `path`, whole or not at all, even when the machine dies. An OSError names `path`."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")  # of one process on one host
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def bundles(trials: Path, machine: str) -> Iterator[Bundle]:
    """Every bundle of `machine` below the folder `trials`, whole or not, in the order of the names."""
    folder = trials / machine
    for config in sorted(folder.glob("*/config.json")) if folder.is_dir() else ():
        yield Bundle(config.parent)


def finished(trials: Path, machine: str) -> list[Bundle]:
    """The whole bundles of `machine` in the order of their numbers."""
    whole = [bundle for bundle in bundles(trials, machine) if bundle.is_whole]
    return sorted(whole, key=lambda bundle: (bundle.result().number, bundle.path.name))
