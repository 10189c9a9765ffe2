"""Run folders made by hand: every kind of trial, real recordings, scores that nobody computed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from tests.unit.search.fake_trials import EMPTY_SAFETENSORS

from oddsound.config import TrialConfig
from oddsound.recordings.clip import Clip
from oddsound.recordings.index import index_folder
from oddsound.report.run_folder import MachineRun, read_machines
from oddsound.scoring.omega import cells, omega
from oddsound.scoring.table import ScoreTable
from oddsound.search.record import RunRecord, read_record, write_record
from oddsound.search.space import SearchSpace, load_space
from oddsound.training.bundle import Bundle, Stop, TrialResult
from oddsound.training.data import LABELS

DIGEST = "d" * 64
POINTS = (
    {"loss.rho": 0.07, "augment.mixup_alpha": 0.2, "augment.time_shift": 0.15, "features.median_frames": 30},
    {"loss.rho": 0.03, "augment.mixup_alpha": 0.5, "augment.time_shift": 0.0, "features.median_frames": 7},
    {"loss.rho": 0.2, "augment.mixup_alpha": 0.0, "augment.time_shift": 0.3, "features.median_frames": 15},
    {"loss.rho": 0.1, "augment.mixup_alpha": 1.0, "augment.time_shift": 0.1, "features.median_frames": 0},
    {"loss.rho": 0.05, "augment.mixup_alpha": 0.2, "augment.time_shift": 0.2, "features.median_frames": 7},
)
VERSIONS = {"torch": "2.11.0", "oddsound": "0.1.0", "sources": "abcdef", "python": "3.11.7"}


def space(machine: str) -> SearchSpace:
    return load_space(machine, [{"model": {"pretrained": "none"}, "training": {"epochs": 3}}])


def begin(run: Path, data: Path, machines: tuple[str, ...], dataset: str = "tiny") -> Path:
    """run.json alone: a search of each of the machine types, begun with `data`."""
    begun = {machine: space(machine).settings() | {"seed": 0, "data": DIGEST} for machine in machines}
    record = RunRecord("20261123-0123abcd", dataset, str(data), None, begun)
    record.wanted = dict.fromkeys(machines, 5)
    record.code = VERSIONS
    record.command = {"cwd": "/data", "options": {"trials": 5, "pinned": []}}
    run.mkdir(parents=True, exist_ok=True)
    write_record(run, record)
    return run


def scores(machine: str, clips: tuple[Clip, ...], seed: int, skill: float) -> ScoreTable:
    """Of these clips; anomalies score higher by `skill`."""
    random = np.random.default_rng(seed)
    label = np.array([LABELS[clip.label] for clip in clips], np.int8)
    section = np.array([clip.section for clip in clips])
    classes = tuple(sorted(set(section.tolist())))
    probabilities = random.dirichlet(np.ones(len(classes)), (len(clips), 1))
    return ScoreTable(
        machine=machine,
        classes=classes,
        file=np.array([clip.file for clip in clips]),
        section=section,
        domain=np.array([clip.domain for clip in clips]),
        split=np.array([clip.split for clip in clips]),
        label=label,
        score=random.normal(size=len(clips)) + skill * (label == 1),
        probabilities=probabilities,
    )


def begun_trial(run: Path, config: TrialConfig) -> Bundle:
    bundle = Bundle(run / "trials" / config.machine / config.identity)
    bundle.path.mkdir(parents=True)
    bundle.write("config.json", config.model_dump())
    bundle.write_seen(DIGEST)
    bundle.log.write_text("2026-11-23T00:00:00+00:00 attempt on node-7, process 12\ngoes on\n")
    return bundle


def finished_trial(run: Path, config: TrialConfig, number: int, table: ScoreTable) -> Bundle:
    bundle = begun_trial(run, config)
    bundle.weights.write_bytes(EMPTY_SAFETENSORS)
    table.save(bundle.scores_path)
    found = cells(table)
    value = omega(found)
    metrics = {"omega": value, "omega_last": value, "omega_best_dev": value, "best_epoch": 3.0}
    losses = [
        {"epoch": e, "loss/total": 3 / e, "loss/cross_entropy": 2 / e, "seconds": 0.5} for e in (1, 2, 3)
    ]
    bundle.write("history.json", [*losses[:2], losses[2] | {"omega": value}])
    bundle.write_result(
        TrialResult(
            config.identity,
            config.machine,
            number,
            metrics,
            1234,
            DIGEST,
            "w" * 64,
            1.5,
            "",
            versions=VERSIONS,
        )
    )
    return bundle


def whole_run(run: Path, data: Path, dataset: str = "tiny") -> Path:
    """Of fan five finished trials, one stopped, one failed, one unfinished, one damaged, one on other
    recordings; of valve one finished; of pump none begun."""
    begin(run, data, ("fan", "valve", "pump"), dataset)
    index, fan, valve = index_folder(data), space("fan"), space("valve")
    for number, point in enumerate(POINTS):
        table = scores("fan", index.of("fan"), number, 0.5 * number)
        finished_trial(run, fan.trial(point, 0), number, table)
    stopped = begun_trial(run, fan.trial(POINTS[0], 1))
    stopped.write("history.json", [{"epoch": 1, "omega": 0.41}])
    stopped.write_stop(Stop(5, 1, 1, 0.41))
    begun_trial(run, fan.trial(POINTS[0], 2)).write("failure.json", {"reason": "loss is not finite"})
    begun_trial(run, fan.trial(POINTS[0], 3))
    damaged = begun_trial(run, fan.trial(POINTS[0], 4))
    (damaged.path / "result.json").write_text("{")
    other = finished_trial(run, fan.trial(POINTS[0], 5), 9, scores("fan", index.of("fan"), 9, 5.0))
    other.write_result(replace(other.result(), data_digest="e" * 64))
    finished_trial(run, valve.trial(valve.paper, 0), 0, scores("valve", index.of("valve"), 0, 1.0))
    return run


def machines_of(run: Path) -> dict[str, MachineRun]:
    record = read_record(run)
    return {of.machine: of for of in read_machines(run, record, list(record.machines))}
