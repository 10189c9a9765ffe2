"""What a search costs beside its trials, with trials that take no time.

    python -m benchmarks.overhead                    # trials per second and memory, then idle workers
    python -m benchmarks.overhead --only idle        # seven machine types with trials of 2 s

The same 500 trials of one machine type by `run_search` with its writer, and by plain Ray Tune with
OptunaSearch: with the stock MLflow callback and without any. Each in a process, a Ray and an sqlite store
of its own, in turns. Tables on stdout, talk on stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from benchmarks.idle_workers import idle
from benchmarks.overhead_figures import Course, Figures, n_finished_runs, resident_mb
from benchmarks.overhead_tables import ALONE, OURS, STOCK, TUNED, as_table, memory_table

from oddsound.scoring.table import ScoreTable

MACHINES = ("fan", "gearbox", "pump", "slider", "valve", "ToyCar", "ToyTrain")
_ROOT = Path(__file__).resolve().parents[1]
_SEED = 0
_DIGEST = "digest"
_EMPTY_SAFETENSORS = (2).to_bytes(8, "little") + b"{}"


# What a trial is.


def omega_of(rho: float) -> float:
    return 0.9 - abs(rho - 0.1)


def scores_of(machine: str) -> ScoreTable:
    """Of one training clip and one test clip: what a bundle must have to be packaged as a model."""
    return ScoreTable(
        machine=machine,
        classes=("00",),
        file=np.array(["train.wav", "test.wav"]),
        section=np.array(["00", "00"]),
        domain=np.array(["source", "source"]),
        split=np.array(["train", "test"]),
        label=np.array([0, 1], dtype=np.int8),
        score=np.array([0.0, 1.0]),
        probabilities=np.ones((2, 1, 1)),
    )


def finish(handed: dict[str, Any], seconds: float) -> None:
    """A trial of ours: it sleeps, leaves a whole bundle with its begin and end, and reports once."""
    from ray import tune

    from oddsound.config import TrialConfig
    from oddsound.training.bundle import Bundle, TrialResult, write_atomically

    begin = time.time()
    time.sleep(seconds)
    config = TrialConfig.model_validate(handed["trial"])
    bundle = Bundle(Path(handed["trials"]) / config.machine / config.identity)
    bundle.path.mkdir(parents=True, exist_ok=True)
    bundle.write("config.json", config.model_dump())
    write_atomically(bundle.weights, _EMPTY_SAFETENSORS)
    scores_of(config.machine).save(bundle.scores_path)
    omega, end = omega_of(config.loss.rho), time.time()
    bundle.write("history.json", [{"epoch": 1, "begin": begin, "end": end}])
    weights, now = sha256(_EMPTY_SAFETENSORS).hexdigest(), datetime.now(UTC).isoformat()
    metrics = {"omega": omega}
    bundle.write_result(
        TrialResult(
            config.identity, config.machine, handed["number"], metrics, 1, _DIGEST, weights, end - begin, now
        )
    )
    tune.report({"omega": omega, "epoch": config.training.epochs})


def report_omega(config: dict[str, Any]) -> None:
    """A trial of plain Tune: it reports once, and leaves nothing."""
    from ray import tune

    tune.report({"omega": omega_of(config["loss.rho"])})


# The contenders.


def plans(machines: Sequence[str], n_trials: int) -> list[Any]:
    from oddsound.search.space import load_space
    from oddsound.search.studies import MachinePlan, feature_name

    found = []
    for machine in machines:
        space = load_space(machine)
        caches = {feature_name(config): f"cache/{machine}" for config in space.front_ends()}
        found.append(MachinePlan(space, _DIGEST, caches, n_trials, _SEED))
    return found


def search(folder: Path, machines: Sequence[str], n_trials: int, seconds: float) -> Figures:
    """A search as `oddsound search` runs it: its writer, its signs of life, its lines."""
    from functools import partial

    from oddsound.cli.progress import Progress
    from oddsound.search.driver import sole_driver
    from oddsound.search.run import run_search
    from oddsound.tracking.layout import Search
    from oddsound.tracking.store import open_store
    from oddsound.tracking.writer import Writer

    course = Course(n_trials * len(machines))

    class Told(Progress):
        def started(self, config: Any, number: int) -> None:
            course.begins()
            super().started(config, number)

        def finished(self, config: Any, number: int, omega: float) -> None:
            super().finished(config, number, omega)
            writer.nudge(config.machine)
            course.ends()

    before, run = time.time(), folder / "run"
    with sole_driver(run) as signs:
        counts = {machine: {"train/normal": 1} for machine in machines}
        about = Search("overhead", "overhead")
        writer = Writer(lambda: open_store(None, run / "mlflow"), about, run / "trials", counts)
        for machine in machines:
            writer.nudge(machine)
        with Told(dict.fromkeys(machines, (n_trials, 0, None))) as told:
            trainable = partial(finish, seconds=seconds)
            outcome = run_search(plans(machines, n_trials), run, told, signs=signs, trainable=trainable)
        searched = time.time()
        writer.close("FINISHED")
    if outcome.failures or outcome.interrupted or writer.problem:
        raise SystemExit(f"{outcome} {writer.problem}")
    return figures(course, before, searched, run / "mlflow" / "mlflow.db")


def plain_tune(folder: Path, n_trials: int, *, callback: bool, reuse: bool) -> Figures:
    import optuna
    import ray
    from ray import tune
    from ray.air.integrations.mlflow import MLflowLoggerCallback
    from ray.tune.search.optuna import OptunaSearch

    from oddsound.search.space import load_space

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    course = Course(n_trials)

    class Watch(tune.Callback):
        def on_trial_start(self, *_: Any, **__: Any) -> None:
            course.begins()

        def on_trial_complete(self, *_: Any, **__: Any) -> None:
            course.ends()

    database, space = folder / "mlflow.db", load_space("fan")
    mlflow = MLflowLoggerCallback(
        tracking_uri=f"sqlite:///{database}", experiment_name="overhead/fan", save_artifact=False
    )
    before = time.time()
    ray.init("local", num_cpus=os.cpu_count(), include_dashboard=False, log_to_driver=False)
    tune.Tuner(
        tune.with_resources(report_omega, {"cpu": 1}),
        tune_config=tune.TuneConfig(
            search_alg=OptunaSearch(
                space=space.dimensions,
                metric="omega",
                mode="max",
                seed=_SEED,
                points_to_evaluate=[dict(space.paper)],
            ),
            num_samples=n_trials,
            reuse_actors=reuse,
        ),
        run_config=tune.RunConfig(
            name="overhead",
            storage_path=str(folder / "tune"),
            callbacks=[mlflow, Watch()] if callback else [Watch()],
            verbose=0,
        ),
    ).fit()
    ray.shutdown()
    return figures(course, before, time.time(), database)


def figures(course: Course, before: float, searched: float, database: Path) -> Figures:
    tracked = time.time()
    return Figures(
        course.n_ended,
        course.n_ended / (course.ended - course.begun),
        searched - before,
        tracked - before,
        n_finished_runs(database),
        course.resident,
        resident_mb(),
    )


CONTENDERS: dict[str, Callable[[Path, int], Figures]] = {
    OURS: lambda folder, n: search(folder, ["fan"], n, 0.0),
    TUNED: lambda folder, n: plain_tune(folder, n, callback=True, reuse=True),
    STOCK: lambda folder, n: plain_tune(folder, n, callback=True, reuse=False),
    ALONE: lambda folder, n: plain_tune(folder, n, callback=False, reuse=True),
}
_NO_LOGGERS = {TUNED, ALONE}


# One process after another.


def measured(what: str, *arguments: object, quiet_loggers: bool = False) -> dict[str, Any]:
    """What this script says in a process of its own, with folders and a Ray of its own."""
    with TemporaryDirectory(prefix="oh", dir="/tmp") as folder:  # Ray's sockets want short paths
        environment = os.environ | {"RAY_TMPDIR": folder, "PYTHONPATH": str(_ROOT)}
        if quiet_loggers:
            environment["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
        answer, said = Path(folder) / "figures.json", Path(folder) / "said"
        line = [
            sys.executable,
            "-m",
            "benchmarks.overhead",
            "--measure",
            what,
            *map(str, arguments),
            "--folder",
            folder,
        ]
        with said.open("wb") as stream:
            ended = subprocess.run(line, env=environment, stdout=stream, stderr=stream, cwd=folder)
        if ended.returncode or not answer.is_file():
            raise SystemExit(f"{what} failed:\n{said.read_text(errors='replace')[-4000:]}")
        return json.loads(answer.read_text())


def compare(contenders: Sequence[str], n_trials: int, repeat: int, n_stock: int) -> list[dict[str, Any]]:
    """Contenders in turns, `repeat` times; the one that starts a process a trial once, with `n_stock`."""
    said = []
    for turn in range(repeat):
        shift = turn % len(contenders)
        for name in [*contenders[shift:], *contenders[:shift]]:
            n = n_stock if name == STOCK else n_trials
            if name == STOCK and turn:
                continue
            load = os.getloadavg()[0]
            one = measured(name, "--trials", n, quiet_loggers=name in _NO_LOGGERS)
            talk(
                f"{turn + 1}/{repeat} {name}: {one['per_second']:.1f}/s, load {load:.1f} to "
                f"{os.getloadavg()[0]:.1f}"
            )
            said.append({"contender": name, "load": load, **one})
    return said


def talk(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def measure(options: argparse.Namespace) -> None:
    """In this process, for the one that started it."""
    if options.measure == "idle":
        search(options.folder, options.machines, options.idle_trials, options.seconds)
        one: Any = idle(options.folder / "run" / "trials", options.machines)
    else:
        one = CONTENDERS[options.measure](options.folder, options.trials)
    (options.folder / "figures.json").write_text(json.dumps(asdict(one)))


def main() -> None:
    options = parsed()
    if options.measure:
        measure(options)
        return
    found: dict[str, Any] = {}
    print(", ".join(f"{name} {version(name)}" for name in ("ray", "optuna", "mlflow")), flush=True)
    if options.only != "idle":
        found["speed"] = compare(options.contenders, options.trials, options.repeat, options.stock_trials)
        print("\n".join(["", *as_table(found["speed"]), "", *memory_table(found["speed"])]))
    if options.only != "speed":
        arguments = ["--idle-trials", options.idle_trials, "--seconds", options.seconds]
        found["idle"] = measured("idle", *arguments, "--machines", *options.machines)
        half = ", ".join(f"{machine} {n}" for machine, n in found["idle"]["at_half_time"].items())
        print(
            f"\n{len(options.machines)} machine types, {found['idle']['n_trials']} trials of "
            f"{options.seconds:g} s on {found['idle']['workers']} workers: idle {found['idle']['idle']:.1%}, "
            f"longest gap {found['idle']['longest_gap_s']:.2f} s\nended by half time: {half}"
        )
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=("speed", "idle"))
    parser.add_argument("--trials", type=int, default=500, help="of one machine type, that take no time")
    parser.add_argument("--stock-trials", type=int, default=50, help="where every trial starts a process")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--machines", nargs="+", default=list(MACHINES))
    parser.add_argument("--idle-trials", type=int, default=8, help="a machine type")
    parser.add_argument("--seconds", type=float, default=2.0, help="what such a trial takes")
    parser.add_argument("--json", type=Path, help="a file for every single figure")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
