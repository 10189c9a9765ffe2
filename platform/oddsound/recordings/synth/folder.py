"""Write a folder of synthetic machines: which clips, under which names, whole or continuable."""

from __future__ import annotations

import json
import math
import wave
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from oddsound.errors import ConfigError, DataError
from oddsound.recordings.clip import Domain, Label, Split
from oddsound.recordings.names import did_you_mean, shown
from oddsound.recordings.reader import MIN_SAMPLES
from oddsound.recordings.synth.render import render
from oddsound.recordings.synth.setting import KINDS, generator
from oddsound.recordings.synth.signals import SAMPLE_RATE

ALL_SEVEN = tuple(KINDS)
MARKER = "synth.json"
GROUND_TRUTH = "ground_truth"
_FORMAT = 1  # to be raised whenever the same arguments give other bytes
_DEVELOPMENT, _EVALUATION = ("00", "01", "02"), ("03", "04", "05")
_DOMAINS: tuple[Domain, ...] = ("source", "target")
_MAX_SECONDS, _MAX_CLIPS = 600.0, 10_000
_N_THREADS = 2


@dataclass(frozen=True)
class Plan:
    """What to write: clip length in s; training clips a section and domain; test clips a section,
    domain and class; whether sections 03-05 come too. Raises ConfigError where that can't be."""

    seconds: float = 10.0
    n_train_source: int = 50
    n_train_target: int = 3
    n_test: int = 10
    evaluation: bool = True
    machines: tuple[str, ...] = ALL_SEVEN
    seed: int = 0

    def __post_init__(self) -> None:
        shortest = MIN_SAMPLES / SAMPLE_RATE
        if not (math.isfinite(self.seconds) and shortest <= self.seconds <= _MAX_SECONDS):
            raise ConfigError(f"seconds {self.seconds}: choose {shortest} to {_MAX_SECONDS:g}")
        for name, low in (("n_train_source", 1), ("n_train_target", 0), ("n_test", 1)):
            if not low <= (value := getattr(self, name)) <= _MAX_CLIPS // 2:
                raise ConfigError(f"{name} {value}: choose {low} to {_MAX_CLIPS // 2}")
        if self.seed < 0:
            raise ConfigError(f"seed {self.seed}: choose 0 or more")
        if not self.machines:
            raise ConfigError(f"no machine type is asked for; choose some of {', '.join(ALL_SEVEN)}")
        for machine in self.machines:
            _require_known(machine)


@dataclass(frozen=True)
class _Piece:
    """A clip to write; `label` is the truth, which the names of evaluation sections hide."""

    machine: str
    section: str
    domain: Domain
    split: Split
    label: Label
    number: int

    @property
    def file(self) -> str:
        told = () if self.split == "test" and self.section in _EVALUATION else (self.label,)
        return "_".join(["section", self.section, self.domain, self.split, *told, f"{self.number:04d}.wav"])

    @property
    def path(self) -> Path:
        folder = "train" if self.split == "train" else f"{self.domain}_test"
        return Path(self.machine, folder, self.file)


def synthesise(
    out: Path,
    *,
    seconds: float = 10.0,
    n_train_source: int = 50,
    n_train_target: int = 3,
    n_test: int = 10,
    evaluation: bool = True,
    machines: Collection[str] = ALL_SEVEN,
    seed: int = 0,
    report: Callable[[str, int], None] = lambda _machine, _n_clips: None,
) -> int:
    """Write synthetic machines below `out`; return how many clips were written (0: all were there).

    16 kHz 16-bit mono WAVs of `seconds` s: a section has `n_train_source` and `n_train_target`
    training clips, and `n_test` test clips a domain and class. Sections 00-02 are labelled; with
    `evaluation`, 03-05 come with the labels of their test clips in `out`/ground_truth. `report` is
    called with each finished machine type and its number of clips. The same arguments give the same
    bytes; a call that was cut short is continued by the same call.

    Raises ConfigError for impossible arguments and where `out` holds anything else; DataError where
    it can't be written.
    """
    plan = Plan(
        float(seconds), n_train_source, n_train_target, n_test, evaluation, tuple(sorted(set(machines))), seed
    )
    try:
        if _finished(out, plan):
            return 0
        _mark(out, plan, finished=False)
        n_written = sum(_write_machine(out, plan, machine, report) for machine in plan.machines)
        _mark(out, plan, finished=True)
    except OSError as error:
        where = shown(error.filename or out)
        raise DataError(f"{where}: can't be written ({error.strerror}); free it and run again") from error
    return n_written


