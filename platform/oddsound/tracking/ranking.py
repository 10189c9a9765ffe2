"""The best trials of a machine type, asked of MLflow in one query."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from mlflow.entities import Run

from oddsound.tracking.layout import (
    ANOMALIES,
    CODE,
    COMPLETE,
    DATA_DIGEST,
    KIND,
    MODEL,
    N_PARAMETERS,
    NUMBER,
    SEARCH,
    TRIAL,
    WEIGHTS,
    experiment_name,
)
from oddsound.tracking.store import Store

OMEGA = "omega"


@dataclass(frozen=True)
class TrackedTrial:
    """A complete run, as MLflow knows it; `tracking.reading` fetches the rest."""

    run_id: str
    trial: str
    omega: float
    dataset: str
    machine: str
    number: int
    search: str
    n_parameters: int
    data_digest: str
    weights_sha256: str
    model_sha256: str
    """Of the model's manifest; "" where it was logged by a version that wrote none."""
    artifact_uri: str
    experiment_id: str
    code: str
    metrics: dict[str, float] = field(repr=False)
    params: dict[str, str] = field(repr=False)
    anomalies: str = ""
    """What is to be known of the anomalous clips that it was measured with; "" where they are recordings."""

    @property
    def recipe(self) -> str:
        return self.params.get("recipe", "")

    @property
    def seed(self) -> str:
        return self.params.get("training.seed", "")


def best_trials(
    store: Store,
    dataset: str,
    machine: str,
    k: int = 5,
    search: str | Collection[str] | None = None,
    data_digest: str | None = None,
    among: Callable[[TrackedTrial], bool] = lambda trial: True,
    metric: str = OMEGA,
) -> list[TrackedTrial]:
    """The `k` complete trials of the highest `metric`, best first; equal ones in the order of their hash.

    Of all searches of the dataset, or of `search` alone, one or several; on all states of the data, or on
    that of `data_digest` alone; and only those that `among` admits and that have the metric. A trial that
    several searches recorded counts once, by its earliest run. Fewer than `k` where there are no more.
    Raises TrackingError.
    """
    experiment = store.find_experiment(experiment_name(dataset, machine))
    if experiment is None:
        return []
    searches = [search] if search is None or isinstance(search, str) else sorted(set(search))
    best: dict[tuple[str, str], TrackedTrial] = {}
    for name in searches:
        found: dict[tuple[str, str], TrackedTrial] = {}
        for run in _ranked(store, experiment, _chosen(name, data_digest), k, metric):
            trial = _tracked(run, dataset, machine)
            if metric in trial.metrics and among(trial):
                found.setdefault((trial.trial, trial.data_digest), trial)
            if len(found) == k:
                break
        best = found | best
    return sorted(best.values(), key=lambda trial: (-trial.metrics[metric], trial.trial))[:k]


def _chosen(search: str | None, data_digest: str | None) -> str:
    wanted = {KIND: "trial", COMPLETE: "true"}
    wanted |= {SEARCH: search} if search is not None else {}
    wanted |= {DATA_DIGEST: data_digest} if data_digest is not None else {}
    return " AND ".join(f"tags.`{key}` = '{value}'" for key, value in wanted.items())


def _ranked(store: Store, experiment: str, chosen: str, k: int, metric: str) -> Iterator[Run]:
    order = [f"metrics.`{metric}` DESC", f"tags.`{TRIAL}` ASC", "attributes.start_time ASC"]
    token = None
    while True:
        with store.asking("looking for the best trials"):
            page = store.client.search_runs(
                [experiment], chosen, max_results=min(2 * k, 1000), order_by=order, page_token=token
            )
        yield from page
        token = page.token
        if not token:
            return


def _tracked(run: Run, dataset: str, machine: str) -> TrackedTrial:
    tags = run.data.tags
    return TrackedTrial(
        run_id=run.info.run_id,
        trial=tags[TRIAL],
        omega=run.data.metrics["omega"],
        dataset=dataset,
        machine=machine,
        number=int(tags[NUMBER]),
        search=tags[SEARCH],
        n_parameters=int(tags[N_PARAMETERS]),
        data_digest=tags[DATA_DIGEST],
        weights_sha256=tags[WEIGHTS],
        model_sha256=tags.get(MODEL, ""),
        artifact_uri=run.info.artifact_uri,
        experiment_id=run.info.experiment_id,
        code=tags.get(CODE, "unknown"),
        metrics=dict(run.data.metrics),
        params=dict(run.data.params),
        anomalies=tags.get(ANOMALIES, ""),
    )
