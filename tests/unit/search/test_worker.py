"""A failed trial leaves its worker to the next one."""

import weakref
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from tests.unit.search.fake_trials import plan

from oddsound.search import worker


def test_what_failed_holds_no_memory_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a GPU that was too full for a trial stays so for whoever shares it."""
    models: list[weakref.ref[torch.nn.Module]] = []
    reports: list[dict[str, Any]] = []

    def out_of_memory(*_: object, **__: object) -> NoReturn:
        model = torch.nn.Linear(2, 2)
        model.itself = model
        models.append(weakref.ref(model))
        raise torch.OutOfMemoryError("CUDA out of memory.\nMuch more is said here")

    def report(metrics: dict[str, Any]) -> None:
        assert [model() for model in models] == [None]
        reports.append(metrics)

    monkeypatch.setattr(worker, "run_trial", out_of_memory)
    monkeypatch.setattr(worker, "watched", lambda log, hang_s: nullcontext())
    monkeypatch.setattr(worker, "_data", lambda handed: None)
    monkeypatch.setattr(worker.tune, "report", report)
    of = plan("fan", 1)
    config = of.space.trial(of.space.paper, 0)
    handed = {"trial": config.model_dump(), "number": 0, "weights": None, "hang_s": 60.0}
    worker.train_trial({**handed, "trials": str(tmp_path)})
    assert [r[worker.FAILED] for r in reports] == ["OutOfMemoryError: CUDA out of memory."]


def test_what_was_imported_is_frozen_once(monkeypatch: pytest.MonkeyPatch) -> None:
    frozen: list[int] = []
    monkeypatch.setattr(worker.gc, "freeze", lambda: frozen.append(1))
    worker.settle.cache_clear()
    worker.settle()
    worker.settle()
    assert frozen == [1]
