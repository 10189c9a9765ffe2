"""Which trials the systems are made of: the best by a metric, of the run's own search or of others."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from oddsound.cli.talking import warn
from oddsound.cli.wanted import Choice
from oddsound.ensemble.fusions import FUSIONS
from oddsound.ensemble.systems import PAPER_FUSIONS, Member, System, build_systems
from oddsound.errors import ConfigError
from oddsound.recipes import is_efficientnet
from oddsound.scoring.table import Shared
from oddsound.search.record import RunRecord, read_record
from oddsound.tracking.ranking import TrackedTrial, best_trials
from oddsound.tracking.reading import load_tracked
from oddsound.tracking.store import Store
from oddsound.tracking.warm_start import find_search
from oddsound.training.bundle import Bundle

MAX_CANDIDATES = 1000
"""How many of the best trials of a machine type a fusion may choose from."""
_METRIC = re.compile(r"(omega|auc|pauc)[A-Za-z0-9_/]*")


@dataclass(frozen=True, eq=False)
class Candidate:
    """A trial that may become a member: as MLflow knows it, and as an ensemble sees it."""

    tracked: TrackedTrial
    member: Member
    bundle: Bundle | None
    """Where it lies in the run's folder; None where it is in MLflow alone."""


def choose(
    store: Store,
    run: Path,
    record: RunRecord,
    machine: str,
    choice: Choice,
    limit: int = MAX_CANDIDATES,
) -> list[Candidate]:
    """The finished trials of the machine type that could be fused with the best one, the best first, `limit`
    at most.

    On the run's recordings, ranked by `choice.metric`. Of Table 1's rows they are the EfficientNets, as in
    the paper, where there is one. Like is fused with like: an autoencoder's squared errors and eq. 3 have
    no scale in common, other classes no softmax. Raises ConfigError where there is none.
    """
    tracked = _alike(store, record, machine, choice, limit)
    if not tracked:
        raise ConfigError(_nothing(record, machine, choice))
    if len(tracked) < choice.top_k:
        warn(f"{machine}: {len(tracked)} finished trials, fewer than the {choice.top_k} that are fused")
    shared: Shared = {}
    found = (_candidate(store, run, each, choice.metric, shared) for each in tracked)
    return [each if place < choice.top_k else lean(each) for place, each in enumerate(found)]


def configurations(store: Store, record: RunRecord, machine: str, choice: Choice) -> list[TrackedTrial]:
    """The `top_k` that S1-S4 are made of, without their scores.

    Raises ConfigError where there is none, or fewer and `strict`.
    """
    tracked = _alike(store, record, machine, choice, choice.top_k)
    if not tracked:
        raise ConfigError(_nothing(record, machine, choice))
    if choice.strict and len(tracked) < choice.top_k:
        raise ConfigError(f"{machine}: {len(tracked)} finished trials, fewer than --top-k {choice.top_k}")
    return tracked


def build(
    store: Store,
    run: Path,
    record: RunRecord,
    machines: Sequence[str],
    choice: Choice,
    pinned: Sequence[str] = (),
    fusions: Sequence[str] | None = None,
    *,
    all_trials: bool = True,
) -> tuple[tuple[System, ...], dict[str, list[Candidate]]]:
    """A system a fusion, S1-S4 if nothing else is said, and by machine type what they were chosen from:
    the best `top_k` alone where no fusion wants more and `all_trials` aren't asked for."""
    fusions = fusions or PAPER_FUSIONS
    chooses = any(FUSIONS[name].chooses for name in fusions if name in FUSIONS)
    limit = MAX_CANDIDATES if all_trials or chooses else choice.top_k
    found = {machine: choose(store, run, record, machine, choice, limit) for machine in machines}
    members = {machine: [each.member for each in of] for machine, of in found.items()}
    systems = build_systems(members, pinned, top_k=choice.top_k, fusions=fusions, strict=choice.strict)
    return systems, found


def checked(choice: Choice, store: Store) -> Choice:
    """With folders of runs as the names of their searches. Raises ConfigError for unknown ones."""
    if not _METRIC.fullmatch(choice.metric):
        raise ConfigError(
            f"--metric {choice.metric}: larger must be better; give omega, omega_last, omega_best_dev, or a "
            "cell such as auc/section_00/source"
        )
    names = []
    for name in choice.searches:
        names.append(read_record(Path(name)).search if (Path(name) / "run.json").is_file() else name)
        find_search(store, names[-1])
    return replace(choice, searches=tuple(names))


def _alike(store: Store, record: RunRecord, machine: str, choice: Choice, k: int) -> list[TrackedTrial]:
    digest = record.machines[machine]["data"]
    best = partial(
        best_trials,
        store,
        record.dataset,
        machine,
        search=choice.searches or record.search,
        data_digest=digest,
        metric=choice.metric,
    )
    among = _is_effnet if record.machines[machine].get("rows") else _is_any
    if not (first := best(k=1, among=among)):
        among = _is_any
        first = best(k=1)
    return best(k=k, among=partial(is_alike, first, among))


def _is_any(trial: TrackedTrial) -> bool:
    return True


def _is_effnet(trial: TrackedTrial) -> bool:
    return is_efficientnet(trial.params["recipe"])


def is_alike(
    first: Sequence[TrackedTrial], among: Callable[[TrackedTrial], bool], trial: TrackedTrial
) -> bool:
    """Whether `trial` is admitted, scores as the best one does, and tells the same classes apart."""
    kinds = {
        (
            t.params["model.architecture"] == "autoencoder",
            t.params["training.labels"],
            t.params["training.anomaly_score"],
        )
        for t in (*first, trial)
    }
    return among(trial) and len(kinds) == 1


def _nothing(record: RunRecord, machine: str, choice: Choice) -> str:
    of = f"of {' or '.join(choice.searches)}" if choice.searches else f"of search {record.search}"
    return (
        f"{machine}: MLflow has no finished trial {of} on the run's recordings that has the metric "
        f"{choice.metric}; give another --from or --metric, or send the run's own with `oddsound sync`"
    )


def _candidate(store: Store, run: Path, tracked: TrackedTrial, metric: str, shared: Shared) -> Candidate:
    """Read from the run's folder where it is there, else from MLflow: the same scores."""
    bundle = Bundle(run / "trials" / tracked.machine / tracked.trial)
    is_here = bundle.is_whole and bundle.result().weights_sha256 == tracked.weights_sha256
    if is_here:
        config, result, table = bundle.config(), bundle.result(), bundle.scores(shared)
    else:
        config, result, table = load_tracked(store, tracked, shared)
    member = Member(
        trial=result.trial,
        omega=result.omega,
        n_parameters=result.n_parameters,
        config=config.model_dump(),
        table=table,
        weights_sha256=result.weights_sha256,
        ranked_by=tracked.metrics[metric],
    )
    return Candidate(tracked, member, bundle if is_here else None)


def lean(candidate: Candidate) -> Candidate:
    """With its softmax pooled over segments: some hundred candidates have to fit into memory."""
    table = candidate.member.table
    pooled = replace(table, probabilities=table.probabilities.mean(axis=1, keepdims=True))
    return replace(candidate, member=replace(candidate.member, table=pooled))
