"""How time and memory grow with the work: 1, 4 and 16 times as much of it.

    python -m benchmarks.growth                                            # three rounds; 1 GB of disk
    python -m benchmarks.growth --rounds 1 --recordings 4 --clips 8 --trials 40 --tables 4   # quicker
    python -m benchmarks.growth --only features epoch

Recordings, features, MLflow's runs and score tables are made up once. Each measurement is a fresh process
that does the smallest work first, which isn't timed. Tables on stdout, talk on stderr.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import math
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import soundfile
from benchmarks.measure import in_turns, load, say, seconds, spread, table
from benchmarks.packed import DIGEST, MACHINE, Pipe, answer, as_a_worker, made_up_clips, made_up_features

from oddsound.recordings.clip import Clip
from oddsound.training.usage import forget_peaks, host_peak

TIMES = (1, 4, 16)
LIMIT = 1.1
"""The largest exponent that counts as linear, for figures that scatter."""
SAMPLE_RATE, N_FRAMES, WIDTH, EPOCHS = 16_000, 311, 0.25, 30

Ready = Callable[[], object]
"""The work, with everything that it needs at hand."""
Figures = dict[str, list[list[float]]]
"""By work, size and round."""


# The works: made ready in `own`, an empty folder, of the first `n` things in `folder`.


def features(folder: Path, own: Path, n: int) -> Ready:
    from oddsound.config import FeatureConfig
    from oddsound.features.cache import build_cache

    return partial(build_cache, recordings(folder, n), DIGEST, FeatureConfig(), own)


def epoch(folder: Path, own: Path, n: int) -> Ready:
    from oddsound.config import TrialConfig
    from oddsound.training.classes import classes_of
    from oddsound.training.data import MachineData
    from oddsound.training.device import exact_device
    from oddsound.training.epoch import Lesson, train_epoch
    from oddsound.training.schedule import build_optimiser
    from oddsound.training.segments import Segments
    from oddsound.training.trial import build_model

    as_a_worker(os.cpu_count() or 1)
    config = TrialConfig.model_validate({"machine": MACHINE, "model": {"width": WIDTH}})
    array = np.load(folder / "features.npy", mmap_mode="r")[:n]
    data = MachineData(MACHINE, made_up_clips(n, 0), array, DIGEST)
    classes = classes_of(data.clips, config.training.labels)
    lesson = Lesson(data, classes, Segments.of(MACHINE, N_FRAMES, config.model))
    model = build_model(config, len(classes.names), N_FRAMES).to(exact_device()).train()
    return partial(train_epoch, model, build_optimiser(model, config.training), config, lesson, 1)


def query(folder: Path, own: Path, n: int) -> Ready:
    from benchmarks.tracking import MACHINES, find

    from oddsound.tracking.store import open_store

    store = open_store(None, run_of(folder, n) / "mlflow")

    def asked() -> None:
        for machine in MACHINES:
            find(store, machine)

    return asked


def status(folder: Path, own: Path, n: int) -> Ready:
    import benchmarks.tracking  # noqa: F401  # MLflow's modules are no part of the work

    from oddsound.cli.status import status

    def told() -> None:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            status.main([str(run_of(folder, n))], standalone_mode=False)

    return told


def systems(folder: Path, own: Path, n: int) -> Ready:
    from benchmarks.ensembles import read

    from oddsound.ensemble.systems import TOP_K, build_systems

    known = omegas(folder, n)
    return lambda: build_systems({MACHINE: read(folder / "tables", MACHINE, known, TOP_K)})


def fusions(folder: Path, own: Path, n: int) -> Ready:
    from benchmarks.ensembles import read

    from oddsound.ensemble.systems import all_fusions

    known = omegas(folder, n)
    return lambda: all_fusions(read(folder / "tables", MACHINE, known))


WORKS: dict[str, tuple[Callable[[Path, Path, int], Ready], str, str]] = {
    "features": (features, "recordings", "`build_cache`: features of {} recordings of 10 s"),
    "epoch": (epoch, "clips", "`train_epoch`: {} clips, EfficientNet-B0 of width " + f"{WIDTH:g}"),
    "query": (query, "trials", "`best_trials`: top five of seven machine types, {} trials in sqlite"),
    "status": (status, "trials", "`oddsound status`: a run of {} trials"),
    "systems": (systems, "tables", "`build_systems`: S1-S4, one machine type of {} trials"),
    "fusions": (fusions, "tables", "`all_fusions`: every fusion, one machine type of {} trials"),
}
"""By name: the work, what there is more and more of, and the row's title."""


