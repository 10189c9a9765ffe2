"""What MLflow takes for 2,000 finished trials: finding the best five of a machine type, and logging one more.

    python benchmarks/tracking.py                                           # sqlite
    python benchmarks/tracking.py --postgresql postgresql://me@127.0.0.1/empty_database

Each store directly and through `mlflow server`. The trials of seven machine types have the tags,
parameters and metrics that a search writes, 300 epochs of 12 metrics each; then `best_trials` and
`log_trial` as a search and `sync` call them. Tables on stdout, talk on stderr.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import sqlalchemy
from mlflow import MlflowClient
from mlflow.entities import Metric, RunTag
from safetensors.numpy import save_file

from oddsound.config import TrialConfig
from oddsound.scoring.table import ScoreTable
from oddsound.tracking.entries import dataset_input, trial_metrics, trial_params, trial_tags
from oddsound.tracking.layout import COMPLETE, Search, experiment_name
from oddsound.tracking.ranking import best_trials
from oddsound.tracking.runs import log_trial, open_search, read_trial
from oddsound.tracking.store import Store, open_store
from oddsound.tracking.sync import sync
from oddsound.training.bundle import Bundle, TrialResult

MACHINES = ("fan", "gearbox", "pump", "slider", "valve", "ToyCar", "ToyTrain")
DATASET, DIGEST = "dcase2021", "d" * 64
PER_EPOCH = (
    *(f"loss/{name}" for name in ("contrastive", "cross_entropy", "reconstruction", "total")),
    *("lr/autoencoder", "lr/backbone", "omega", "seconds", "loss/clipped"),
    *("peak_memory_mb", "peak_gpu_memory_mb", "system/process_cpu_percentage"),
)
SIZES = {"EfficientNet-B0, 17 MB": 4_200_000, "small, 0.2 MB": 46_000}
"""Parameters of the networks that are logged."""
COLUMNS = ("log_trial", "sync", "log_batch")
COUNTS = {"train/normal": 3009, "test/normal": 600, "test/anomaly": 600}


# What a trial is.


def trial_config(machine: str, number: int, epochs: int) -> TrialConfig:
    return TrialConfig.model_validate({"machine": machine, "training": {"seed": number, "epochs": epochs}})


def final_metrics(number: int) -> dict[str, float]:
    random = np.random.default_rng(number)
    cells = [f"section_0{s}/{domain}" for s in range(6) for domain in ("source", "target")]
    found = {f"{kind}/{cell}": float(random.random()) for kind in ("auc", "pauc") for cell in cells}
    omega = float(random.random())
    return found | {"omega": omega, "omega_last": omega, "omega_best_dev": omega, "best_epoch": 300.0}


def trial_result(config: TrialConfig, number: int, weights: str) -> TrialResult:
    return TrialResult(
        trial=config.identity,
        machine=config.machine,
        number=number,
        metrics=final_metrics(number),
        n_parameters=4_200_000,
        data_digest=DIGEST,
        weights_sha256=weights,
        seconds=3600.0,
        finished="2026-01-02T03:04:05+00:00",
        clip_frames=313,
        versions={"oddsound": "0.1.0", "sources": "0123456789ab"},
    )


def bundle_of(trials: Path, number: int, epochs: int, n_parameters: int) -> Bundle:
    """A whole bundle of the first machine type with as many scores as the challenge's data gives."""
    config = trial_config(MACHINES[0], number, epochs)
    bundle = Bundle(trials / config.machine / config.identity)
    bundle.path.mkdir(parents=True)
    bundle.write("config.json", config.model_dump())
    random = np.random.default_rng(number)
    save_file({"network.weight": random.random(n_parameters, np.float32)}, bundle.weights)
    scores(config.machine, random).save(bundle.scores_path)
    each = ({name: float(random.random()) for name in PER_EPOCH} for _ in range(epochs))
    bundle.write("history.json", [{"epoch": epoch, **values} for epoch, values in enumerate(each, start=1)])
    bundle.write_result(trial_result(config, number, sha256(bundle.weights.read_bytes()).hexdigest()))
    return bundle


