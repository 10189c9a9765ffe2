"""The best trials of a machine type, asked of MLflow in one query."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from mlflow.entities import Run

from oddsound.tracking.layout import (
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
    search: str | None = None,
    data_digest: str | None = None,
    among: Callable[[TrackedTrial], bool] = lambda trial: True,
) -> list[TrackedTrial]:
    """The `k` complete trials of the highest omega, best first; equal ones in the order of their hash.

    Of all searches of the dataset, or of `search` alone; on all states of the data, or on that of
    `data_digest` alone; and only those that `among` admits. A trial that several searches recorded
    counts once, by its earliest run. Fewer than `k` where there are no more. Raises TrackingError.
    """
    experiment = store.find_experiment(experiment_name(dataset, machine))
    best: dict[tuple[str, str], TrackedTrial] = {}
    if experiment is None:
        return []
    for run in _ranked(store, experiment, _chosen(search, data_digest), k):
        trial = _tracked(run, dataset, machine)
        if among(trial):
            best.setdefault((trial.trial, trial.data_digest), trial)
        if len(best) == k:
            break
    return list(best.values())


def _chosen(search: str | None, data_digest: str | None) -> str:
    wanted = {KIND: "trial", COMPLETE: "true"}
    wanted |= {SEARCH: search} if search is not None else {}
    wanted |= {DATA_DIGEST: data_digest} if data_digest is not None else {}
    return " AND ".join(f"tags.`{key}` = '{value}'" for key, value in wanted.items())


def _ranked(store: Store, experiment: str, chosen: str, k: int) -> Iterator[Run]:
    order = ["metrics.omega DESC", f"tags.`{TRIAL}` ASC", "attributes.start_time ASC"]
    token = None
    while True:
        with store.asking("looking for the best trials"):
            page = store.client.search_runs(
                [experiment], chosen, max_results=2 * k, order_by=order, page_token=token
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
    )
