"""Whole bundles of a few kilobytes, written as a trial writes them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from oddsound.config import TrialConfig
from oddsound.scoring.table import ScoreTable
from oddsound.training.bundle import Bundle, Stop, TrialResult

DIGEST = "d" * 64


def small_bundle(
    trials: Path, number: int, omega: float, machine: str = "fan", rho: float = 0.1, epochs: int = 3
) -> Bundle:
    """A whole bundle with its own configuration: `number` seeds it."""
    config = TrialConfig.model_validate(
        {"machine": machine, "loss": {"rho": rho}, "training": {"seed": number, "epochs": epochs}}
    )
    bundle = Bundle(trials / machine / config.identity)
    bundle.path.mkdir(parents=True)
    bundle.write("config.json", config.model_dump())
    save_file({"layer.weight": np.full((4, 4), number, np.float32)}, bundle.weights)
    table(machine, number).save(bundle.scores_path)
    bundle.write("history.json", history(omega, epochs))
    bundle.write_result(result(bundle, config, number, metrics(omega)))
    return bundle


def stopped_bundle(
    trials: Path, number: int, omegas: list[float], rung: int, machine: str = "fan", epochs: int = 10
) -> Bundle:
    """A trial that was stopped at `rung` after as many epochs as there are omegas."""
    config = TrialConfig.model_validate({"machine": machine, "training": {"seed": number, "epochs": epochs}})
    bundle = Bundle(trials / machine / config.identity)
    bundle.path.mkdir(parents=True)
    bundle.write("config.json", config.model_dump())
    entries = enumerate(omegas, start=1)
    bundle.write(
        "history.json", [{"epoch": e, "loss": 1 / e, "omega": o, "seconds": 0.5} for e, o in entries]
    )
    bundle.write_stop(Stop(number, len(omegas), rung, omegas[rung - 1]))
    return bundle


def failed_bundle(trials: Path, machine: str = "fan") -> Bundle:
    config = TrialConfig.model_validate({"machine": machine, "training": {"seed": 999}})
    bundle = Bundle(trials / machine / config.identity)
    bundle.path.mkdir(parents=True)
    bundle.write("config.json", config.model_dump())
    bundle.write("failure.json", {"reason": "loss is not finite"})
    return bundle


def metrics(omega: float) -> dict[str, float]:
    names = [f"{m}/section_0{s}/{d}" for m in ("auc", "pauc") for s in (0, 1) for d in ("source", "target")]
    return {"omega": omega} | {name: omega + 0.01 * place for place, name in enumerate(names)}


def history(omega: float, epochs: int) -> list[dict[str, float | str]]:
    """The last epoch's omega differs from the result's, which must win; one value is no number."""
    return [
        {"epoch": e, "loss": 1 / e, "omega": omega + 0.2 - 0.001 * e, "seconds": 0.5, "note": "text"}
        for e in range(1, epochs + 1)
    ]


def table(machine: str, number: int) -> ScoreTable:
    random = np.random.default_rng(number)
    return ScoreTable(
        machine=machine,
        classes=("section_00", "section_01"),
        file=np.array([f"clip_{n}.wav" for n in range(6)]),
        section=np.array(["section_00", "section_01"] * 3),
        domain=np.array(["source", "source", "target"] * 2),
        split=np.array(["train"] * 2 + ["test"] * 4),
        label=np.array([0, 0, 0, 1, 0, 1], np.int8),
        score=random.random(6),
        probabilities=random.random((6, 1, 2)),
    )


def result(bundle: Bundle, config: TrialConfig, number: int, values: Mapping[str, float]) -> TrialResult:
    return TrialResult(
        trial=config.identity,
        machine=config.machine,
        number=number,
        metrics=dict(values),
        n_parameters=1234,
        data_digest=DIGEST,
        weights_sha256=hashlib.sha256(bundle.weights.read_bytes()).hexdigest(),
        seconds=90.5,
        finished="2026-01-02T03:04:05.250000+00:00",
        versions={"torch": "2.11.0", "oddsound": "0.1.0", "sources": "abcdef"},
    )