def _require_known(machine: str) -> None:
    if machine not in KINDS:
        hint = did_you_mean(machine, ALL_SEVEN)
        raise ConfigError(f"no synthetic machine type {machine!r}; {hint}There are {', '.join(ALL_SEVEN)}")


def _finished(out: Path, plan: Plan) -> bool:
    """Whether `out` is already what the plan gives. Raises ConfigError where it is something else."""
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{shown(out)}: not a folder; choose another")
    if not out.exists() or not any(out.iterdir()):
        return False
    try:
        marker = json.loads((out / MARKER).read_bytes())
        same = marker["format"] == _FORMAT and marker["arguments"] == _arguments(plan)
        finished = marker["finished"] is True
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        raise ConfigError(f"{shown(out)}: not empty and no synthetic data; choose another folder") from None
    if not same:
        raise ConfigError(
            f"{shown(out)}: holds synthetic data of other arguments ({MARKER} has them); "
            "choose another folder or the same arguments"
        )
    return finished


def _arguments(plan: Plan) -> dict[str, object]:
    return asdict(plan) | {"machines": list(plan.machines)}


def _mark(out: Path, plan: Plan, *, finished: bool) -> None:
    marker = {"format": _FORMAT, "finished": finished, "arguments": _arguments(plan)}
    _write_whole(out / MARKER, (json.dumps(marker, indent=2) + "\n").encode())


def _write_machine(out: Path, plan: Plan, machine: str, report: Callable[[str, int], None]) -> int:
    pieces = list(_pieces(plan, machine))
    for folder in {(out / piece.path).parent for piece in pieces}:
        folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(_N_THREADS) as pool:
        for _ in pool.map(lambda piece: _write_clip(out, plan, piece), pieces):
            pass
    _write_ground_truth(out, pieces)
    report(machine, len(pieces))
    return len(pieces)


def _pieces(plan: Plan, machine: str) -> Iterator[_Piece]:
    for section in _DEVELOPMENT + (_EVALUATION if plan.evaluation else ()):
        for domain, n_train in zip(_DOMAINS, (plan.n_train_source, plan.n_train_target), strict=True):
            for number in range(n_train):
                yield _Piece(machine, section, domain, "train", "normal", number)
            test = _hidden if section in _EVALUATION else _labelled
            for label, number in test(plan, machine, section, domain):
                yield _Piece(machine, section, domain, "test", label, number)


def _labelled(plan: Plan, *_: str) -> Iterator[tuple[Label, int]]:
    for number in range(plan.n_test):
        yield "normal", number
        yield "anomaly", number


def _hidden(plan: Plan, machine: str, section: str, domain: str) -> Iterator[tuple[Label, int]]:
    """Of each two successive numbers one is anomalous, by lot: a larger `n_test` changes no label."""
    rng = generator(plan.seed, "truth", machine, section, domain)
    for pair in range(plan.n_test):
        labels = rng.permutation(["normal", "anomaly"])
        yield from ((cast(Label, str(label)), 2 * pair + i) for i, label in enumerate(labels))


def _write_clip(out: Path, plan: Plan, piece: _Piece) -> None:
    samples = render(
        round(plan.seconds * SAMPLE_RATE),
        plan.seed,
        piece.machine,
        piece.section,
        piece.domain,
        piece.split,
        piece.label,
        piece.number,
    )
    path = out / piece.path
    temporary = _temporary(path)
    with temporary.open("wb") as stream, wave.open(stream, "wb") as recording:
        recording.setparams((1, 2, SAMPLE_RATE, samples.size, "NONE", ""))
        recording.writeframes(samples.tobytes())
    temporary.replace(path)


def _write_ground_truth(out: Path, pieces: list[_Piece]) -> None:
    tables: dict[str, str] = {}
    for piece in pieces:
        if piece.split == "test" and piece.section in _EVALUATION:
            name = f"ground_truth_{piece.machine}_section_{piece.section}_{piece.domain}_test.csv"
            tables[name] = tables.get(name, "") + f"{piece.file},{int(piece.label == 'anomaly')}\n"
    for name, table in tables.items():
        _write_whole(out / GROUND_TRUTH / name, table.encode())


def _write_whole(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    temporary.write_bytes(content)
    temporary.replace(path)


def _temporary(path: Path) -> Path:
    """Hidden, so that an index never takes a half-written clip for a recording."""
    return path.with_name(f".{path.name}.partial")
