"""The stages of a run, in the order of the data; each goes on from what is on disk."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from oddsound.cli.clip_progress import ClipProgress
from oddsound.cli.resume import command_line
from oddsound.cli.talking import talk as talk
from oddsound.cli.talking import typed, warn
from oddsound.errors import ConfigError, DataError, RecordingError, SearchError
from oddsound.features.cache import build_cache, open_cache
from oddsound.recordings.index import DataIndex
from oddsound.recordings.plain import has_made_up
from oddsound.recordings.reader import probe
from oddsound.search.driver import Signs
from oddsound.search.interrupts import Interrupts
from oddsound.search.record import RunRecord
from oddsound.search.run import Conduct
from oddsound.search.space import SearchSpace
from oddsound.search.studies import MachinePlan, feature_name
from oddsound.search.told import Outcome
from oddsound.tracking.layout import MADE_UP, Search
from oddsound.tracking.registry import RegisteredVersion, register_best
from oddsound.tracking.store import Store, open_store
from oddsound.training.bundle import finished
from oddsound.training.classes import refuse_unlearnable
from oddsound.training.data import refuse_unmeasurable
from oddsound.training.early_stops import Asha
from oddsound.training.segments import Segments


def dataset_name(data: Path) -> str:
    """The folder's name with what MLflow's names can't hold replaced."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", data.resolve().name).strip("-._") or "recordings"


@dataclass(frozen=True)
class Ask:
    """What the user asked of a search beyond its spaces."""

    n_trials: int
    seed: int
    conduct: Conduct
    asha: Asha | None = None
    first: Mapping[str, Sequence[dict[str, Any]]] = field(default_factory=dict)
    """What each machine type's search begins with after the paper's trial."""


@dataclass(frozen=True)
class Drive:
    """The run folder's driver: what it says of itself, and how it takes signals."""

    signs: Signs
    interrupts: Interrupts


def refuse_unusable(index: DataIndex, spaces: Sequence[SearchSpace]) -> None:
    """Raises DataError for recordings that no trial could use: said now, not by every trial.

    Also where some machine types have evaluation clips and others don't: a package is of one kind.
    """
    for space in spaces:
        machine = space.machine
        for config in space.variants():
            refuse_unlearnable(machine, index.of(machine), config)
        refuse_unmeasurable(machine, index.of(machine))
        if not any(clip.domain == "target" and clip.split == "train" for clip in index.of(machine)):
            warn(f"{machine}: no training clips of the target domain; every clip is drawn alike")
    hidden = {clip.machine for clip in index.clips if clip.split == "test" and clip.label is None}
    if hidden and (without := sorted(set(index.machines) - hidden)):
        raise DataError(
            f"{', '.join(without)}: no evaluation clips, while {', '.join(sorted(hidden))} have them; "
            "a submission is of one kind of clips: leave either out with --machines"
        )


def refuse_no_rung(asha: Asha | None, spaces: Sequence[SearchSpace]) -> None:
    """Raises ConfigError where ASHA would never look at a trial."""
    for space in spaces if asha else ():
        epochs = max(config.training.epochs for config in space.variants())
        if asha and not [rung for rung in asha.rungs(epochs) if rung < epochs]:
            raise ConfigError(
                f"{space.machine}: --asha never looks at trials of {epochs} epochs before their end; give "
                f"--asha-grace less than that, e.g. {max(1, epochs // 9)}"
            )


def prepare_features(
    index: DataIndex,
    spaces: Sequence[SearchSpace],
    digests: Mapping[str, str],
    cache: Path,
    ask: Ask,
    weights: Mapping[str, Path],
) -> list[MachinePlan]:
    """Build every feature cache that the spaces can ask for, and with it what is to be searched."""
    plans = []
    for space in spaces:
        clips, digest = index.of(space.machine), digests[space.machine]
        stereo = ", of their two channels the first" if probe(clips[0].path).n_channels > 1 else ""
        talk(f"features of {space.machine}: {len(clips)} clips{stereo}")
        try:
            with ClipProgress(f"features of {space.machine}") as told:
                caches = {
                    feature_name(config): str(build_cache(clips, digest, config.features, cache, told))
                    for config in space.front_ends()
                }
        except RecordingError as error:
            raise RecordingError(f"{error}; `{typed('data', 'check', index.root)}` names all such") from error
        _look_at_lengths(space, caches)
        files = {name: str(path) for name, path in weights.items()}
        first = tuple(ask.first.get(space.machine, ()))
        plans.append(MachinePlan(space, digest, caches, ask.n_trials, ask.seed, files, first))
    return plans