def scores(machine: str, random: np.random.Generator) -> ScoreTable:
    """3,009 training and 1,200 test clips of six sections."""
    n_train, n = COUNTS["train/normal"], sum(COUNTS.values())
    probabilities = random.random((n, 5, 6))
    return ScoreTable(
        machine=machine,
        classes=tuple(f"0{section}" for section in range(6)),
        file=np.array([f"section_0{i % 6}_source_train_normal_{i:04d}.wav" for i in range(n)]),
        section=np.array([f"0{i % 6}" for i in range(n)]),
        domain=np.array(["source", "target"])[(random.random(n) < 0.2).astype(int)],
        split=np.array(["train"] * n_train + ["test"] * (n - n_train)),
        label=np.array([0] * n_train + [i % 2 for i in range(n - n_train)], np.int8),
        score=random.random(n),
        probabilities=probabilities / probabilities.sum(axis=2, keepdims=True),
    )


# 2,000 of them.


def fill(store: Store, database: str, n_trials: int, epochs: int) -> None:
    """Runs as `log_trial` writes them, by the store's own calls; what they have of every epoch, which no
    query for the best looks at, by one statement in the `database`."""
    search = Search("earlier", DATASET)
    for number in range(n_trials):
        config = trial_config(MACHINES[number % len(MACHINES)], number, epochs)
        result = trial_result(config, number, "w" * 64)
        parent = open_search(store, search, config.machine)
        tags = trial_tags(search, parent, result)
        experiment = store.experiment(experiment_name(DATASET, config.machine))
        run = store.client.create_run(experiment, 0, tags, f"{config.machine}-{number:03d}").info.run_id
        store.client.log_inputs(run, [dataset_input(search, result, COUNTS)])
        finals = dict.fromkeys(PER_EPOCH, 0.5) | result.metrics
        metrics = [Metric(name, value, 1, epochs) for name, value in finals.items()]
        done = [RunTag(COMPLETE, "true")]
        store.client.log_batch(run, metrics, trial_params(config), done, synchronous=True)
        store.client.set_terminated(run, "FINISHED", 1)
        if (number + 1) % 500 == 0:
            talk(f"{number + 1} trials")
    add_epochs(database, epochs)


def add_epochs(database: str, epochs: int) -> None:
    engine = sqlalchemy.create_engine(database)
    names = ", ".join(f"'{name}'" for name in PER_EPOCH)
    with engine.begin() as connection:
        connection.execute(
            sqlalchemy.text(
                "WITH RECURSIVE epochs(epoch) AS (SELECT 1 UNION ALL SELECT epoch + 1 FROM epochs "
                f"WHERE epoch < {epochs - 1}) "
                "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) "
                "SELECT key, value, timestamp, run_uuid, epoch, is_nan FROM metrics, epochs "
                f"WHERE metrics.step = {epochs} AND key IN ({names})"
            )
        )
    with engine.connect() as connection:
        n_runs = connection.execute(sqlalchemy.text("SELECT count(*) FROM runs")).scalar()
        n_metrics = connection.execute(sqlalchemy.text("SELECT count(*) FROM metrics")).scalar()
        talk(f"{n_runs} runs, {n_metrics} metric values")
    engine.dispose()


# What is measured.


def seconds_of(work: Callable[..., object], *arguments: object) -> float:
    started = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - started


def best_five(opened: Callable[[], Store], repeat: int) -> dict[str, list[float]]:
    """Each repetition with a store that remembers nothing; the first one warms the server up and is not
    counted."""
    turns = []
    for _ in range(repeat + 1):
        store = opened()
        turns.append([seconds_of(find, store, machine) for machine in MACHINES])
    return {"one": [one for turn in turns[1:] for one in turn], "seven": [sum(turn) for turn in turns[1:]]}


def find(store: Store, machine: str) -> None:
    best = best_trials(store, DATASET, machine, 5, data_digest=DIGEST)
    assert [trial.omega for trial in best] == sorted((trial.omega for trial in best), reverse=True)
    assert len(best) == 5