# What they work on.


def recordings(folder: Path, n: int) -> list[Clip]:
    return [replace(clip, path=folder / "recordings" / clip.path) for clip in made_up_clips(n, 0)]


def run_of(folder: Path, n: int) -> Path:
    return folder / f"run-{n}"


def omegas(folder: Path, n: int) -> dict[str, float]:
    """By trial."""
    known: dict[str, float] = json.loads((folder / "omegas.json").read_text())
    return dict(list(known.items())[:n])


def write_recordings(folder: Path, sizes: Sequence[int]) -> None:
    rng = np.random.default_rng(0)
    (folder / "recordings").mkdir()
    for clip in recordings(folder, sizes[-1]):
        noise = 0.1 * rng.standard_normal(10 * SAMPLE_RATE, np.float32)
        soundfile.write(clip.path, noise, SAMPLE_RATE, subtype="PCM_16")


def write_features(folder: Path, sizes: Sequence[int]) -> None:
    np.save(folder / "features.npy", made_up_features(sizes[-1], N_FRAMES))


def write_runs(folder: Path, sizes: Sequence[int]) -> None:
    """Runs' folders, each with its sqlite store. The largest is filled; the others are copies from which
    the last trials are removed."""
    from benchmarks.tracking import direct, fill

    largest = run_of(folder, sizes[-1]) / "mlflow"
    largest.mkdir(parents=True)
    address = f"sqlite:///{largest}/mlflow.db"
    fill(direct(address, largest), address, sizes[-1], EPOCHS)
    for n in sizes:
        write_bundles(run_of(folder, n), n)
        if n < sizes[-1]:
            (run_of(folder, n) / "mlflow").mkdir()
            shutil.copy(largest / "mlflow.db", run_of(folder, n) / "mlflow")
            keep(n, run_of(folder, n) / "mlflow" / "mlflow.db")


def write_bundles(run: Path, n: int) -> None:
    """What `status` reads of `fill`'s first `n` trials."""
    from benchmarks.tracking import DATASET, MACHINES, trial_config, trial_result

    from oddsound.search.record import RunRecord, write_record
    from oddsound.training.bundle import Bundle

    for number in range(n):
        config = trial_config(MACHINES[number % len(MACHINES)], number, EPOCHS)
        bundle = Bundle(run / "trials" / config.machine / config.identity)
        bundle.path.mkdir(parents=True)
        bundle.write("config.json", config.model_dump())
        bundle.write_result(trial_result(config, number, "w" * 64))
    write_record(run, RunRecord("earlier", DATASET, "data", None, {machine: {} for machine in MACHINES}))


def keep(n: int, database: Path) -> None:
    """Remove all but the first `n` trials."""
    from oddsound.tracking.layout import NUMBER

    with closing(sqlite3.connect(database)) as connection:
        chosen = "SELECT run_uuid FROM tags WHERE key = ? AND CAST(value AS INTEGER) >= ?"
        late = connection.execute(chosen, (NUMBER, n)).fetchall()
        for name in ("metrics", "latest_metrics", "params", "tags", "runs"):
            connection.executemany(f"DELETE FROM {name} WHERE run_uuid = ?", late)
        connection.commit()
        connection.execute("VACUUM")


def write_tables(folder: Path, sizes: Sequence[int]) -> None:
    from benchmarks.ensembles import written

    (folder / "omegas.json").write_text(json.dumps(written(folder / "tables", MACHINE, sizes[-1])))