def _look_at_lengths(space: SearchSpace, caches: Mapping[str, str]) -> None:
    """Raises DataError where a trial's segments are longer than the clips; says where clips are padded."""
    opened = {name: open_cache(Path(path)) for name, path in caches.items()}
    for config in space.variants():
        Segments.of(space.machine, opened[feature_name(config)].features.shape[2], config.model)
    lengths = next(iter(opened.values())).lengths
    if min(lengths) < max(lengths):
        warn(
            f"{space.machine}: clips have {min(lengths)} to {max(lengths)} frames; the shorter are padded "
            "with zeros, which their scores can show: judge clips of one length against each other"
        )


def tracking(run: Path, record: RunRecord) -> Store:
    return open_store(record.tracking_uri, run / "mlflow")


def tracked_search(record: RunRecord) -> Search:
    """The search as MLflow knows it."""
    asha = {machine: Asha(**begun["asha"]) for machine, begun in record.machines.items() if begun.get("asha")}
    facts = {machine: _facts(record, machine) for machine in record.machines}
    command = command_line(record)
    return Search(
        record.search, record.dataset, asha=asha, command=command, facts=facts, made_up=record.made_up()
    )


def _facts(record: RunRecord, machine: str) -> dict[str, str]:
    """What a reader of MLflow's page may want to know of the machine type's search."""
    begun, code = record.machines[machine], record.code
    clips = ", ".join(f"{n} {kind}" for kind, n in sorted(begun.get("clips", {}).items()))
    made = ", ".join(f"{name} {version}" for name, version in sorted(code.items()))
    facts = {
        "trials wanted": str(record.wanted.get(machine, "")),
        "seed": str(begun.get("seed", "")),
        "sampler": str(begun.get("sampler", "")),
        "recordings": clips,
        "anomalous clips": MADE_UP if begun.get("made_up") else "",
        "data digest": str(begun.get("data", "")),
        "code": made,
    }
    return {name: value for name, value in facts.items() if value}


def begun_with(
    space: SearchSpace,
    index: DataIndex,
    digest: str,
    seed: int,
    asha: Asha | None,
    first: Mapping[str, Sequence[dict[str, Any]]],
) -> dict[str, Any]:
    """What decides a machine type's search, for the run's record; `clips` counts splits and labels,
    `made_up` is there where the anomalous ones are."""
    clips = Counter(f"{clip.split}/{clip.label or 'unlabelled'}" for clip in index.of(space.machine))
    made_up = {"made_up": True} if has_made_up(index.of(space.machine)) else {}
    return (
        space.settings()
        | made_up
        | {
            "seed": seed,
            "data": digest,
            "clips": dict(clips),
            "asha": asdict(asha) if asha else None,
            "first": list(first.get(space.machine, ())),
        }
    )


def clip_counts(record: RunRecord) -> dict[str, dict[str, int]]:
    return {machine: begun["clips"] for machine, begun in record.machines.items()}


def searched(run: Path, record: RunRecord) -> list[str]:
    """The run's machine types that have a finished trial; the others are named."""
    found = [machine for machine in record.machines if finished(run / "trials", machine)]
    for machine in sorted(record.machines.keys() - set(found)):
        warn(f"{machine}: no finished trial, so it is left out of the systems")
    return found


def register(
    store: Store, record: RunRecord, machines: Sequence[str], k: int
) -> dict[str, list[RegisteredVersion]]:
    """Make the best `k` of each machine type versions of its registered model; these, by machine type.

    Of all searches on the same recordings: a later, worse one takes nobody's place.
    """
    return {
        machine: register_best(
            store, record.dataset, machine, k, data_digest=record.machines[machine]["data"]
        )
        for machine in machines
    }


def tell_failures(outcome: Outcome) -> None:
    for machine, trial, reason in outcome.failures:
        warn(f"failed: {machine} {trial}: {reason}")


def refuse_failures(outcome: Outcome, run: Path) -> None:
    """Raises SearchError where trials failed: the search's last word, after everything else is done."""
    tell_failures(outcome)
    if outcome.failures:
        raise SearchError(
            f"{len(outcome.failures)} trial(s) failed, the rest is in {run}; the same command retries them"
        )