def logging(
    store: Store, name: str, n_parameters: int, options: argparse.Namespace
) -> dict[str, list[float]]:
    """`log_trial` of a bundle that has been read; all of a `sync` of one more trial, which reads it and
    brings the notes on the pages up to date; and MLflow's own `log_batch` of the same metrics alone, of
    which nothing is ours. In turns; the first of each isn't counted."""
    search, machine = Search(f"{name}-{n_parameters}", DATASET), MACHINES[0]
    parent = open_search(store, search, machine)
    sync(store, search, {machine: []})
    seconds: dict[str, list[float]] = {"log_trial": [], "sync": [], "log_batch": []}
    with TemporaryDirectory() as folder:
        for number in range(0, 3 * (options.repeat + 1), 3):
            made = [
                bundle_of(Path(folder), n, options.epochs, n_parameters) for n in range(number, number + 3)
            ]
            first, third = read_trial(made[0], search), read_trial(made[2], search)
            seconds["log_trial"].append(seconds_of(log_trial, store, search, parent, first, COUNTS))
            seconds["sync"].append(seconds_of(sync, store, search, {machine: [made[1]]}, {machine: COUNTS}))
            bare = store.client.create_run(store.experiment("bare")).info.run_id
            seconds["log_batch"].append(seconds_of(store.client.log_batch, bare, trial_metrics(third)))
    return {what: each[1:] for what, each in seconds.items()}


# The stores.


@contextmanager
def server(database: str, folder: Path) -> Iterator[str]:
    """`mlflow server` on loopback as `mlflow_server/` runs it on a laptop."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    line = [str(Path(sys.executable).parent / "mlflow"), "server", "--backend-store-uri", database]
    line += ["--artifacts-destination", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    line += ["--workers", "1", "--allowed-hosts", f"127.0.0.1:{port}"]
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(line, env=environment, stdout=log, stderr=log)
        try:
            until_healthy(f"http://127.0.0.1:{port}", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)


def until_healthy(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"mlflow server did not come up: {process.poll()}")


def direct(database: str, folder: Path) -> Store:
    """What `open_store` gives for an sqlite file, and for a database that only a server is meant to open."""
    if database.startswith("sqlite"):
        return open_store(database, folder)
    return Store(MlflowClient(tracking_uri=database, registry_uri=database), database, folder / "artifacts")


def measured(name: str, database: str, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    with TemporaryDirectory(prefix="tracking-") as temporary:
        folder = Path(temporary)
        database = database or f"sqlite:///{folder}/mlflow.db"
        talk(f"{name}: filling it takes {seconds_of(filled, database, folder, options):.0f} s")
        yield figures(f"{name}, directly", lambda: direct(database, folder), options)
        with server(database, folder) as address:
            yield figures(f"{name}, through a server", lambda: open_store(address, folder), options)


def filled(database: str, folder: Path, options: argparse.Namespace) -> None:
    fill(direct(database, folder), database, options.trials, options.epochs)


def figures(name: str, opened: Callable[[], Store], options: argparse.Namespace) -> dict[str, Any]:
    load = os.getloadavg()[0]
    best, store, key = best_five(opened, options.repeat), opened(), re.sub(r"\W+", "-", name)
    logged = {size: logging(store, key, n_parameters, options) for size, n_parameters in SIZES.items()}
    talk(f"{name}: measured, load {load:.1f} to {os.getloadavg()[0]:.1f}")
    return {"store": name, "best": best, "logged": logged}


# The tables.


def tables(said: Sequence[dict[str, Any]]) -> list[str]:
    """Medians and, in brackets, the least and the most, in seconds."""
    lines = [row("best five of", "one machine type", "all seven"), row("---", "---:", "---:")]
    lines += [row(one["store"], *(spread(one["best"][of]) for of in ("one", "seven"))) for one in said]
    lines += ["", row("one trial", "weights", *COLUMNS), row("---", "---", *["---:"] * len(COLUMNS))]
    for one in said:
        for size in SIZES:
            lines.append(row(one["store"], size, *(spread(one["logged"][size][of]) for of in COLUMNS)))
    return lines


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def talk(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    options = parsed()
    gc.collect()
    gc.freeze()  # as a search does it
    names = ("mlflow", "sqlalchemy")
    print(", ".join(f"{name} {version(name)}" for name in names), flush=True)
    said: list[dict[str, Any]] = []
    if options.sqlite:
        said += measured("sqlite", "", options)
    if options.postgresql:
        said += measured("PostgreSQL", options.postgresql, options)
    print("\n".join(["", *tables(said)]))
    if options.json:
        options.json.write_text(json.dumps(said, indent=1))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--postgresql", metavar="URI", help="an empty database, beside sqlite")
    parser.add_argument("--sqlite", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", type=Path, help="a file for every single figure")
    return parser.parse_args()


if __name__ == "__main__":
    main()