WRITERS: dict[str, Callable[[Path, Sequence[int]], None]] = {
    "recordings": write_recordings,
    "clips": write_features,
    "trials": write_runs,
    "tables": write_tables,
}


# What is measured.


def measured(pipe: Pipe, name: str, folder: Path, least: int, n: int) -> None:
    """Seconds of the work, and the MB by which this process grew at most."""
    work = WORKS[name][0]
    with TemporaryDirectory(dir=folder) as own, TemporaryDirectory(dir=folder) as other:
        first = work(folder, Path(other), least)
        forget_peaks()
        before = host_peak()
        first()
        took = seconds(work(folder, Path(own), n))
        pipe.send((took, (host_peak() - before) / 1e6))


def measure(
    names: Iterable[str], sizes: Mapping[str, Sequence[int]], folder: Path, rounds: int
) -> tuple[Figures, Figures]:
    """Seconds and MB."""
    mb: Figures = {name: [[] for _ in TIMES] for name in names}

    def once(name: str, place: int) -> float:
        of = sizes[WORKS[name][1]]
        took, grown = answer(measured, name, folder, of[0], of[place], as_worker=name == "epoch")
        mb[name][place].append(grown)
        return float(took)

    places = [(name, place) for name in mb for place in range(len(TIMES))]
    contenders = {f"{name}, {TIMES[place]} x": partial(once, name, place) for name, place in places}
    found = iter(in_turns(contenders, rounds, warm_up=False).values())
    return {name: [next(found) for _ in TIMES] for name in mb}, mb


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The slope of log value over log size between the last two: 1 where it grows as the work does."""
    return math.log(values[-1] / values[-2]) / math.log(sizes[-1] / sizes[-2])


def told(what: str, found: Figures, sizes: Mapping[str, Sequence[int]]) -> str:
    """A table, and the rows that grow faster than the work."""
    rows, faster = [], []
    for name, values in found.items():
        _, things, title = WORKS[name]
        grows = exponent(sizes[things], [max(median(each), 1e-9) for each in values])
        shown = title.format(", ".join(f"{n:,}" for n in sizes[things]))
        rows.append([shown, *map(spread, values), f"{grows:.2f}"])
        faster += [name] if grows > LIMIT else []
    heads = [what, *(f"{n} x" for n in TIMES), "exponent"]
    verdict = f"not met by {', '.join(faster)}" if faster else "met"
    return f"{table(heads, rows)}\n\nTarget for {what}: an exponent of {LIMIT:g} at most: {verdict}."


def main() -> None:
    given = parsed()
    sizes = {things: [getattr(given, things) * n for n in TIMES] for things in WRITERS}
    with TemporaryDirectory(prefix="oddsound-bench-") as temporary:
        folder = Path(temporary)
        for things in dict.fromkeys(WORKS[name][1] for name in given.only):
            took = seconds(partial(WRITERS[things], folder, sizes[things]))
            say(f"{sizes[things][-1]} {things} made up: {took:.0f} s")
        times, mb = measure(given.only, sizes, folder, given.rounds)
    print("## Growth\n")
    print(
        f"{given.rounds} rounds in turn, each measurement in a fresh process after the smallest work, on "
        f"{os.cpu_count()} CPUs ({load()}). Memory is the highest resident memory beyond that of the "
        "imports, pages of mapped files with it; the exponent is the slope of log figure over log size "
        f"from {TIMES[-2]} x to {TIMES[-1]} x.\n"
    )
    print(told("seconds", times, sizes) + "\n")
    print(told("peak MB", mb, sizes))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=WORKS, default=list(WORKS))
    smallest = "the smallest size"
    parser.add_argument("--recordings", type=int, default=50, help=f"whose features are made, {smallest}")
    parser.add_argument("--clips", type=int, default=32, help=f"that an epoch trains on, {smallest}")
    parser.add_argument("--trials", type=int, default=125, help=f"of a run, 40 at least, {smallest}")
    parser.add_argument("--tables", type=int, default=50, help=f"of scores of a machine type, {smallest}")
    return parser.parse_args()


if __name__ == "__main__":
    main()
