"""What runs in a Ray worker: one trial after another."""

from __future__ import annotations

import contextlib
import gc
import math
import traceback
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune

from oddsound.config import TrialConfig
from oddsound.errors import DataError
from oddsound.features.staging import staged
from oddsound.search.watchdog import watched
from oddsound.training.bundle import Bundle
from oddsound.training.data import MachineData
from oddsound.training.trial import run_trial

FAILED = "failed"
"""The key under which a trial reports why it can't go on."""


def train_trial(handed: dict[str, Any]) -> None:
    """Run the trial of `handed` (what `MachineStudies.suggest` gives) and report each evaluated epoch.

    What ends a trial for good is reported, not raised: Ray would start it again and again, and with it
    the worker. A worker that dies is another matter, and is what Ray's retries are for.
    """
    settle()
    config = TrialConfig.model_validate(handed["trial"])
    bundle = Bundle(Path(handed["trials"]) / config.machine / config.identity)
    try:
        with watched(bundle.log, handed["hang_s"]) as alive:
            try:
                run_trial(
                    config,
                    _data(handed),
                    tune.report,
                    trials=Path(handed["trials"]),
                    number=handed["number"],
                    weights=Path(handed["weights"]) if handed["weights"] else None,
                    alive=alive,
                )
            except Exception:
                with contextlib.suppress(OSError):  # the log's disk may be full; the error is what counts
                    traceback.print_exc()
                raise
    except Exception as error:
        reason = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
    else:
        return
    _let_go()
    tune.report({"omega": math.nan, "epoch": 0, FAILED: reason})


@cache
def settle() -> None:
    """Once a process: what has been imported stays, so no collection looks at it again. A trial begins with
    one, which takes 0.35 s with everything that is imported and no time without."""
    gc.freeze()


def _data(handed: dict[str, Any]) -> MachineData:
    """The features of the trial's machine type. Raises DataError where they are of other recordings."""
    cpus = ray.get_runtime_context().get_assigned_resources().get("CPU", 1)
    torch.set_num_threads(max(1, int(cpus)))
    data = _open(handed["cache"], handed["stage"])
    if data.digest != handed["data_digest"]:
        raise DataError(
            f"{handed['trial']['machine']}: the feature cache {handed['cache']} is of other recordings"
        )
    return data


@lru_cache(maxsize=8)
def _open(cache: str, stage: str | None) -> MachineData:
    """An actor runs many trials and maps each cache once; all that map it on a node share its pages."""
    return MachineData.open(staged(Path(cache), Path(stage)) if stage else Path(cache))


def _let_go() -> None:
    """A failed trial leaves the worker to the next one: a cache that was damaged is opened anew, a GPU's
    memory is given back, for which nobody may hold the error any more: its frames hold the model."""
    _open.cache_clear()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
